//! The machine as the search for virtio devices sees it, and the registers of those devices: ports and memory.
//!
//! `virtio` decides what is read and written. References: PCI Local Bus 3.0 section 3.2.2.3.2 (configuration by ports),
//! PCI Express section 7.2.2 (in memory).

use core::cell::Cell;

use super::page_tables::{PAGE_BYTES, is_mapped, map_device};
use super::x86::{read_port_u32, write_port_u32};
use crate::virtio::machine::{Access, Machine};
use crate::virtio::pci_scan::Place;
use crate::virtio::transport::Registers;

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
const CONFIG_ENABLE: u32 = 1 << 31;
/// Configuration space in memory: 256 buses.
const CONFIG_BYTES: u64 = 256 << 20;

/// The machine that this program runs on.
#[derive(Default)]
pub struct ThisMachine {
    assigned: Cell<u64>,
}

impl ThisMachine {
    fn select(place: Place, register: u8) {
        // SAFETY: selecting a register has no effect beyond the next access to the data port.
        unsafe {
            write_port_u32(CONFIG_ADDRESS, CONFIG_ENABLE | offset(place, 8) as u32 | u32::from(register))
        }
    }
}

/// The offset of a function's registers; each function has a space of 2^`bits` bytes.
fn offset(Place { bus, device, function }: Place, bits: u32) -> usize {
    (usize::from(bus) << 8 | usize::from(device) << 3 | usize::from(function)) << bits
}

impl Machine for ThisMachine {
    fn config(&self, access: Access, place: Place, register: u8) -> u32 {
        match access {
            Access::Ports => {
                Self::select(place, register);
                // SAFETY: reading configuration space has no side effects.
                unsafe { read_port_u32(CONFIG_DATA) }
            }
            Access::Memory(base) => Memory.read_u32(base + offset(place, 12) + usize::from(register)),
        }
    }

    fn set_config(&self, access: Access, place: Place, register: u8, value: u32) {
        match access {
            Access::Ports => {
                Self::select(place, register);
                // SAFETY: the search writes what sets a device up; its DMA addresses come from virtqueues of ours.
                unsafe { write_port_u32(CONFIG_DATA, value) }
            }
            Access::Memory(base) => {
                Memory.write_u32(base + offset(place, 12) + usize::from(register), value);
            }
        }
    }

    fn map_config(&self, base: u64) -> Option<usize> {
        map_device(base, CONFIG_BYTES)
    }

    fn firmware(&self, address: u64, bytes: usize) -> Option<&[u8]> {
        firmware(address, bytes)
    }

    fn mmio(&self, address: usize) -> Option<u32> {
        is_mapped(address as u64).then(|| Memory.read_u32(address))
    }

    fn assigned(&self) -> &Cell<u64> {
        &self.assigned
    }
}

/// Bytes that the firmware has left: its tables.
pub fn firmware(address: u64, bytes: usize) -> Option<&'static [u8]> {
    let end = address.checked_add(bytes as u64)?;
    if address < PAGE_BYTES || end > 1 << 32 || !is_mapped(address) || !is_mapped(end - 1) {
        return None;
    }
    // SAFETY: it is mapped, page 0 is left out, and nobody writes what the firmware has reserved; what is no table
    // reads as something else, and nothing is believed before its name is found.
    Some(unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(address as usize), bytes) })
}

/// Device registers, at addresses that the search has found and `page_tables` has mapped.
#[derive(Clone, Copy)]
pub struct Memory;

macro_rules! access {
    ($($read:ident, $write:ident, $width:ty;)*) => {
        impl Registers for Memory {
            $(
                fn $read(&self, address: usize) -> $width {
                    // SAFETY: devices' registers alone are read through this, which are mapped and stay.
                    unsafe { core::ptr::with_exposed_provenance::<$width>(address).read_volatile() }
                }

                fn $write(&self, address: usize, value: $width) {
                    // SAFETY: as for reading; a device reaches only the memory that a virtqueue of ours names.
                    unsafe { core::ptr::with_exposed_provenance_mut::<$width>(address).write_volatile(value) }
                }
            )*
        }
    };
}

access! {
    read_u8, write_u8, u8;
    read_u16, write_u16, u16;
    read_u32, write_u32, u32;
}
