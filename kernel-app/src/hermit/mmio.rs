//! virtio on MMIO, as QEMU's microvm has it.
//!
//! Reference: virtio 1.2, section 4.2.

use core::ptr::NonNull;

use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, SomeTransport, Transport};

/// Where microvm puts its first device.
const FIRST: usize = 0xfeb0_0000;
/// Bytes from one device to the next.
const STRIDE: usize = 512;
/// Slots of a microvm.
const SLOTS: usize = 24;
/// QueueNotify (section 4.2.2).
const QUEUE_NOTIFY: usize = 0x50;

/// The first device of each kind, with the address of its registers.
pub fn find<const KINDS: usize>(
    kinds: [DeviceType; KINDS],
) -> [Option<(SomeTransport<'static>, usize)>; KINDS] {
    let mut found = [const { None }; KINDS];
    for registers in (0..SLOTS).map(|slot| FIRST + slot * STRIDE) {
        let Some(transport) = open(registers) else { continue };
        let place = kinds.iter().position(|kind| *kind == transport.device_type());
        if let Some(slot) = place.map(|place| &mut found[place]).filter(|slot| slot.is_none()) {
            *slot = Some((SomeTransport::from(transport), registers));
        }
    }
    found
}

fn open(registers: usize) -> Option<MmioTransport<'static>> {
    let header = NonNull::new(core::ptr::with_exposed_provenance_mut::<VirtIOHeader>(registers))?;
    // SAFETY: the loader maps the first 4 GiB to themselves; `new` checks the magic value before it
    // takes the registers for a device's, and nothing else uses them.
    unsafe { MmioTransport::new(header, STRIDE) }.ok()
}

/// The notification register, which all queues share.
pub fn doorbell(registers: usize) -> usize {
    registers + QUEUE_NOTIFY
}
