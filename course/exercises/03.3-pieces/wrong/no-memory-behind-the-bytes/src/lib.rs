//! Exercise 03.3: pieces. Write `pieces`, and type `cargo course check 3.3`.
//!
//! A program in memory has long runs of zeros. An image does not store them: it consists of pieces, and QEMU makes the
//! memory between two pieces zero, as far as the first of them says. But each piece has a header of 56 bytes. So a
//! short run of zeros stays in its piece.
#![no_std]

extern crate alloc;

use alloc::vec::Vec;

/// A part of a program that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where its bytes begin in the program.
    pub offset: usize,
    /// How many bytes are stored. The first and the last of them are not zero.
    pub stored_bytes: usize,
    /// How much memory it stands for: its bytes, and the zeros up to the next piece or to the program's end.
    pub memory_bytes: usize,
}

/// The pieces of a program that begins with these bytes, of which the first is not zero, and takes `memory_bytes`:
/// what lies behind the bytes is zero. Between two pieces there are `gap_bytes_min` zeros or more, and no piece has as
/// many in it.
pub fn pieces(bytes: &[u8], memory_bytes: usize, gap_bytes_min: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        match pieces.last_mut() {
            Some(last) if at - (last.offset + last.stored_bytes) < gap_bytes_min => {
                last.stored_bytes = at + 1 - last.offset;
            }
            _ => pieces.push(Piece { offset: at, stored_bytes: 1, memory_bytes: 0 }),
        }
    }
    let _ = memory_bytes;
    for piece in &mut pieces {
        piece.memory_bytes = piece.stored_bytes;
    }
    pieces
}
