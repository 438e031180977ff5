//! What a disk holds at the start: nothing, a log, or something that must not be overwritten.
//!
//! Reads, never writes. The log ends at the first record that is not whole.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use kernel_app::Disk;
use kernel_app::disk::{DiskError, SECTOR_BYTES, WRITE_BYTES_MAX};

use super::record::{Header, Position};
use super::replay::{Replay, ReplayError};
use super::superblock::{Slot, Superblock, VERSION};
use crate::keyspace::Keyspace;

/// The smallest disk that is used.
pub const DISK_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// A disk is blank when so many bytes at its start are zeros: no file system or partition table begins
/// behind them.
const BLANK_BYTES: usize = 1024 * 1024;
/// How much is read at once.
const WINDOW_BYTES: usize = 2 * WRITE_BYTES_MAX;

/// Why a disk is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryError {
    /// It has so few bytes.
    TooSmall(u64),
    /// It cannot be read at this sector.
    Read(u64, DiskError),
    /// It holds something else.
    Foreign,
    /// It holds a log in another version of the format.
    OtherVersion(u32),
    /// Neither superblock is whole.
    Damaged,
    /// The log needs so many sectors, and the disk has only so many.
    Shrunk(u64, u64),
    /// The log's first part, which was durable as a whole, ends with the record before this one.
    SnapshotCut(u64),
    /// The record with this number is whole, but its commands cannot be carried out.
    Replay(u64, ReplayError),
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall(bytes) => {
                write!(f, "the disk has {bytes} bytes: give it {DISK_BYTES_MIN} or more")
            }
            Self::Read(sector, error) => write!(f, "the disk cannot be read at sector {sector}: {error}"),
            Self::Foreign => f.write_str(
                "the disk holds something that is not this store's: give another one, or zeros to begin anew",
            ),
            Self::OtherVersion(version) => write!(
                f,
                "the disk holds a log of version {version}, and this store reads version {VERSION}: use the \
                 store that wrote it"
            ),
            Self::Damaged => f.write_str("both superblocks of the disk are damaged: restore a copy of it"),
            Self::Shrunk(wanted, sectors) => {
                write!(f, "the disk's log needs {wanted} sectors, but the disk has {sectors}: give all of it")
            }
            Self::SnapshotCut(sequence) => write!(
                f,
                "record {sequence} of the log is damaged, which was durable: restore a copy of the disk"
            ),
            Self::Replay(sequence, error) => write!(f, "record {sequence} of the log is of no use: {error}"),
        }
    }
}

impl core::error::Error for RecoveryError {}

/// What a disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Nothing: it may be formatted.
    Blank,
    /// A log.
    Log {
        /// The superblock that counts.
        superblock: Superblock,
        /// The slot that has another one, or none.
        stale: Option<usize>,
    },
}

/// What was read of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The end of its whole units: where the next record belongs.
    pub tail: Position,
    /// Records up to there.
    pub records: u64,
    /// Commands in them.
    pub commands: u64,
    /// Bytes of records behind it that are not whole, or whose unit is not.
    pub dropped_bytes: u64,
}

/// Looks at the superblocks.
///
/// # Errors
/// When the disk must not be used.
pub fn inspect(disk: &mut dyn Disk) -> Result<Contents, RecoveryError> {
    let bytes = disk.sectors().saturating_mul(SECTOR_BYTES as u64);
    if bytes < DISK_BYTES_MIN {
        return Err(RecoveryError::TooSmall(bytes));
    }
    let mut sectors = [0; 2 * SECTOR_BYTES];
    read(disk, 0, &mut sectors)?;
    let slots = [Slot::parse(&sectors[..SECTOR_BYTES]), Slot::parse(&sectors[SECTOR_BYTES..])];
    if let Some(version) = slots.iter().find_map(|slot| match slot {
        Slot::OtherVersion(version) => Some(*version),
        _ => None,
    }) {
        return Err(RecoveryError::OtherVersion(version));
    }
    let (superblock, stale) = match slots {
        [Slot::Whole(first), Slot::Whole(second)] if first == second => (first, None),
        [Slot::Whole(first), Slot::Whole(second)] if first.generation > second.generation => (first, Some(1)),
        [_, Slot::Whole(second)] => (second, Some(0)),
        [Slot::Whole(first), _] => (first, Some(1)),
        [Slot::Blank, _] if is_blank(disk)? => return Ok(Contents::Blank),
        [Slot::Blank | Slot::Foreign, _] => return Err(RecoveryError::Foreign),
        _ => return Err(RecoveryError::Damaged),
    };
    if superblock.sectors() > disk.sectors() {
        return Err(RecoveryError::Shrunk(superblock.sectors(), disk.sectors()));
    }
    Ok(Contents::Log { superblock, stale })
}

/// Whether nothing is on the disk but, at most, the second superblock: it is the first thing ever written,
/// and may be cut short.
fn is_blank(disk: &mut dyn Disk) -> Result<bool, RecoveryError> {
    let mut start = vec![0; BLANK_BYTES];
    read(disk, 0, &mut start)?;
    start[SECTOR_BYTES..2 * SECTOR_BYTES].fill(0);
    Ok(start.iter().all(|byte| *byte == 0))
}

/// Carries out what the log holds, up to the first record that is not whole or to `end`, in sectors of the
/// half.
///
/// # Errors
/// When the disk cannot be read, or holds records that no store can have written there.
pub fn replay(
    disk: &mut dyn Disk,
    superblock: &Superblock,
    end: Option<u64>,
    keyspace: &mut Keyspace,
) -> Result<Recovered, RecoveryError> {
    let end = end.unwrap_or(superblock.half_sectors).min(superblock.half_sectors);
    let mut window = Window { disk, start: superblock.start(), end, first: 0, bytes: Vec::new() };
    let mut replay = Replay::new(keyspace);
    let mut at = superblock.first();
    let mut recovered = Recovered { tail: at, records: 0, commands: 0, dropped_bytes: 0 };
    let mut records = 0;
    while let Some(Found { payload, continues, behind }) = window.record(at)? {
        replay.record(payload, continues).map_err(|error| RecoveryError::Replay(at.sequence, error))?;
        at = behind;
        records += 1;
        if !continues {
            recovered = Recovered { tail: at, records, commands: replay.commands, ..recovered };
        }
    }
    if recovered.tail.sector < superblock.snapshot_sectors {
        return Err(RecoveryError::SnapshotCut(at.sequence));
    }
    let torn_sectors = window.torn_sectors(at)?;
    recovered.dropped_bytes = (at.sector - recovered.tail.sector + torn_sectors) * SECTOR_BYTES as u64;
    Ok(recovered)
}

fn read(disk: &mut dyn Disk, sector: u64, into: &mut [u8]) -> Result<(), RecoveryError> {
    disk.read(sector, into).map_err(|error| RecoveryError::Read(sector, error))
}

/// A record that is whole and where it belongs.
struct Found<'a> {
    payload: &'a [u8],
    continues: bool,
    behind: Position,
}

/// A piece of the half that is in memory.
struct Window<'a> {
    disk: &'a mut dyn Disk,
    /// Where the half begins on the disk.
    start: u64,
    /// Where reading ends, in sectors of the half.
    end: u64,
    /// The sector of the half that `bytes` begin with.
    first: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The record at a position, if the one that belongs there is whole.
    fn record(&mut self, at: Position) -> Result<Option<Found<'_>>, RecoveryError> {
        let Some(header) = self.header(at.sector)? else { return Ok(None) };
        let Some(image) = self.sectors(at.sector, header.sectors())? else { return Ok(None) };
        let whole = header.verify(image, at).zip(header.payload(image));
        let continues = header.continues;
        Ok(whole.map(|(behind, payload)| Found { payload, continues, behind }))
    }

    /// How much of a record that belongs here was written, as far as its header tells.
    fn torn_sectors(&mut self, at: Position) -> Result<u64, RecoveryError> {
        let header = self.header(at.sector)?.filter(|header| header.sequence == at.sequence);
        Ok(header.map_or(0, |header| header.sectors().min(self.end - at.sector)))
    }

    fn header(&mut self, sector: u64) -> Result<Option<Header>, RecoveryError> {
        Ok(self.sectors(sector, 1)?.and_then(Header::parse))
    }

    /// Sectors of the half; none when they go beyond the end.
    fn sectors(&mut self, from: u64, count: u64) -> Result<Option<&[u8]>, RecoveryError> {
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
