//! vhost-net: the host's kernel serves the virtqueues of a card on a tap interface, in QEMU's place.
//!
//! A packet then wakes no thread of QEMU: the kernel is told of it by KVM, moves it, and has KVM interrupt the guest.
//! Under TCG it is QEMU itself that is told and interrupts, so that there is nothing to gain.

use std::fs::File;

use crate::vm::accelerator::Accelerator;

/// The device by which it is asked for.
pub const DEVICE: &str = "/dev/vhost-net";

/// What keeps this user from it, if anything does.
pub fn obstacle() -> Option<String> {
    cannot_open(DEVICE)
}

/// Whether machines that run on this use it.
pub fn is_used_with(accelerator: Accelerator) -> bool {
    matches!(accelerator, Accelerator::Kvm { .. }) && obstacle().is_none()
}

fn cannot_open(path: &str) -> Option<String> {
    let opened = File::options().read(true).write(true).open(path);
    opened.err().map(|error| format!("{path} does not open ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_for_kvm_and_for_who_may_open_its_device() {
        assert!(!is_used_with(Accelerator::Tcg { mhz: 1 }));
        assert_eq!(is_used_with(Accelerator::Kvm { mhz: 1 }), obstacle().is_none());
        assert_eq!(cannot_open("/dev/null"), None);
        let text = cannot_open("/dev/null/no").expect("no such file");
        assert!(text.starts_with("/dev/null/no does not open ("), "{text}");
    }
}
