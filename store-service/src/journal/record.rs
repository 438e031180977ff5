//! A record's header: the format of the log between its superblock and its end.
//!
//! `docs/durability.md` has the format as a table. This module reads and writes no sectors.

use alloc::vec::Vec;

use kernel_app::disk::{SECTOR_BYTES, WRITE_BYTES_MAX};

use super::checksum;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 32;
/// Most bytes of one record's payload: a record is written at once.
pub const PAYLOAD_BYTES_MAX: usize = WRITE_BYTES_MAX - HEADER_BYTES;

const MAGIC: [u8; 4] = *b"vrec";
/// The unit of the record's last commands goes on in the next record.
const CONTINUES: u32 = 1;
/// Where the checksum lies.
const CHECKSUM_AT: usize = 28;

/// A place in a half, and what a record there must begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Sectors from the half's start.
    pub sector: u64,
    /// Number of the record here: one more than that of the record before.
    pub sequence: u64,
    /// Checksum of the record before; at the half's start, what the superblock makes it.
    pub checksum: u32,
}

/// What a header says.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub payload_bytes: usize,
    pub sequence: u64,
    pub life: u64,
    pub continues: bool,
    checksum: u32,
}

impl Header {
    /// The header at the start of `sector`, if one is there that can be; whether it is the one that
    /// belongs there only its checksum tells.
    pub fn parse(sector: &[u8]) -> Option<Self> {
        let header = sector.get(..HEADER_BYTES)?;
        let payload_bytes = usize::try_from(u32_at(header, 4)).ok()?;
        let flags = u32_at(header, 24);
        let valid = header.starts_with(&MAGIC) && payload_bytes <= PAYLOAD_BYTES_MAX && flags <= CONTINUES;
        valid.then(|| Self {
            payload_bytes,
            sequence: u64_at(header, 8),
            life: u64_at(header, 16),
            continues: flags == CONTINUES,
            checksum: u32_at(header, CHECKSUM_AT),
        })
    }

    /// Whether a sector begins with a record's header, as far as its first bytes tell.
    pub fn may_begin(sector: &[u8]) -> bool {
        sector.starts_with(&MAGIC)
    }

    /// How many sectors the record has.
    pub fn sectors(&self) -> u64 {
        sectors_of(self.payload_bytes)
    }

    /// The payload of `image`, the whole record.
    pub fn payload<'a>(&self, image: &'a [u8]) -> Option<&'a [u8]> {
        image.get(HEADER_BYTES..HEADER_BYTES + self.payload_bytes)
    }

    /// The place behind `image`, the whole record, if it is the one that belongs at `position`.
    pub fn verify(&self, image: &[u8], position: Position) -> Option<Position> {
        let record = image.get(..HEADER_BYTES + self.payload_bytes)?;
        let (header, payload) = record.split_at(HEADER_BYTES);
        let checksum = chained(position, &header[..CHECKSUM_AT], payload);
        let belongs = self.sequence == position.sequence && self.checksum == checksum;
        belongs.then(|| position.behind(self.payload_bytes, checksum))
    }
}

impl Position {
    /// Makes `image` the record that belongs here, padded to whole sectors; the place behind it.
    pub fn write(self, image: &mut Vec<u8>, life: u64, payload: &[u8], continues: bool) -> Self {
        image.clear();
        image.extend_from_slice(&MAGIC);
        // At most WRITE_BYTES_MAX, which is far below 32 bits.
        image.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        image.extend_from_slice(&self.sequence.to_le_bytes());
        image.extend_from_slice(&life.to_le_bytes());
        image.extend_from_slice(&u32::from(continues).to_le_bytes());
        let checksum = chained(self, image, payload);
        image.extend_from_slice(&checksum.to_le_bytes());
        image.extend_from_slice(payload);
        image.resize(image.len().next_multiple_of(SECTOR_BYTES), 0);
        self.behind(payload.len(), checksum)
    }

    fn behind(self, payload_bytes: usize, checksum: u32) -> Self {
        let sector = self.sector + sectors_of(payload_bytes);
        Self { sector, sequence: self.sequence.wrapping_add(1), checksum }
    }
}

/// A record's checksum: also over that of the record before, so that what once stood behind another
/// record is never taken for what stands behind this one.
fn chained(position: Position, header: &[u8], payload: &[u8]) -> u32 {
    checksum::of(&[&position.checksum.to_le_bytes(), header, payload])
}

/// Sectors of a record.
pub fn sectors_of(payload_bytes: usize) -> u64 {
    (HEADER_BYTES + payload_bytes).div_ceil(SECTOR_BYTES) as u64
}

/// The number at `at`; zero beyond the end.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The number at `at`; zero beyond the end.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Position = Position { sector: 3, sequence: 9, checksum: 77 };

    #[test]
    fn a_record_is_found_where_it_was_written_and_nowhere_else() {
        let mut image = Vec::new();
        let behind = HERE.write(&mut image, 5, &[7; 481], true);
        assert_eq!((image.len(), behind.sector, behind.sequence), (2 * SECTOR_BYTES, 5, 10));
        let header = Header::parse(&image).expect("a header");
        assert!(header.continues);
        assert_eq!(header.verify(&image, HERE), Some(behind));
        assert_eq!(header.verify(&image, Position { sequence: 8, ..HERE }), None);
        assert_eq!(header.verify(&image, Position { checksum: 78, ..HERE }), None);
        for at in 0..HEADER_BYTES + 481 {
            image[at] ^= 1;
            let found = Header::parse(&image).and_then(|header| header.verify(&image, HERE));
            assert_eq!(found, None, "with byte {at} changed");
            image[at] ^= 1;
        }
    }

    #[test]
    fn the_largest_record_fills_one_write() {
        let mut image = Vec::new();
        HERE.write(&mut image, 0, &[0; PAYLOAD_BYTES_MAX], false);
        assert_eq!(image.len(), WRITE_BYTES_MAX);
    }
}
