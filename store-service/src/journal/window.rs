//! A half of the disk, read piece by piece.
//!
//! Knows records, and not what they mean.

use alloc::vec::Vec;

use kernel_app::Disk;
use kernel_app::disk::{SECTOR_BYTES, WRITE_BYTES_MAX};

use super::record::{Header, Position};
use super::recovery::{RecoveryError, read};

/// How much is read at once.
pub const WINDOW_BYTES: usize = 2 * WRITE_BYTES_MAX;

/// A record that is whole and where it belongs.
pub struct Found<'a> {
    pub payload: &'a [u8],
    pub continues: bool,
    pub behind: Position,
}

/// A piece of the half that is in memory.
pub struct Window<'a> {
    disk: &'a mut dyn Disk,
    /// Where the half begins on the disk.
    start: u64,
    /// Where reading ends, in sectors of the half.
    end: u64,
    /// The sector of the half that `bytes` begin with.
    first: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    /// A half that begins at this sector of the disk, up to a sector of its own.
    pub fn new(disk: &'a mut dyn Disk, start: u64, end: u64) -> Self {
        Self { disk, start, end, first: 0, bytes: Vec::new() }
    }

    /// Where reading ends, in sectors of the half.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The record at a position, if the one that belongs there is whole.
    pub fn record(&mut self, at: Position) -> Result<Option<Found<'_>>, RecoveryError> {
        let Some(header) = self.header(at.sector)? else { return Ok(None) };
        let Some(image) = self.sectors(at.sector, header.sectors())? else { return Ok(None) };
        let whole = header.verify(image, at).zip(header.payload(image));
        let continues = header.continues;
        Ok(whole.map(|(behind, payload)| Found { payload, continues, behind }))
    }

    /// How much of a record that belongs here was written, as far as its header tells.
    pub fn torn_sectors(&mut self, at: Position) -> Result<u64, RecoveryError> {
        let header = self.header(at.sector)?.filter(|header| header.sequence == at.sequence);
        Ok(header.map_or(0, |header| header.sectors().min(self.end - at.sector)))
    }

    pub fn header(&mut self, sector: u64) -> Result<Option<Header>, RecoveryError> {
        Ok(self.sectors(sector, 1)?.and_then(Header::parse))
    }

    /// Sectors of the half; none when they go beyond the end.
    pub fn sectors(&mut self, from: u64, count: u64) -> Result<Option<&[u8]>, RecoveryError> {
        let Some(left) = self.end.checked_sub(from).filter(|left| *left >= count) else { return Ok(None) };
        let wanted = bytes_of(count);
        let inside = from.checked_sub(self.first).map(bytes_of);
        let known = inside.filter(|inside| self.bytes.len().saturating_sub(*inside) >= wanted);
        let inside = match known {
            Some(inside) => inside,
            None => {
                // A record is at most WRITE_BYTES_MAX, so what is wanted is in it.
                self.bytes.resize(WINDOW_BYTES.min(bytes_of(left)), 0);
                self.first = from;
                read(self.disk, self.start + from, &mut self.bytes)?;
                0
            }
        };
        Ok(self.bytes.get(inside..inside + wanted))
    }
}

/// Bytes of sectors; the largest number when that is beyond memory.
fn bytes_of(sectors: u64) -> usize {
    usize::try_from(sectors).unwrap_or(usize::MAX).saturating_mul(SECTOR_BYTES)
}
