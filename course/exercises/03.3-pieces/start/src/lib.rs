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
    // Yours to write. So far: one piece with everything in it.
    let _ = gap_bytes_min;
    [Piece { offset: 0, stored_bytes: bytes.len(), memory_bytes }].into()
}
