//! The judge of exercise 04.1: a memory with tables in it, as the loader of chapter 4 and kernel-app make them.

use std::collections::BTreeMap;

use exercise_04_1::{index, translate};

const TABLE: u64 = 3;
const LARGE: u64 = 0x83;
const NO_EXECUTE: u64 = 1 << 63;

/// A memory of tables: a root at 0x1000, which maps 2 MiB at 0 in small pages, and 2 MiB and 1 GiB in large ones.
fn memory() -> BTreeMap<u64, u64> {
    BTreeMap::from([
        (0x1000, 0x2000 | TABLE),
        (0x1000 + 8 * 511, 0x5000 | TABLE),
        (0x2000, 0x3000 | TABLE),
        (0x2000 + 8 * 3, 0xc000_0000 | LARGE | NO_EXECUTE),
        (0x3000, 0x4000 | TABLE),
        (0x3000 + 8, 0x20_0000 | LARGE),
        (0x3000 + 16, 0x7f_0000_0000 | LARGE | NO_EXECUTE),
        // Not present, whatever else is in it.
        (0x3000 + 24, 0x60_0000 | 0x82),
        (0x4000 + 8, 0x9000 | 1),
        (0x4000 + 16, 0xa000 | TABLE | NO_EXECUTE | 1 << 52),
        // Bit 7 of a small page is no size, but a kind of caching.
        (0x4000 + 24, 0xb000 | LARGE),
        (0x5000 + 8 * 510, 0x6000 | TABLE),
        (0x6000 + 8 * 509, 0x7000 | TABLE),
        (0x7000 + 8 * 508, 0x12_3000 | TABLE),
    ])
}

fn check(address: u64, expected: Option<u64>, why: &str) {
    let memory = memory();
    let read = |at: u64| {
        assert!(
            at & 7 == 0 && at < 0x8000,
            "expected reads of entries in tables, not of what a page with bit 7 maps; came a read at {at:#x} \
             for {address:#x}"
        );
        memory.get(&at).copied().unwrap_or(0)
    };
    let came = translate(&read, 0x1000, address);
    let shown = |value: Option<u64>| value.map_or("None".to_owned(), |value| format!("{value:#x}"));
    assert!(came == expected, "expected {} for {address:#x} ({why}); came {}", shown(expected), shown(came));
}

#[test]
fn a_an_index_is_nine_bits_of_the_address() {
    for (address, level, expected) in
        [(0x1000, 0, 1), (0x20_0000, 1, 1), (0x4000_0000, 2, 1), (1 << 39, 3, 1), (0x5fff, 0, 5)]
    {
        let came = index(address, level);
        assert!(came == expected, "expected entry {expected} at level {level} for {address:#x}; came {came}");
    }
    let came = index(0x20_1000, 0);
    assert!(
        came == 1,
        "expected entry 1 at level 0 for 0x201000, the last 9 bits of it after 12 are gone; came {came}"
    );
    let came = [3, 2, 1, 0].map(|level| index(0xffff_ffff_bfbf_c000, level));
    assert!(
        came == [511, 510, 509, 508],
        "expected entries 511, 510, 509 and 508 for 0xffffffffbfbfc000; came {came:?}"
    );
}

#[test]
fn b_a_small_page_is_found_through_four_tables() {
    check(0x1234, Some(0x9234), "entry 1 of the table at 0x4000");
    check(0xffff_ffff_bfbf_c567, Some(0x12_3567), "the last entries of the upper half");
    check(0x3abc, Some(0xbabc), "bit 7 says nothing of an entry at level 0");
}

#[test]
fn c_flags_are_no_part_of_an_address() {
    check(0x2345, Some(0xa345), "bit 63 is a flag, and so is bit 52");
}

#[test]
fn d_what_is_not_present_is_not_mapped() {
    check(0x5000, None, "its entry at level 0 is zero");
    check(0x60_0000, None, "bit 0 of its entry at level 1 is not set");
    check(1 << 39, None, "its entry in the root is zero");
}

#[test]
fn e_a_large_page_ends_the_search() {
    check(0x20_0000, Some(0x20_0000), "bit 7 of its entry at level 1 makes it a page of 2 MiB");
    check(0x2d_e0c8, Some(0x2d_e0c8), "in a page of 2 MiB the last 21 bits are the place in it");
    check(0x5f_ffff, Some(0x7f_001f_ffff), "the last byte of a page of 2 MiB, bit 63 is a flag");
    check(0xf123_4567, Some(0xf123_4567), "bit 7 of its entry at level 2 makes it a page of 1 GiB");
}
