//! Finds a machine's virtio devices: on PCI, through ports or in memory; else where the machine's monitor says; else
//! where QEMU's microvm has them.
//!
//! What a machine is, is a parameter. Nothing is asked of it that makes a monitor stop: uhyve ends at an access to
//! memory where nothing is, and Firecracker warns of each port that it does not have.

use core::cell::OnceCell;

use super::machine::{Access, Config, Machine};
use super::mmio_list::{MmioDevice, listed};
use super::pci_scan::{self, Id, Place};
use super::{Kind, Location, Search, structures};
use crate::acpi;

const VENDOR_VIRTIO: u16 = 0x1af4;
/// Device number of a modern device, less its kind (section 4.1.2.1).
const DEVICE_MODERN: u16 = 0x1040;
/// Transitional devices that these drivers know.
const TRANSITIONAL: [(u16, Kind); 3] =
    [(0x1000, Kind::Network), (0x1001, Kind::Block), (0x1005, Kind::Entropy)];

/// Where QEMU's microvm has PCI's configuration space, and its first virtio device, the bytes from one to the next, and
/// how many there can be (hw/i386/microvm.c). The interrupt of a slot is behind those of the first I/O APIC.
const MICROVM_CONFIG: u64 = 0xe000_0000;
const MICROVM_FIRST: usize = 0xfeb0_0000;
const MICROVM_STRIDE: usize = 512;
const MICROVM_SLOTS: usize = 24;
const MICROVM_INTERRUPT: u32 = 24;
/// Registers of a device on MMIO, and what the first one says (section 4.2.2).
const MAGIC: usize = 0;
const DEVICE_ID: usize = 8;
const MAGIC_VALUE: u32 = 0x7472_6976;

/// What the loader was told about where devices are.
#[derive(Clone, Copy, Default)]
pub struct Hints<'a> {
    /// Where the ACPI tables begin, if there are any.
    pub acpi: Option<u64>,
    /// Devices on MMIO, if any are told of.
    pub mmio: Option<&'a str>,
}

/// The machine's first usable device of each kind, on PCI or, where that has none of them, on MMIO.
pub fn find<const KINDS: usize>(
    machine: &impl Machine,
    hints: Hints<'_>,
    kinds: [Kind; KINDS],
) -> [Search; KINDS] {
    let mut found = [Search::Missing; KINDS];
    if let Some(config) = config(machine, hints.acpi) {
        on_pci(&config, kinds, &mut found);
    }
    // Where PCI has some, other devices may lie where MMIO would be looked for.
    if found.iter().all(|search| *search == Search::Missing) {
        match hints.mmio {
            Some(list) => on_mmio(machine, &mut listed(list), kinds, &mut found),
            // A machine's first device is in the last slot.
            None => on_mmio(machine, &mut (0..MICROVM_SLOTS).rev().map(slot), kinds, &mut found),
        }
    }
    found
}

/// The machine's, if it has PCI. Where the firmware's tables tell of it in memory, that is used: an access there
/// leaves the guest once, and by ports twice.
fn config<M: Machine>(machine: &M, acpi: Option<u64>) -> Option<Config<'_, M>> {
    let told = acpi.and_then(|root| acpi::memory_mapped(root, |at, bytes| machine.firmware(at, bytes)));
    // A machine with ACPI may leave its table out; the place is then looked at where microvm has it.
    let guessed = acpi.map(|_| MICROVM_CONFIG).filter(|_| told.is_none());
    let in_memory = |base: Option<u64>| Some(Access::Memory(machine.map_config(base?)?));
    let places = [in_memory(told), Some(Access::Ports), in_memory(guessed)];
    let mut all = places.into_iter().flatten().map(|access| Config { machine, access });
    all.find(pci_scan::exists)
}

/// Where the first kind is on no bus that a bridge leads to, other host bridges are looked at as well; the other kinds
/// need not be there.
fn on_pci<M: Machine, const KINDS: usize>(
    config: &Config<'_, M>,
    kinds: [Kind; KINDS],
    found: &mut [Search; KINDS],
) {
    let first_is_there = OnceCell::new();
    let mut look = |place: Place, id: Id| {
        let kind = kinds.iter().position(|kind| is_virtio(id, *kind));
        if kind == Some(0) {
            let _ = first_is_there.set(());
        }
        if let Some(slot) = kind.map(|kind| &mut found[kind]).filter(|slot| !is_found(slot)) {
            *slot = structures::read(config, place).map_or_else(
                |reason| Search::Unusable(place, reason),
                |device| Search::Found(Location::Pci(device)),
            );
        }
        !found.iter().all(is_found)
    };
    pci_scan::behind_bridges(config, &mut look);
    if first_is_there.get().is_none() {
        pci_scan::everywhere(config, &mut look);
    }
}

fn is_found(search: &Search) -> bool {
    matches!(search, Search::Found(_))
}

fn is_virtio(id: Id, kind: Kind) -> bool {
    let is_kind = id.device == DEVICE_MODERN + kind as u16 || TRANSITIONAL.contains(&(id.device, kind));
    id.vendor == VENDOR_VIRTIO && is_kind
}

fn on_mmio<const KINDS: usize>(
    machine: &impl Machine,
    devices: &mut dyn Iterator<Item = MmioDevice>,
    kinds: [Kind; KINDS],
    found: &mut [Search; KINDS],
) {
    for device in devices {
        if machine.mmio(device.registers + MAGIC) != Some(MAGIC_VALUE) {
            continue;
        }
        // An empty slot is a device of kind 0.
        let id = machine.mmio(device.registers + DEVICE_ID);
        let kind = kinds.iter().position(|kind| id == Some(*kind as u32));
        if let Some(slot) = kind.map(|kind| &mut found[kind]).filter(|slot| !is_found(slot)) {
            *slot = Search::Found(Location::Mmio(device));
        }
        if found.iter().all(is_found) {
            return;
        }
    }
}

fn slot(number: usize) -> MmioDevice {
    MmioDevice {
        registers: MICROVM_FIRST + number * MICROVM_STRIDE,
        bytes: MICROVM_STRIDE,
        interrupt: MICROVM_INTERRUPT + number as u32,
    }
}

#[cfg(test)]
mod tests;
