//! ACPI tables: where a machine has PCI's configuration space in memory.
//!
//! Memory is given as a function. Whatever the tables say, they are read within their bounds. Reference: ACPI 6.5,
//! section 5.2; PCI Firmware 3.3, table "MCFG".

/// Where configuration space lies in memory, by the ACPI tables that the root pointer at `root` leads to: the first
/// piece that begins with bus 0. `read` gives so many bytes of memory, or none outside of it.
pub fn memory_mapped<'a>(root: u64, read: impl Fn(u64, usize) -> Option<&'a [u8]>) -> Option<u64> {
    let pointer = read(root, 36).filter(|pointer| pointer.starts_with(b"RSD PTR "))?;
    // Revision 2 brings a table with 64-bit addresses.
    let (tables, width) =
        if pointer[15] >= 2 { (number(&pointer[24..32]), 8) } else { (number(&pointer[16..20]), 4) };
    let entries = table(tables, &read)?.get(36..)?;
    let addresses = entries.chunks_exact(width).map(number);
    let found =
        addresses.filter_map(|address| table(address, &read)).find(|table| table.starts_with(b"MCFG"))?;
    // After the header and eight reserved bytes: address, segment, first and last bus, four reserved bytes.
    let pieces = found.get(44..)?.chunks_exact(16);
    pieces.filter(|piece| piece[8..11] == [0; 3]).map(|piece| number(&piece[..8])).next()
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

    fn find(memory: &[u8]) -> Option<u64> {
        memory_mapped(0x1000, |address, bytes| {
            let start = usize::try_from(address).ok()?.checked_sub(0x1000)?;
            memory.get(start..start.checked_add(bytes)?)
        })
    }

    #[test]
    fn memory_mapped_configuration_is_where_the_tables_say() {
        let pieces = [piece(0xd000_0000, 1, 0), piece(0xc000_0000, 0, 64), piece(0xe000_0000, 0, 0)].concat();
        for revision in [0, 2] {
            assert_eq!(find(&memory(revision, &pieces)), Some(0xe000_0000), "revision {revision}");
            assert_eq!(find(&memory(revision, &pieces[..32])), None);
            assert_eq!(find(&memory(revision, &[])), None);
        }
    }

    #[test]
    fn damaged_tables_give_nothing_and_no_panic() {
        let whole = memory(2, &[0; 16]);
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                let _ = find(&damaged);
            }
            let _ = find(&whole[..at]);
        }
        assert_eq!(find(b"not a root pointer, but as long as one is"), None);
    }
}
