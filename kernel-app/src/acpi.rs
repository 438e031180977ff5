//! ACPI tables: where a machine has PCI's configuration space in memory, its power button, and what switches it off.
//!
//! Memory is given as a function. Whatever the tables say, they are read within their bounds. The machine language in
//! them is not read. Reference: ACPI 6.5, sections 4.8.3 (fixed registers) and 5.2 (tables); PCI Firmware 3.3, table
//! "MCFG".

/// Where configuration space lies in memory: the first piece that begins with bus 0. `root` is where the root pointer
/// is; `read` gives so many bytes of memory, or none outside of it.
pub fn memory_mapped<'a>(root: u64, read: impl Fn(u64, usize) -> Option<&'a [u8]>) -> Option<u64> {
    let found = find(root, *b"MCFG", &read)?;
    // After the header and eight reserved bytes: address, segment, first and last bus, four reserved bytes.
    let pieces = found.get(44..)?.chunks_exact(16);
    pieces.filter(|piece| piece[8..11] == [0; 3]).map(|piece| number(&piece[..8])).next()
}

/// A register for one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// An I/O port.
    Port(u16),
    /// An address of memory.
    Memory(u64),
}

/// What a machine has for its power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// The port of the 16 status bits of fixed events, and that of their enable bits: one of them is the power button.
    pub button: Option<[u16; 2]>,
    /// Whether it has none of the fixed hardware.
    pub is_reduced: bool,
    /// The register that then switches it off.
    pub sleep_control: Option<Register>,
}

/// Table "FACP": flags with the button that is no fixed one and with the lack of fixed hardware; the fixed event
/// registers, with how many bytes they have; the sleep control register.
const FLAGS: usize = 112;
const BUTTON_IS_A_METHOD: u64 = 1 << 4;
const NO_FIXED_HARDWARE: u64 = 1 << 20;
const EVENTS: usize = 56;
const EVENTS_BYTES: usize = 88;
const SLEEP_CONTROL: usize = 244;

/// Reads it.
#[cold]
pub fn power<'a>(root: u64, read: impl Fn(u64, usize) -> Option<&'a [u8]>) -> Power {
    let Some(table) = find(root, *b"FACP", &read) else { return Power::default() };
    let field = |at: usize, bytes: usize| table.get(at..at + bytes).map_or(0, number);
    let (flags, events) = (field(FLAGS, 4), field(EVENTS, 4));
    if flags & NO_FIXED_HARDWARE != 0 {
        // Address space, width, offset, size of access, address.
        let address = field(SLEEP_CONTROL + 4, 8);
        let sleep_control = match field(SLEEP_CONTROL, 1) {
            _ if address == 0 => None,
            0 => Some(Register::Memory(address)),
            1 => u16::try_from(address).ok().map(Register::Port),
            _ => None,
        };
        return Power { button: None, is_reduced: true, sleep_control };
    }
    let enable = events + field(EVENTS_BYTES, 1) / 2;
    let ports = u16::try_from(events).ok().zip(u16::try_from(enable).ok());
    let button = ports.filter(|_| events != 0 && enable != events && flags & BUTTON_IS_A_METHOD == 0);
    Power { button: button.map(|(status, enable)| [status, enable]), ..Power::default() }
}

/// The table of a name.
fn find<'a>(root: u64, name: [u8; 4], read: &impl Fn(u64, usize) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
    let pointer = read(root, 36).filter(|pointer| pointer.starts_with(b"RSD PTR "))?;
    // Revision 2 brings a table with 64-bit addresses.
    let (tables, width) =
        if pointer[15] >= 2 { (number(&pointer[24..32]), 8) } else { (number(&pointer[16..20]), 4) };
    let entries = table(tables, read)?.get(36..)?;
    let addresses = entries.chunks_exact(width).map(number);
    addresses.filter_map(|address| table(address, read)).find(|table| table.starts_with(&name))
}

/// Longest table that is read.
const TABLE_BYTES_MAX: usize = 64 * 1024;

/// A table with its header, as long as it says.
fn table<'a>(address: u64, read: &impl Fn(u64, usize) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
    let bytes = usize::try_from(number(&read(address, 36)?[4..8])).ok()?;
    read(address, bytes.clamp(36, TABLE_BYTES_MAX))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virtio::recorded::{memory, piece};

    fn reader<'a>(memory: &'a [u8]) -> impl Fn(u64, usize) -> Option<&'a [u8]> {
        move |address, bytes| {
            let start = usize::try_from(address).ok()?.checked_sub(0x1000)?;
            memory.get(start..start.checked_add(bytes)?)
        }
    }

    fn mapped(memory: &[u8]) -> Option<u64> {
        memory_mapped(0x1000, reader(memory))
    }

    /// The power of a machine whose table has these bytes at these places.
    fn power_of(fields: &[(usize, &[u8])]) -> Power {
        let mut memory = memory(2, &[]);
        // The table is the last one in this memory, which grows behind it.
        let start = memory.len();
        memory.resize(start + 276, 0);
        memory[start..start + 4].copy_from_slice(b"FACP");
        memory[start + 4..start + 8].copy_from_slice(&276u32.to_le_bytes());
        for (at, bytes) in fields {
            memory[start + at..][..bytes.len()].copy_from_slice(bytes);
        }
        let first_entry = 0x200 + 36;
        memory[first_entry..first_entry + 8].copy_from_slice(&(0x1000 + start as u64).to_le_bytes());
        power(0x1000, reader(&memory))
    }

    #[test]
    fn a_pc_has_a_power_button_unless_it_is_a_method() {
        let events: [(usize, &[u8]); 2] = [(56, &0x600u32.to_le_bytes()), (88, &[4])];
        assert_eq!(power_of(&events).button, Some([0x600, 0x602]));
        let method: (usize, &[u8]) = (112, &[1 << 4, 0, 0, 0]);
        assert_eq!(power_of(&[events[0], events[1], method]), Power::default());
        assert_eq!(power_of(&[events[0]]), Power::default());
        assert_eq!(power_of(&[events[1]]), Power::default());
        assert_eq!(power_of(&[(56, &[0xff; 4]), events[1]]), Power::default());
    }

    #[test]
    fn a_machine_without_fixed_hardware_has_a_register_that_switches_it_off() {
        let reduced: (usize, &[u8]) = (112, &[0, 0, 1 << 4, 0]);
        let register = |space: u8, address: u64| {
            let bytes = [&[space, 8, 0, 1][..], &u64::to_le_bytes(address)].concat();
            power_of(&[reduced, (56, &[0, 6, 0, 0]), (88, &[4]), (244, &bytes)])
        };
        let off = |register| Power { button: None, is_reduced: true, sleep_control: register };
        assert_eq!(register(1, 0x600), off(Some(Register::Port(0x600))));
        assert_eq!(register(0, 0xfea0_0000), off(Some(Register::Memory(0xfea0_0000))));
        for (space, address) in [(1, 0x1_0000), (1, 0), (0, 0), (7, 0x600)] {
            assert_eq!(register(space, address), off(None), "{space} {address:#x}");
        }
    }

    #[test]
    fn memory_mapped_configuration_is_where_the_tables_say() {
        let pieces = [piece(0xd000_0000, 1, 0), piece(0xc000_0000, 0, 64), piece(0xe000_0000, 0, 0)].concat();
        for revision in [0, 2] {
            assert_eq!(mapped(&memory(revision, &pieces)), Some(0xe000_0000), "revision {revision}");
            assert_eq!(mapped(&memory(revision, &pieces[..32])), None);
            assert_eq!(mapped(&memory(revision, &[])), None);
        }
    }

    #[test]
    fn damaged_tables_give_nothing_and_no_panic() {
        let whole = memory(2, &[0; 16]);
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                let _ = (mapped(&damaged), power(0x1000, reader(&damaged)));
            }
            let _ = mapped(&whole[..at]);
        }
        assert_eq!(mapped(b"not a root pointer, but as long as one is"), None);
    }
}
