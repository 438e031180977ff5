//! Leaves the torn record where it is, and goes on behind it.
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
    while let Some((payload, behind)) = record(disk, end) {
        payloads.push(payload.to_vec());
        end = behind;
    }
    if is_followed(disk, end) {
        return Err(Damaged { number: end.number });
    }
    let header = disk.get(end.at..).and_then(|rest| rest.get(..HEADER_BYTES)).unwrap_or(&[0; HEADER_BYTES]);
    if number_at(header, 4) == end.number && number_at(header, 8) == end.life {
        end.at += HEADER_BYTES + number_at(header, 0) as usize;
    }
    Ok(Recovered { payloads, end })
}

/// Whether a later record of the same log begins anywhere behind this position. None can, unless the one that belongs
/// here was durable once: it would not have been written yet.
fn is_followed(disk: &[u8], position: Position) -> bool {
    let behind = disk.get(position.at..).unwrap_or_default();
    let is_later =
        |header: &[u8]| number_at(header, 8) == position.life && number_at(header, 4) > position.number;
    behind.windows(HEADER_BYTES).skip(1).any(is_later)
}

/// The record that belongs at this position, if it is there and whole; and the position behind it.
fn record(disk: &[u8], position: Position) -> Option<(&[u8], Position)> {
    let rest = disk.get(position.at..)?;
    let (header, rest) = rest.split_at_checked(HEADER_BYTES)?;
    let payload = rest.get(..number_at(header, 0) as usize)?;
    let checksum = checksum(position.checksum, &header[..12], payload);
    let belongs = number_at(header, 4) == position.number
        && number_at(header, 8) == position.life
        && number_at(header, 12) == checksum;
    let at = position.at + HEADER_BYTES + payload.len();
    belongs.then_some((payload, Position { at, number: position.number + 1, checksum, ..position }))
}

/// The number that begins at this byte of a header.
fn number_at(header: &[u8], at: usize) -> u32 {
    header[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// CRC32C (Castagnoli) of a record, behind the checksum of the one before.
pub fn checksum(before: u32, header: &[u8], payload: &[u8]) -> u32 {
    let before = before.to_le_bytes();
    let bytes = before.iter().chain(header).chain(payload);
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}
