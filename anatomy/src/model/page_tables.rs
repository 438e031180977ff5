//! The page tables of a machine, read out of a copy of its memory: which virtual addresses lead where, and with which
//! rights.
//!
//! Reference: Intel SDM volume 3, section 5.5 (4-level paging).

const ENTRIES: usize = 512;
const PAGE_BITS: u32 = 12;
const TABLE_BITS: u32 = 9;
const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Bytes of a table.
pub const TABLE_BYTES: u64 = 1 << PAGE_BITS;

/// A range of virtual addresses that leads to one range of physical ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The first virtual address.
    pub start: u64,
    /// The virtual address behind it.
    pub end: u64,
    /// Where the first address leads.
    pub physical: u64,
    /// What may be done there.
    pub rights: Rights,
}

/// What may be done in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Whether it can be written.
    pub is_writable: bool,
    /// Whether it can be executed.
    pub is_executable: bool,
}

/// What the processor translates with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageTables {
    /// Physical addresses of the tables of each level, the root first.
    pub tables: [Vec<u64>; 4],
    /// What is mapped, by virtual address; neighbours that belong together are one.
    pub mappings: Vec<Mapping>,
}

impl Rights {
    /// As tools write them.
    pub fn label(self) -> &'static str {
        match (self.is_writable, self.is_executable) {
            (true, true) => "rwx",
            (true, false) => "rw",
            (false, true) => "rx",
            (false, false) => "r",
        }
    }
}

impl PageTables {
    /// Reads them, from the table that the processor's register CR3 names.
    pub fn read(memory: &[u8], cr3: u64) -> Self {
        let mut found = Self::default();
        let rights = Rights { is_writable: true, is_executable: true };
        found.walk(memory, cr3 & ADDRESS, 0, 0, rights);
        found
    }

    /// How many tables there are.
    pub fn count(&self) -> u64 {
        self.tables.iter().map(|tables| tables.len() as u64).sum()
    }

    /// What a virtual address belongs to.
    pub fn mapping(&self, address: u64) -> Option<&Mapping> {
        self.mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(&address))
    }

    fn walk(&mut self, memory: &[u8], table: u64, level: usize, base: u64, above: Rights) {
        let Ok(at) = usize::try_from(table) else { return };
        let Some(bytes) = memory.get(at..at + TABLE_BYTES as usize) else { return };
        self.tables[level].push(table);
        let page_bits = PAGE_BITS + TABLE_BITS * (3 - level as u32);
        for (index, entry) in bytes.chunks_exact(size_of::<u64>()).take(ENTRIES).enumerate() {
            let entry = u64::from_le_bytes(entry.try_into().unwrap_or_default());
            if entry & PRESENT == 0 {
                continue;
            }
            let rights = Rights {
                is_writable: above.is_writable && entry & WRITABLE != 0,
                is_executable: above.is_executable && entry & NO_EXECUTE == 0,
            };
            let start = canonical(base | (index as u64) << page_bits);
            if level == 3 || entry & LARGE != 0 {
                let physical = entry & ADDRESS & !((1 << page_bits) - 1);
                self.add(Mapping { start, end: start + (1 << page_bits), physical, rights });
            } else {
                self.walk(memory, entry & ADDRESS, level + 1, start, rights);
            }
        }
    }

    fn add(&mut self, mapping: Mapping) {
        if let Some(last) = self.mappings.last_mut()
            && last.end == mapping.start
            && last.physical + (last.end - last.start) == mapping.physical
            && last.rights == mapping.rights
        {
            last.end = mapping.end;
        } else {
            self.mappings.push(mapping);
        }
    }
}

/// Addresses in the upper half begin with ones.
fn canonical(address: u64) -> u64 {
    if address & (1 << 47) == 0 { address } else { address | 0xffff << 48 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables at pages 1 to 4: two small pages that follow each other and one elsewhere, and a large page.
    fn memory() -> Vec<u8> {
        let mut memory = vec![0; 5 * TABLE_BYTES as usize];
        let mut set = |table: usize, index: usize, entry: u64| {
            let at = table * TABLE_BYTES as usize + index * 8;
            memory[at..at + 8].copy_from_slice(&entry.to_le_bytes());
        };
        set(1, 0, 0x2000 | PRESENT | WRITABLE);
        set(2, 0, 0x3000 | PRESENT | WRITABLE);
        set(3, 0, 0x4000 | PRESENT | WRITABLE);
        set(3, 1, 0x20_0000 | PRESENT | WRITABLE | LARGE);
        set(4, 1, 0x8000 | PRESENT | WRITABLE | NO_EXECUTE);
        set(4, 2, 0x9000 | PRESENT | WRITABLE | NO_EXECUTE);
        set(4, 3, 0xf000 | PRESENT);
        memory
    }

    #[test]
    fn pages_that_belong_together_are_one_range() {
        let tables = PageTables::read(&memory(), 0x1000);
        let told: Vec<_> = tables
            .mappings
            .iter()
            .map(|mapping| (mapping.start, mapping.end, mapping.physical, mapping.rights.label()))
            .collect();
        let large = (0x20_0000, 0x40_0000, 0x20_0000, "rwx");
        assert_eq!(told, [(0x1000, 0x3000, 0x8000, "rw"), (0x3000, 0x4000, 0xf000, "rx"), large]);
        assert_eq!(tables.count(), 4);
        assert_eq!(tables.mapping(0x2abc).map(|mapping| mapping.physical), Some(0x8000));
        assert_eq!(canonical(1 << 47), 0xffff_8000_0000_0000);
    }

    #[test]
    fn a_table_outside_of_the_memory_is_none() {
        assert_eq!(PageTables::read(&memory(), 0x100_0000), PageTables::default());
    }
}
