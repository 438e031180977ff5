//! How a device's interrupt reaches the processor: by a message, or by a line of an I/O APIC.
//!
//! All devices share one vector, whose interrupt wakes the processor and does nothing else (`interrupt_table`).
//! References: PCI Local Bus 3.0 section 6.8 (MSI-X), Intel 82093AA section 3 (I/O APIC).

use super::interrupt_table::DEVICE_VECTOR;
use super::machine::Memory;
use super::page_tables::map_device;
use crate::virtio::machine::Machine;
use crate::virtio::structures::{Msix, PciDevice};
use crate::virtio::transport::Registers;

/// The vector.
const VECTOR: u32 = DEVICE_VECTOR as u32;
/// The local APIC of processor 0, for messages.
const MESSAGE_ADDRESS: u32 = 0xfee0_0000;
/// Message control, in the upper half of the capability's first word.
const MSIX_ENABLE: u32 = 1 << 31;
const MSIX_MASK_ALL: u32 = 1 << 30;

/// The I/O APICs of a PC and of QEMU's microvm: 24 pins each (hw/i386/microvm.c).
const IO_APICS: [u64; 2] = [0xfec0_0000, 0xfec1_0000];
const PINS: u32 = 24;
const IO_APIC_BYTES: u64 = 0x20;
/// Its data register behind the one that selects; its version with the number of its last pin; the first of the two
/// registers of a pin.
const DATA: usize = 0x10;
const VERSION: u32 = 1;
const PIN: u32 = 0x10;

/// Sends message 0 of a device to the processor. `table` is where its table can be reached.
pub fn route_message(machine: &impl Machine, device: &PciDevice, msix: Msix, table: usize) {
    for (index, word) in [MESSAGE_ADDRESS, 0, VECTOR, 0].into_iter().enumerate() {
        Memory.write_u32(table + 4 * index, word);
    }
    let PciDevice { access, place, .. } = *device;
    let control = machine.config(access, place, msix.capability);
    machine.set_config(access, place, msix.capability, (control & !MSIX_MASK_ALL) | MSIX_ENABLE);
}

/// Sends a line of a PCI device to the processor; whether there is one.
pub fn route_line(line: u8) -> bool {
    let line = u32::from(line);
    line < PINS && route_pin(0, line).is_some()
}

/// Sends the interrupt of a device on MMIO to the processor. The kernel has set up all pins of the first I/O APIC.
pub fn route(interrupt: u32) {
    if let Some(pin) = interrupt.checked_sub(PINS).filter(|pin| *pin < PINS) {
        let _ = route_pin(1, pin);
    }
}

/// Pins are taken for edge-triggered: what is acknowledged late comes no second time.
fn route_pin(io_apic: usize, pin: u32) -> Option<()> {
    let select = map_device(IO_APICS[io_apic], IO_APIC_BYTES)?;
    let register = |number: u32| {
        Memory.write_u32(select, number);
        select + DATA
    };
    // Where there is none, reads give all zeros or all ones.
    if Memory.read_u32(register(VERSION)) >> 16 & 0xff != PINS - 1 {
        return None;
    }
    Memory.write_u32(register(PIN + 2 * pin + 1), 0);
    Memory.write_u32(register(PIN + 2 * pin), VECTOR);
    Some(())
}
