//! uhyve, the virtual machine monitor of Hermit's own: it has no serial line and no exit port, but calls of its own,
//! which the kernel knows.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU8, Ordering};

/// CPUID leaf with the first bytes of the processor's name, which uhyve writes.
const CPUID_NAME: u32 = 0x8000_0002;
const NAME: [u8; 4] = *b"uhyv";
const STANDARD_OUTPUT: i32 = 1;

/// 0 as long as nobody has looked; then 1 for another monitor, and 2 for uhyve. Each look leaves the guest.
static KNOWN: AtomicU8 = AtomicU8::new(0);

/// Whether uhyve runs this machine.
pub fn is_monitor() -> bool {
    match KNOWN.load(Ordering::Relaxed) {
        0 => {
            let is_uhyve = __cpuid(CPUID_NAME).eax.to_le_bytes() == NAME;
            KNOWN.store(1 + u8::from(is_uhyve), Ordering::Relaxed);
            is_uhyve
        }
        known => known == 2,
    }
}

/// Whether devices say that they look by themselves and then do not: uhyve 0.10 asks for notifications again after its
/// last look at a queue, and does not look once more. What was offered in between would wait until the next doorbell.
pub fn forgets_to_look() -> bool {
    is_monitor()
}

/// Whether the card cuts off the end of a frame with a full packet: uhyve 0.10 has room for the packet and virtio's
/// header when it reads from a tap interface, and none for Ethernet's header. A cut packet is no packet; TCP found out
/// after three seconds that large ones are lost.
pub fn cuts_full_frames() -> bool {
    is_monitor()
}

/// Writes to uhyve's standard output.
pub fn write(text: &str) {
    // SAFETY: the kernel reads that many bytes. It may write fewer when nobody reads them, who then misses them.
    unsafe { hermit_abi::write(STANDARD_OUTPUT, text.as_ptr(), text.len()) };
}
