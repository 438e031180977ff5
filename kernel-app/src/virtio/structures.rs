//! Where a PCI function has the structures of virtio 1.0, read from its configuration space.
//!
//! Reference: PCI Local Bus 3.0 sections 6.2 (header), 6.7 (capabilities) and 6.8 (MSI-X); virtio 1.2 section 4.1.4.

use core::fmt;
use core::ops::Range;

use super::machine::{Access, Config, Machine};
use super::pci_scan::Place;

/// Registers: command below and status above; the first base address; where the list of capabilities begins; the
/// interrupt's line.
const COMMAND: u8 = 0x04;
const BASE_ADDRESS: u8 = 0x10;
const CAPABILITIES: u8 = 0x34;
const INTERRUPT: u8 = 0x3c;
/// Command: the function's memory can be reached, and it reaches the machine's.
const MEMORY: u32 = 0b010;
const MEMORY_AND_MASTER: u32 = 0b110;
/// Base address registers of a function.
const BASE_ADDRESSES: u8 = 6;
/// What the lowest bits of a base address say: ports in place of memory, and 64 bits.
const PORTS: u32 = 1;
const WIDTH: u32 = 0b110;
const WIDTH_64: u32 = 0b100;
const FLAGS: u32 = 0xf;

/// Most capabilities of a function: no more fit behind its header.
const CAPABILITIES_MAX: usize = 48;
const CAPABILITY_VENDOR: u8 = 0x09;
const CAPABILITY_MSIX: u8 = 0x11;
/// `cfg_type` of a virtio capability.
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const INTERRUPT_STATUS: u8 = 3;
const DEVICE: u8 = 4;

/// Where base addresses are given out on machines whose firmware gives none: the window of PCI on QEMU's microvm
/// (hw/i386/microvm.c), and a part of q35's (hw/pci-host/q35.c: what is not memory).
const WINDOW: Range<u64> = 0xc000_0000..0xe000_0000;

/// A virtio device on PCI. Addresses are physical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciDevice {
    /// How its configuration space is reached.
    pub access: Access,
    /// Its place on the buses.
    pub place: Place,
    /// The common configuration (section 4.1.4.3).
    pub common: u64,
    /// The notification registers, and the bytes between two of them (section 4.1.4.4).
    pub notify: u64,
    /// Bytes per unit of a queue's notification offset.
    pub notify_multiplier: u32,
    /// The interrupt status, which a read clears (section 4.1.4.5).
    pub interrupt_status: Option<u64>,
    /// The configuration of its kind (section 4.1.4.6).
    pub config: Option<u64>,
    /// Its interrupts by messages, if it has some.
    pub msix: Option<Msix>,
    /// The number of its interrupt's line, as the firmware has written it.
    pub line: u8,
}

/// Interrupts by messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msix {
    /// The register where the capability begins.
    pub capability: u8,
    /// Where its table begins.
    pub table: u64,
}

/// Why a function with a virtio device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It has none of the structures of virtio 1.0.
    Legacy,
    /// The firmware has given this base address register no address.
    NoAddress(u8),
    /// Its registers lie beyond what can be mapped.
    NoRoom(u64),
    /// Its structures make no sense.
    Malformed,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Legacy => f.write_str(
                "it is a legacy device: start QEMU with disable-legacy=on, or without disable-modern=on",
            ),
            Self::NoAddress(bar) => {
                write!(f, "the firmware has given its base address register {bar} no address")
            }
            Self::NoRoom(address) => write!(f, "its registers at {address:#x} cannot be mapped"),
            Self::Malformed => f.write_str("its virtio capabilities make no sense"),
        }
    }
}

/// Reads a function's structures, and lets it reach memory.
///
/// # Errors
/// When it lacks one that is needed, or has one where nothing can be.
#[cold]
pub fn read<M: Machine>(config: &Config<'_, M>, place: Place) -> Result<PciDevice, Unusable> {
    let word = |register: u8| config.word(place, register);
    // Each read leaves the guest, and all structures lie behind the same base address, or behind two.
    let mut bases = [None; BASE_ADDRESSES as usize];
    let mut base = |bar: u8| match bases.get_mut(usize::from(bar)) {
        Some(Some(base)) => Ok(*base),
        Some(base) => Ok(*base.insert(base_address(config, place, bar)?)),
        None => Err(Unusable::Malformed),
    };
    let (mut common, mut notify, mut interrupt_status, mut device, mut msix) = (None, None, None, None, None);
    for (at, first) in capabilities(&word) {
        let mut structure = || {
            let start = base(word(at.wrapping_add(4)) as u8)?;
            start.checked_add(word(at.wrapping_add(8)).into()).ok_or(Unusable::Malformed)
        };
        match (first as u8, (first >> 24) as u8) {
            (CAPABILITY_VENDOR, COMMON) if common.is_none() => common = Some(structure()?),
            (CAPABILITY_VENDOR, NOTIFY) if notify.is_none() => {
                notify = Some((structure()?, word(at.wrapping_add(16))));
            }
            (CAPABILITY_VENDOR, INTERRUPT_STATUS) if interrupt_status.is_none() => {
                interrupt_status = Some(structure()?);
            }
            (CAPABILITY_VENDOR, DEVICE) if device.is_none() => device = Some(structure()?),
            (CAPABILITY_MSIX, _) => {
                let table = word(at.wrapping_add(4));
                let start = base((table & 7) as u8)?;
                let address = start.checked_add((table & !7).into()).ok_or(Unusable::Malformed)?;
                msix = Some(Msix { capability: at, table: address });
            }
            _ => {}
        }
    }
    let (Some(common), Some((notify, notify_multiplier))) = (common, notify) else {
        return Err(Unusable::Legacy);
    };
    let command = word(COMMAND);
    if command & MEMORY_AND_MASTER != MEMORY_AND_MASTER {
        // The upper half's bits are cleared by ones.
        config.set_word(place, COMMAND, command & 0xffff | MEMORY_AND_MASTER);
    }
    // Only who has no messages is asked for its line.
    let line = if msix.is_some() { 0 } else { word(INTERRUPT) as u8 };
    let access = config.access;
    Ok(PciDevice {
        access,
        place,
        common,
        notify,
        notify_multiplier,
        interrupt_status,
        config: device,
        msix,
        line,
    })
}

/// The registers at which capabilities begin, each with its first word. A list that goes in a circle ends.
fn capabilities(word: &impl Fn(u8) -> u32) -> impl Iterator<Item = (u8, u32)> {
    let mut next = word(CAPABILITIES) as u8;
    let follow = move || {
        // None lies in the header.
        let at = Some(next & !3).filter(|at| *at >= 0x40)?;
        let first = word(at);
        next = (first >> 8) as u8;
        Some((at, first))
    };
    core::iter::from_fn(follow).take(CAPABILITIES_MAX)
}

/// Where a base address register's memory begins.
fn base_address<M: Machine>(config: &Config<'_, M>, place: Place, bar: u8) -> Result<u64, Unusable> {
    let register = BASE_ADDRESS + 4 * bar;
    let low = config.word(place, register);
    let is_wide = low & WIDTH == WIDTH_64;
    if low & PORTS != 0 || is_wide && bar + 1 == BASE_ADDRESSES {
        return Err(Unusable::Malformed);
    }
    let high = if is_wide { config.word(place, register + 4) } else { 0 };
    match u64::from(high) << 32 | u64::from(low & !FLAGS) {
        0 => assign(config, place, register).map(u64::from).ok_or(Unusable::NoAddress(bar)),
        address => Ok(address),
    }
}

/// Gives a register without an address one, where no firmware has set PCI up. One that has lets the function's memory
/// be reached, and what is left without an address there has no room.
fn assign<M: Machine>(config: &Config<'_, M>, place: Place, register: u8) -> Option<u32> {
    if config.word(place, COMMAND) & MEMORY != 0 {
        return None;
    }
    // The bits that stay zero tell the size.
    config.set_word(place, register, u32::MAX);
    let bytes = u64::from(!(config.word(place, register) & !FLAGS)) + 1;
    let base = config.machine.assigned().get().max(WINDOW.start).next_multiple_of(bytes.next_power_of_two());
    let end = base.checked_add(bytes).filter(|end| *end <= WINDOW.end)?;
    config.machine.assigned().set(end);
    config.set_word(place, register, base as u32);
    Some(base as u32)
}
