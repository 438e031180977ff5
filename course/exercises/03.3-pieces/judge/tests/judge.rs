//! The judge of exercise 03.3: programs small enough to be read, and one that is put together again.

use exercise_03_3::{Piece, pieces};

const GAP: usize = 8;

/// A program of runs: this many ones and zeros in turn.
fn program(runs: &[usize]) -> Vec<u8> {
    runs.iter().enumerate().flat_map(|(at, length)| vec![u8::from(at % 2 == 0); *length]).collect()
}

/// What a machine has in memory once the pieces are loaded; 0xee where nobody has written.
fn loaded(pieces: &[Piece], bytes: &[u8], memory_bytes: usize) -> Vec<u8> {
    let mut memory = vec![0xee; memory_bytes];
    for Piece { offset, stored_bytes, memory_bytes: memory_end } in pieces {
        let end = offset.checked_add(*memory_end).filter(|end| *end <= memory_bytes);
        let end = end.unwrap_or_else(|| {
            panic!("expected pieces that end within {memory_bytes} bytes; came {pieces:?}")
        });
        assert!(stored_bytes <= memory_end, "expected no piece with more bytes than memory; came {pieces:?}");
        memory[*offset..end].fill(0);
        memory[*offset..offset + stored_bytes].copy_from_slice(&bytes[*offset..offset + stored_bytes]);
    }
    memory
}

#[test]
fn a_a_program_without_zeros_is_one_piece() {
    let came = pieces(&program(&[5]), 5, GAP);
    let expected = [Piece { offset: 0, stored_bytes: 5, memory_bytes: 5 }];
    assert!(came == expected, "expected {expected:?} for five ones; came {came:?}");
}

#[test]
fn b_a_short_run_of_zeros_stays() {
    let came = pieces(&program(&[4, 7, 4]), 15, GAP);
    assert!(
        came.len() == 1,
        "expected 1 piece for 7 zeros among ones: each piece costs a header; came {came:?}"
    );
}

#[test]
fn c_a_run_that_is_long_enough_is_left_out() {
    let came = pieces(&program(&[4, 8, 4]), 16, GAP);
    assert!(came.len() == 2, "expected 2 pieces around exactly {GAP} zeros; came {came:?}");
    assert!(
        came[0].stored_bytes == 4 && came[1].offset == 12,
        "expected bytes 0 to 4 and 12 to 16 stored; came {came:?}"
    );
}

#[test]
fn d_memory_that_is_not_stored_is_zero() {
    let came = pieces(&program(&[4, 20, 4]), 40, GAP);
    let memory: Vec<usize> = came.iter().map(|piece| piece.memory_bytes).collect();
    assert!(
        memory == [24, 16],
        "expected pieces of 24 and 16 bytes of memory: each has the zeros behind its bytes in it; came {memory:?}"
    );
}

#[test]
fn e_zeros_at_the_end_of_the_bytes_are_not_stored() {
    let came = pieces(&program(&[4, 3]), 7, GAP);
    let expected = [Piece { offset: 0, stored_bytes: 4, memory_bytes: 7 }];
    assert!(came == expected, "expected {expected:?} for four ones and three zeros; came {came:?}");
}

#[test]
fn f_memory_is_the_same_as_before() {
    let bytes = program(&[100, 3, 1, 8, 50, 4096, 9, 7, 9, 9, 1]);
    let memory_bytes = bytes.len() + 5000;
    let came = pieces(&bytes, memory_bytes, GAP);
    let mut expected = bytes.clone();
    expected.resize(memory_bytes, 0);
    let memory = loaded(&came, &bytes, memory_bytes);
    let differs = expected.iter().zip(&memory).position(|(expected, came)| expected != came);
    assert!(
        differs.is_none(),
        "expected the same memory as without pieces; came a difference at byte {differs:?} for {came:?}"
    );
    let stored: usize = came.iter().map(|piece| piece.stored_bytes).sum();
    assert!(stored == 180, "expected 180 stored bytes; came {stored}");
}
