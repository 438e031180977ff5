//! What is left of a write that was cut: of every size, from one byte to all of it.
//!
//! Sectors beside the write keep what they have.

use crate::random::Random;
use kernel_app::disk::SECTOR_BYTES;
use wire::Entropy;

/// Devices that take larger sectors than they say take this many bytes at once.
const BLOCK_BYTES: usize = 4096;

/// Turns `old`, whole sectors, into what a cut leaves of it when `new` was to be written.
pub fn tear(old: &mut [u8], new: &[u8], random: &mut Random) {
    match random.below(4) {
        0 => tear_pieces(old, new, SECTOR_BYTES, random, true),
        1 => tear_pieces(old, new, BLOCK_BYTES, random, false),
        2 => {
            let end = random.below(new.len() as u64 + 1) as usize;
            old[..end].copy_from_slice(&new[..end]);
        }
        _ => {
            let start = random.below(new.len() as u64 + 1) as usize;
            old[start..].copy_from_slice(&new[start..]);
        }
    }
}

/// Each piece is old, new or, perhaps, neither.
fn tear_pieces(old: &mut [u8], new: &[u8], bytes: usize, random: &mut Random, garbage: bool) {
    for (old, new) in old.chunks_mut(bytes).zip(new.chunks(bytes)) {
        match random.below(if garbage { 3 } else { 2 }) {
            0 => {}
            1 => old.copy_from_slice(new),
            _ => random.fill(old),
        }
    }
}
