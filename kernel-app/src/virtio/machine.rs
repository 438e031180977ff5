//! What the search for devices can ask of a machine: PCI's configuration space, the firmware's tables, registers.

use core::cell::Cell;

use super::pci_scan::{Place, ReadConfig};

/// How PCI's configuration space is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// By the ports 0xcf8 and 0xcfc, which every PC has.
    Ports,
    /// In memory, mapped at this address: 4 KiB for each function (PCI Express section 7.2.2).
    Memory(usize),
}

/// A machine, as the search sees it.
pub trait Machine {
    /// A register of PCI's configuration space, with its three neighbours.
    fn config(&self, access: Access, place: Place, register: u8) -> u32;
    /// Writes it.
    fn set_config(&self, access: Access, place: Place, register: u8, value: u32);
    /// Where configuration space at this physical address can be reached.
    fn map_config(&self, base: u64) -> Option<usize>;
    /// Bytes that the firmware has left: its tables.
    fn firmware(&self, address: u64, bytes: usize) -> Option<&[u8]>;
    /// 32 bits of a device on MMIO; none where nothing is mapped.
    fn mmio(&self, address: usize) -> Option<u32>;
    /// Up to where base addresses were given out.
    fn assigned(&self) -> &Cell<u64>;
}

/// A machine's configuration space.
pub struct Config<'m, M> {
    /// The machine.
    pub machine: &'m M,
    /// How it is reached.
    pub access: Access,
}

impl<'m, M: Machine> Config<'m, M> {
    /// A register with its three neighbours.
    pub fn word(&self, place: Place, register: u8) -> u32 {
        self.machine.config(self.access, place, register & !3)
    }

    /// Writes them.
    pub fn set_word(&self, place: Place, register: u8, value: u32) {
        self.machine.set_config(self.access, place, register & !3, value);
    }
}

impl<M: Machine> ReadConfig for Config<'_, M> {
    fn read(&self, place: Place, register: u8) -> u32 {
        self.word(place, register)
    }
}
