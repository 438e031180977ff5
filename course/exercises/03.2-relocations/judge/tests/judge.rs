//! The judge of exercise 03.2: tables with one thing special in each.

use exercise_03_2::{Error, relocate};

const START: u64 = 0x20_0000;

fn table(entries: &[(u64, u64, i64)]) -> Vec<u8> {
    let words = entries.iter().flat_map(|(offset, info, addend)| [*offset, *info, *addend as u64]);
    words.flat_map(u64::to_le_bytes).collect()
}

fn word(memory: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(memory[at..at + 8].try_into().expect("eight bytes"))
}

#[test]
fn a_an_address_is_where_the_program_lies_plus_the_addend() {
    let mut memory = [0; 64];
    let result = relocate(&mut memory, &table(&[(16, 8, 0xd995)]), START);
    assert!(result == Ok(()), "expected Ok(()) for one relative relocation; came {result:?}");
    let came = word(&memory, 16);
    assert!(came == 0x20_d995, "expected 0x20d995 at offset 16 (0x200000 + 0xd995); came {came:#x}");
    let others = memory.iter().enumerate().filter(|(at, byte)| !(16..24).contains(at) && **byte != 0).count();
    assert!(others == 0, "expected only the 8 bytes at the offset to change; came changes in {others} others");
}

#[test]
fn b_what_was_in_memory_is_overwritten() {
    let mut memory = [0x11; 32];
    relocate(&mut memory, &table(&[(8, 8, 0x40)]), START).expect("a table that can be followed");
    let came = word(&memory, 8);
    let hint = if came as u32 == 0x20_0040 { "all 8 bytes are written" } else { "what was in memory before does not count" };
    assert!(came == 0x20_0040, "expected 0x200040 at an offset that held 0x1111111111111111 ({hint}); came {came:#x}");
}

#[test]
fn c_entries_follow_each_other_and_an_addend_has_a_sign() {
    let mut memory = [0; 32];
    let entries = [(0, 8, 1), (8, 8, -16), (24, 8 | 3 << 32, 2)];
    let result = relocate(&mut memory, &table(&entries), START);
    assert!(result == Ok(()), "expected Ok(()) for three relocations, the last with a symbol in its upper half; came {result:?}");
    let came = [word(&memory, 0), word(&memory, 8), word(&memory, 24)];
    let expected = [START + 1, START - 16, START + 2];
    assert!(came == expected, "expected {expected:#x?} for addends 1, -16 and 2; came {came:#x?}");
}

#[test]
fn d_another_type_is_refused() {
    let mut memory = [0; 32];
    let result = relocate(&mut memory, &table(&[(0, 8, 0), (8, 6, 0)]), START);
    assert!(result == Err(Error::Type(6)), "expected Err(Type(6)) for a relocation that needs a symbol; came {result:?}");
}

#[test]
fn e_a_table_that_is_cut_off_is_refused() {
    let mut memory = [0; 32];
    let result = relocate(&mut memory, &table(&[(0, 8, 0)])[..23], START);
    assert!(result == Err(Error::CutOff), "expected Err(CutOff) for 23 bytes; came {result:?}");
}

#[test]
fn f_nothing_is_written_outside_of_the_program() {
    for offset in [25, 32, 1 << 40, u64::MAX - 3] {
        let mut memory = [0; 32];
        let result = relocate(&mut memory, &table(&[(offset, 8, 0)]), START);
        assert!(result == Err(Error::Outside(offset)), "expected Err(Outside({offset})) for 32 bytes of memory; came {result:?}");
    }
    let mut memory = [0; 32];
    let result = relocate(&mut memory, &table(&[(24, 8, 0)]), START);
    assert!(result == Ok(()), "expected Ok(()) for the last 8 of 32 bytes; came {result:?}");
}
