//! How virtio devices are found on a machine, and the words that a driver and a device exchange before packets and
//! sectors move: all of it without touching a machine.
//!
//! Virtual machine monitors differ in where they put their devices and in what they put up with. [`search`] asks a
//! [`Machine`](machine::Machine) and gives a [`Location`] for each device; [`transport`] initialises the device through
//! [`Registers`](transport::Registers). On Hermit the module `hermit` implements both with ports and memory; in tests
//! they are machines and devices as real monitors make them. Reference: virtio 1.2, sections 3.1 (initialisation), 4.1
//! (PCI) and 4.2 (MMIO).

pub mod machine;
pub mod mmio_list;
pub mod pci_scan;
#[cfg(test)]
pub mod recorded;
pub mod search;
pub mod structures;
pub mod transport;

use mmio_list::MmioDevice;
use pci_scan::Place;
use structures::PciDevice;

/// Kinds of devices, with their numbers (section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// virtio-net.
    Network = 1,
    /// virtio-blk.
    Block = 2,
    /// virtio-rng.
    Entropy = 4,
}

/// Where a device is, and where its parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// A function on PCI.
    Pci(PciDevice),
    /// A window of registers.
    Mmio(MmioDevice),
}

/// What was found for a kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// A device.
    Found(Location),
    /// There is one, and this is why it is of no use.
    Unusable(Place, structures::Unusable),
    /// There is none.
    Missing,
}
