//! Which functions a machine's PCI buses have: bridges are followed, to every bus, device and function.
//!
//! Touches no machine: configuration space is given. Opens no device and reads no base addresses. References: PCI
//! Local Bus 3.0 section 6.2, PCI-to-PCI Bridge 1.2 section 3.2.

/// Devices that a bus has room for, and functions of a device.
const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;
/// Registers: vendor and device; class in the upper half; header type in the third byte; bus numbers of a bridge.
const ID: u8 = 0x00;
const CLASS: u8 = 0x08;
const HEADER: u8 = 0x0c;
const BUSES: u8 = 0x18;
/// Class and subclass of a bridge to another bus.
const CLASS_BRIDGE: u16 = 0x0604;
/// Header type: there are more functions than the first.
const MULTI_FUNCTION: u32 = 1 << 23;

/// A function's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of its bus.
    pub bus: u8,
    /// Number on the bus.
    pub device: u8,
    /// Number in the device.
    pub function: u8,
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus, self.device, self.function)
    }
}

/// Vendor and device of a function, as in its first register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    /// Who made it.
    pub vendor: u16,
    /// What it is.
    pub device: u16,
}

/// Where configuration space is read.
pub trait ReadConfig {
    /// The 32 bits at a register; all ones, or zeros on some machines, where there is nothing.
    fn read(&self, place: Place, register: u8) -> u32;
}

/// Whether there is any PCI: bus 0 begins with the host's bridge.
pub fn exists(config: &impl ReadConfig) -> bool {
    id(config, Place { bus: 0, device: 0, function: 0 }).is_some()
}

/// Shows each function on bus 0 and on all buses behind bridges, each once, until `wants_more` says no. Whether it
/// never did.
pub fn behind_bridges(config: &impl ReadConfig, wants_more: &mut dyn FnMut(Place, Id) -> bool) -> bool {
    let mut buses = Buses::default();
    buses.find(0);
    while let Some(bus) = buses.next() {
        if !scan_bus(config, bus, &mut buses, wants_more) {
            return false;
        }
    }
    true
}

/// The same for all buses, with those to which no bridge leads: those of other host bridges. It looks at every
/// place that there is, so it is for machines that would otherwise lack something.
pub fn everywhere(config: &impl ReadConfig, wants_more: &mut dyn FnMut(Place, Id) -> bool) {
    let mut known = Buses::default();
    for bus in 0..=u8::MAX {
        if !scan_bus(config, bus, &mut known, wants_more) {
            return;
        }
    }
}

/// Buses that were found, and those of them that are still to be looked at.
#[derive(Default)]
struct Buses {
    found: [u64; 4],
    left: [u64; 4],
}

impl Buses {
    /// Each bus is looked at once, however many bridges claim to lead to it.
    fn find(&mut self, bus: u8) {
        let (word, bit) = (usize::from(bus / 64), 1 << (bus % 64));
        self.left[word] |= bit & !self.found[word];
        self.found[word] |= bit;
    }

    fn next(&mut self) -> Option<u8> {
        let word = self.left.iter().position(|word| *word != 0)?;
        let bit = self.left[word].trailing_zeros();
        self.left[word] &= !(1 << bit);
        Some((word as u32 * 64 + bit) as u8)
    }
}

fn scan_bus(
    config: &impl ReadConfig,
    bus: u8,
    buses: &mut Buses,
    wants_more: &mut dyn FnMut(Place, Id) -> bool,
) -> bool {
    for device in 0..DEVICES {
        let first = Place { bus, device, function: 0 };
        // A device without its first function has no others.
        if id(config, first).is_none() {
            continue;
        }
        let functions = if config.read(first, HEADER) & MULTI_FUNCTION != 0 { FUNCTIONS } else { 1 };
        for function in 0..functions {
            let place = Place { function, ..first };
            let Some(id) = id(config, place) else { continue };
            if (config.read(place, CLASS) >> 16) as u16 == CLASS_BRIDGE {
                let secondary = (config.read(place, BUSES) >> 8) as u8;
                // A bridge that nobody has set up leads nowhere: to bus 0.
                buses.find(secondary);
            } else if !wants_more(place, id) {
                return false;
            }
        }
    }
    true
}

fn id(config: &impl ReadConfig, place: Place) -> Option<Id> {
    let word = config.read(place, ID);
    let id = Id { vendor: word as u16, device: (word >> 16) as u16 };
    (id.vendor != 0 && id.vendor != u16::MAX).then_some(id)
}

#[cfg(test)]
mod tests;
