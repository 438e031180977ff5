//! Exercise 04.1: page tables. Write `index` and `translate`, and type `cargo course check 4.1`.
//!
//! There are four levels of tables; the root is at level 3, and the table whose entries are pages of 4 KiB at level 0.
//! Each table has 512 entries of 8 bytes. An entry:
//!
//! | bits | meaning |
//! |---|---|
//! | 0 | the entry is present; if not, nothing else in it counts |
//! | 7 | at level 1 and 2: the entry is a page of 2 MiB or 1 GiB, and not a table |
//! | 12 to 51 | the physical address of the table or the page; its lower bits are zero |
//! | 1 to 11, and 52 to 63 | rights and other flags |
#![no_std]

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The number of the entry, in the table of this level, that an address is found through.
pub fn index(address: u64, level: u32) -> u64 {
    address >> (12 + 9 * level) & 511
}

/// The physical address of a virtual one, or none if it is not mapped.
pub fn translate(read: &dyn Fn(u64) -> u64, root: u64, address: u64) -> Option<u64> {
    let mut table = root;
    for level in (0..4).rev() {
        let entry = read(table + 8 * index(address, level));
        if entry & PRESENT == 0 {
            return None;
        }
        table = entry & ADDRESS;
        if level == 0 || (level < 3 && entry & LARGE != 0) {
            let in_page = (1 << (12 + 9 * level)) - 1;
            return Some(table | address & in_page);
        }
    }
    None
}
