//! Exercise 10.1: where does a log end? Edit `recover`; leave `append` and the format as they are.
//!
//! A log is a sequence of records without gaps, from the disk's first byte on:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | length of the payload |
//! | 4 | 4 | number: that of the record before plus one |
//! | 8 | 4 | life: the same in all records of this log, another one in every other log |
//! | 12 | 4 | checksum of the record before (4 bytes), bytes 0 to 11, and the payload |
//! | 16 | | payload |
//!
//! Nothing says where the log ends, and what is behind its end may be anything: zeros, the rest of a record whose
//! write was cut by the power, whole records of an older log. `recover` below believes whatever it finds.
#![no_std]
extern crate alloc;

use alloc::vec::Vec;

/// Bytes before a record's payload.
pub const HEADER_BYTES: usize = 16;

/// The place of the next record, and what that must continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Bytes from the disk's start.
    pub at: usize,
    /// Number of the record.
    pub number: u32,
    /// Identifies the log.
    pub life: u32,
    /// Checksum of the record before.
    pub checksum: u32,
}

/// What was read of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The payloads of its records, in order.
    pub payloads: Vec<Vec<u8>>,
    /// Where the next record belongs.
    pub end: Position,
}

/// A record that was whole is whole no longer: records that were written after it follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Number of the record.
    pub number: u32,
}

impl Position {
    /// The start of a log.
    pub const fn first(life: u32) -> Self {
        Self { at: 0, number: 1, life, checksum: life }
    }
}

/// Writes a record; none when the disk has no room for it. The next record is written when this one is durable.
pub fn append(disk: &mut [u8], position: Position, payload: &[u8]) -> Option<Position> {
    let record = disk.get_mut(position.at..)?.get_mut(..HEADER_BYTES + payload.len())?;
    let length = u32::try_from(payload.len()).ok()?;
    record[..4].copy_from_slice(&length.to_le_bytes());
    record[4..8].copy_from_slice(&position.number.to_le_bytes());
    record[8..12].copy_from_slice(&position.life.to_le_bytes());
    let checksum = checksum(position.checksum, &record[..12], payload);
    record[12..16].copy_from_slice(&checksum.to_le_bytes());
    record[HEADER_BYTES..].copy_from_slice(payload);
    Some(Position { at: position.at + record.len(), number: position.number + 1, checksum, ..position })
}

/// Reads a log: the records up to its end, where the next one belongs.
///
/// # Errors
/// When the log does not just end, but has a hole.
pub fn recover(disk: &[u8], first: Position) -> Result<Recovered, Damaged> {
    let mut payloads = Vec::new();
    let mut end = first;
    while end.at < disk.len() {
        let length = number_at(disk, end.at) as usize;
        if length == 0 {
            break;
        }
        let start = end.at + HEADER_BYTES;
        payloads.push(disk[start..start + length].to_vec());
        end = Position {
            at: start + length,
            number: end.number + 1,
            checksum: number_at(disk, end.at + 12),
            ..end
        };
    }
    Ok(Recovered { payloads, end })
}

/// The number that begins at this byte of the disk.
fn number_at(disk: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([disk[at], disk[at + 1], disk[at + 2], disk[at + 3]])
}

/// CRC32C (Castagnoli) of a record, behind the checksum of the one before.
pub fn checksum(before: u32, header: &[u8], payload: &[u8]) -> u32 {
    let before = before.to_le_bytes();
    let bytes = before.iter().chain(header).chain(payload);
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}
