//! Exercise 03.2: relocations by hand. Write `relocate`, and type `cargo course check 3.2`.
//!
//! A relocation is an entry of 24 bytes in a table, three words of 8 bytes, least significant byte first:
//!
//! | word | meaning |
//! |---|---|
//! | offset | where in the program an address is to be written |
//! | info | the type, in its lower 32 bits; the upper ones name a symbol, and are not looked at here |
//! | addend | where in the program that address points to; it has a sign |
//!
//! Type 8, R_X86_64_RELATIVE, writes 8 bytes: where the program lies, plus the addend.
#![no_std]

/// The only type that a program has which was linked as a whole.
pub const RELATIVE: u32 = 8;
/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 24;

/// Why a table cannot be followed.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// It ends in the middle of an entry.
    CutOff,
    /// An entry is of this other type.
    Type(u32),
    /// An entry's 8 bytes do not lie in the program; this is its offset.
    Outside(u64),
}

/// Writes the addresses into `memory`, the program from its first byte, that will lie at `start`.
///
/// # Errors
/// When the table cannot be followed.
pub fn relocate(memory: &mut [u8], table: &[u8], start: u64) -> Result<(), Error> {
    let entries = table.chunks_exact(ENTRY_BYTES);
    if !entries.remainder().is_empty() {
        return Err(Error::CutOff);
    }
    for entry in entries {
        let [offset, info, addend] = [0, 8, 16].map(|at| word(entry, at));
        if info as u32 != RELATIVE {
            return Err(Error::Type(info as u32));
        }
        let value = start.wrapping_add(addend);
        let range = usize::try_from(offset).ok().and_then(|at| Some(at..at.checked_add(8)?));
        let place = range.and_then(|range| memory.get_mut(range)).ok_or(Error::Outside(offset))?;
        place.copy_from_slice(&value.to_le_bytes());
    }
    Ok(())
}

/// The word at an offset of an entry.
fn word(entry: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&entry[at..at + 8]);
    u64::from_le_bytes(bytes)
}
