//! What a disk holds at the start: nothing, a log, or something that must not be overwritten.
//!
//! It reads and never writes. The log ends at the first incomplete record. The data after it shows whether the record
//! was torn while it was written or damaged later.

use alloc::vec;

use kernel_app::Disk;
use kernel_app::disk::SECTOR_BYTES;

use super::damage::Damage;
use super::record::{Header, Position};
use super::recovery_error::RecoveryError;
use super::superblock::{DISK_BYTES_MIN, HALVES_START, Slot, Superblock};
use super::window::WINDOW_BYTES;

/// A disk is blank if this number of bytes at its start is zeros: no file system or partition table begins
/// behind them.
const BLANK_BYTES: usize = 1024 * 1024;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The end of its whole units: where the next record belongs.
    pub tail: Position,
    /// Records up to there.
    pub records: u64,
    /// Commands in them.
    pub commands: u64,
    /// The end of its whole records, of which the last may be parts of a unit that is not whole.
    pub end: Position,
    /// Bytes of records behind the tail that are not whole, or whose unit is not.
    pub dropped_bytes: u64,
    /// Why that is not just a write that was cut.
    pub damage: Option<Damage>,
    /// The copy of the superblock that did not say what counts.
    pub stale: Option<usize>,
}

/// Looks at the superblocks.
///
/// # Errors
/// When the disk must not be used.
pub fn inspect(disk: &mut dyn Disk, accept_loss: bool) -> Result<Contents, RecoveryError> {
    let bytes = disk.sectors().saturating_mul(SECTOR_BYTES as u64);
    if bytes < DISK_BYTES_MIN {
        return Err(RecoveryError::TooSmall(bytes));
    }
    let slots = [read_slot(disk, 0, accept_loss)?, read_slot(disk, 1, accept_loss)?];
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
        [Slot::Blank, _] if is_blank(disk)? => {
            return record_in_blank(disk)?.map_or(Ok(Contents::Blank), |at| Err(RecoveryError::Zeroed(at)));
        }
        [Slot::Blank | Slot::Foreign, _] => return Err(RecoveryError::Foreign),
        _ => return Err(RecoveryError::NoSuperblock),
    };
    if superblock.sectors() > disk.sectors() {
        return Err(RecoveryError::Shrunk(superblock.sectors(), disk.sectors()));
    }
    Ok(Contents::Log { superblock, stale })
}

/// What one of the superblocks' sectors holds. One that cannot be read may be the one that counts, and the other one
/// older.
fn read_slot(disk: &mut dyn Disk, sector: u64, accept_loss: bool) -> Result<Slot, RecoveryError> {
    let mut bytes = [0; SECTOR_BYTES];
    match read(disk, sector, &mut bytes) {
        Ok(()) => Ok(Slot::parse(&bytes)),
        Err(_) if accept_loss => Ok(Slot::Damaged),
        Err(error) => Err(error),
    }
}

/// Whether nothing is on the disk but, at most, the second superblock: it is the first thing ever written,
/// and may be cut short.
fn is_blank(disk: &mut dyn Disk) -> Result<bool, RecoveryError> {
    let mut start = vec![0; BLANK_BYTES];
    read(disk, 0, &mut start)?;
    start[SECTOR_BYTES..2 * SECTOR_BYTES].fill(0);
    Ok(start.iter().all(|byte| *byte == 0))
}

/// A sector with a record on a disk whose beginning is zeros, where a log that lost it would have one: behind what
/// is zeros for certain, and at the start of the second half.
fn record_in_blank(disk: &mut dyn Disk) -> Result<Option<u64>, RecoveryError> {
    let second_half = HALVES_START + Superblock::new(disk.sectors(), 0).half_sectors;
    let mut sectors = vec![0; WINDOW_BYTES];
    for start in [(BLANK_BYTES / SECTOR_BYTES) as u64, second_half] {
        read(disk, start, &mut sectors)?;
        let found = sectors.chunks(SECTOR_BYTES).position(Header::may_begin);
        if let Some(at) = found {
            return Ok(Some(start + at as u64));
        }
    }
    Ok(None)
}

pub(super) fn read(disk: &mut dyn Disk, sector: u64, into: &mut [u8]) -> Result<(), RecoveryError> {
    disk.read(sector, into).map_err(|error| RecoveryError::Read(sector, error))
}
