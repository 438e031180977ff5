//! virtio on MMIO: where the VMM says that devices are, or where QEMU's microvm has them.
//!
//! Reference: virtio 1.2, section 4.2.

use core::ptr::NonNull;

use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, SomeTransport, Transport};

use crate::mmio_devices::{Device, listed};

/// Where microvm puts its first device.
const FIRST: usize = 0xfeb0_0000;
/// Bytes from one device to the next.
const STRIDE: usize = 512;
/// Slots of a microvm.
const SLOTS: usize = 24;
/// A microvm's second I/O APIC, if it has one: each slot's interrupt is the pin of that number (hw/i386/microvm.c).
const IO_APIC: usize = 0xfec1_0000;
const IO_APIC_PINS: u32 = SLOTS as u32;
/// The interrupt of its first pin, behind those of the first I/O APIC.
const IO_APIC_INTERRUPT: u32 = 24;
/// Its data register behind the one that selects; its version with the number of its last pin; the first of the two
/// registers of a pin (Intel 82093AA, section 3).
const IO_APIC_DATA: usize = 0x10;
const IO_APIC_VERSION: u32 = 1;
const IO_APIC_PIN: u32 = 0x10;
/// A vector that the kernel has no handler for: it acknowledges it, which is all a wake-up needs.
const INTERRUPT_VECTOR: u32 = 0x90;
/// QueueNotify (section 4.2.2).
const QUEUE_NOTIFY: usize = 0x50;

/// The first device of each kind, with its place, among those of `list`; without one, among a microvm's slots.
pub fn find<const KINDS: usize>(
    kinds: [DeviceType; KINDS],
    list: Option<&str>,
) -> [Option<(SomeTransport<'static>, Device)>; KINDS] {
    match list {
        Some(list) => first_of(kinds, &mut listed(list)),
        None => first_of(kinds, &mut (0..SLOTS).map(slot)),
    }
}

fn slot(number: usize) -> Device {
    let interrupt = IO_APIC_INTERRUPT + number as u32;
    Device { registers: FIRST + number * STRIDE, bytes: STRIDE, interrupt }
}

fn first_of<const KINDS: usize>(
    kinds: [DeviceType; KINDS],
    devices: &mut dyn Iterator<Item = Device>,
) -> [Option<(SomeTransport<'static>, Device)>; KINDS] {
    let mut found = [const { None }; KINDS];
    for device in devices {
        let Some(transport) = open(device) else { continue };
        let place = kinds.iter().position(|kind| *kind == transport.device_type());
        if let Some(slot) = place.map(|place| &mut found[place]).filter(|slot| slot.is_none()) {
            *slot = Some((SomeTransport::from(transport), device));
        }
    }
    found
}

fn open(device: Device) -> Option<MmioTransport<'static>> {
    let header = NonNull::new(core::ptr::with_exposed_provenance_mut::<VirtIOHeader>(device.registers))?;
    // SAFETY: the loader maps the first 4 GiB to themselves, where every `Device` is; `new` checks the magic value
    // before it takes the registers for a device's, and nothing else uses them.
    unsafe { MmioTransport::new(header, device.bytes) }.ok()
}

/// The notification register, which all queues share.
pub fn doorbell(registers: usize) -> usize {
    registers + QUEUE_NOTIFY
}

/// Sends a device's interrupt to processor 0, where a second I/O APIC takes it; the kernel has set up the first one for
/// all of its pins. Like those it is taken for edge-triggered: what is acknowledged late comes no second time.
pub fn route_interrupt(interrupt: u32) {
    let Some(pin) = interrupt.checked_sub(IO_APIC_INTERRUPT).filter(|pin| *pin < IO_APIC_PINS) else {
        return;
    };
    // Where there is none, reads give all zeros or all ones.
    if io_apic(IO_APIC_VERSION, None) >> 16 & 0xff != IO_APIC_PINS - 1 {
        return;
    }
    io_apic(IO_APIC_PIN + 2 * pin + 1, Some(0));
    io_apic(IO_APIC_PIN + 2 * pin, Some(INTERRUPT_VECTOR));
}

/// Writes a register of the second I/O APIC, or reads it.
fn io_apic(register: u32, value: Option<u32>) -> u32 {
    let select = core::ptr::with_exposed_provenance_mut::<u32>(IO_APIC);
    // SAFETY: the loader maps it to itself; the kernel drives another one, and no memory is at that place.
    unsafe {
        select.write_volatile(register);
        let data = select.byte_add(IO_APIC_DATA);
        match value {
            Some(value) => data.write_volatile(value),
            None => return data.read_volatile(),
        }
    }
    0
}
