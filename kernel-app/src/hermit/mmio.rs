//! virtio-net on MMIO, as QEMU's microvm has it.
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

/// The first virtio-net device and the address of its registers.
pub fn find_net() -> Option<(SomeTransport<'static>, usize)> {
    (0..SLOTS).map(|slot| FIRST + slot * STRIDE).find_map(|registers| {
        let header = NonNull::new(core::ptr::with_exposed_provenance_mut::<VirtIOHeader>(registers))?;
        // SAFETY: the loader maps the first 4 GiB to themselves; `new` checks the magic value before it
        // takes the registers for a device's, and nothing else uses them.
        let transport = unsafe { MmioTransport::new(header, STRIDE) }.ok()?;
        (transport.device_type() == DeviceType::Network).then(|| (SomeTransport::from(transport), registers))
    })
}

/// The notification register, which all queues share.
pub fn doorbell(registers: usize) -> usize {
    registers + QUEUE_NOTIFY
}
