//! A half of the disk, read in pieces.
//!
//! It finds records, but does not know their meaning. Unreadable sectors are read as zeros, and remembered.

use alloc::vec::Vec;

use kernel_app::Disk;
use kernel_app::disk::{SECTOR_BYTES, WRITE_BYTES_MAX};

use super::damage::Unreadable;
use super::record::{Header, Position};
use super::recovery_error::RecoveryError;

/// How much is read at once.
pub const WINDOW_BYTES: usize = 2 * WRITE_BYTES_MAX;
/// How often a sector may be unreadable: each time may take a device seconds.
const UNREADABLE_MAX: u64 = 1024;

/// A record that is whole and where it belongs.
pub struct Found<'a> {
    pub payload: &'a [u8],
    pub continues: bool,
    pub behind: Position,
}

/// A piece of the half that is in memory.
#[derive(Debug)]
pub struct Window {
    /// Where the half begins on the disk.
    start: u64,
    /// Where reading ends, in sectors of the half.
    end: u64,
    /// The sector of the half that `bytes` begin with.
    first: u64,
    bytes: Vec<u8>,
    unreadable: Option<Unreadable>,
    /// How often a sector could not be read.
    failures: u64,
}

impl Window {
    /// A half that begins at this sector of the disk, up to a sector of its own.
    pub fn new(start: u64, end: u64) -> Self {
        Self { start, end, first: 0, bytes: Vec::new(), unreadable: None, failures: 0 }
    }

    /// Where reading ends, in sectors of the half.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// What could not be read so far.
    pub fn unreadable(&self) -> Option<Unreadable> {
        self.unreadable
    }

    /// The record at a position, if the one that belongs there is whole.
    pub fn record(&mut self, disk: &mut dyn Disk, at: Position) -> Result<Option<Found<'_>>, RecoveryError> {
        let Some(header) = self.header(disk, at.sector)? else { return Ok(None) };
        let Some(image) = self.sectors(disk, at.sector, header.sectors())? else { return Ok(None) };
        let whole = header.verify(image, at).zip(header.payload(image));
        let continues = header.continues;
        Ok(whole.map(|(behind, payload)| Found { payload, continues, behind }))
    }

    /// How much of a record that belongs here was written, as far as its header tells.
    pub fn torn_sectors(&mut self, disk: &mut dyn Disk, at: Position) -> Result<u64, RecoveryError> {
        let header = self.header(disk, at.sector)?.filter(|header| header.sequence == at.sequence);
        Ok(header.map_or(0, |header| header.sectors().min(self.end - at.sector)))
    }

    pub fn header(&mut self, disk: &mut dyn Disk, sector: u64) -> Result<Option<Header>, RecoveryError> {
        Ok(self.sectors(disk, sector, 1)?.and_then(Header::parse))
    }

    /// Sectors of the half; none when they go beyond the end.
    pub fn sectors(
        &mut self,
        disk: &mut dyn Disk,
        from: u64,
        count: u64,
    ) -> Result<Option<&[u8]>, RecoveryError> {
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
                if disk.read(self.start + from, &mut self.bytes).is_err() {
                    self.read_each(disk)?;
                }
                0
            }
        };
        Ok(self.bytes.get(inside..inside + wanted))
    }

    /// Reads sector by sector what could not be read at once.
    fn read_each(&mut self, disk: &mut dyn Disk) -> Result<(), RecoveryError> {
        for (at, bytes) in self.bytes.chunks_mut(SECTOR_BYTES).enumerate() {
            let sector = self.start + self.first + at as u64;
            let Err(error) = disk.read(sector, bytes) else { continue };
            bytes.fill(0);
            let unreadable = self.unreadable.get_or_insert(Unreadable { sector, last: sector, error });
            unreadable.last = unreadable.last.max(sector);
            self.failures += 1;
            if self.failures > UNREADABLE_MAX {
                return Err(RecoveryError::Read(unreadable.sector, error));
            }
        }
        Ok(())
    }
}

/// Bytes of sectors; the largest number when that is beyond memory.
fn bytes_of(sectors: u64) -> usize {
    usize::try_from(sectors).unwrap_or(usize::MAX).saturating_mul(SECTOR_BYTES)
}
