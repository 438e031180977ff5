//! What a disk holds at the start: nothing, a log, or something that must not be overwritten.
//!
//! Reads, never writes. The log ends at the first record that is not whole; what lies behind it says whether it was
//! torn while it was written or damaged later.

use alloc::string::String;
use alloc::vec;
use core::fmt;

use kernel_app::Disk;
use kernel_app::disk::{DiskError, SECTOR_BYTES};

use super::damage::Damage;
use super::record::{Header, Position};
use super::replay::ReplayError;
use super::superblock::{HALVES_START, Slot, Superblock, VERSION};
use super::window::WINDOW_BYTES;

/// The smallest disk that is used.
pub const DISK_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// A disk is blank when so many bytes at its start are zeros: no file system or partition table begins
/// behind them.
const BLANK_BYTES: usize = 1024 * 1024;

/// Why a disk is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    NoSuperblock,
    /// Its beginning is zeros, but this sector behind it has a record.
    Zeroed(u64),
    /// The log needs so many sectors, and the disk has only so many.
    Shrunk(u64, u64),
    /// The log is damaged, and the store was not told to start all the same.
    Damaged(Damage),
    /// The same, but no copy of the disk can be kept, for this reason.
    NoCopy(String),
    /// The record with this number, at this sector, is gone, which was durable.
    Lost(u64, u64),
    /// The record with this number is whole, but its commands cannot be carried out.
    Replay(u64, ReplayError),
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall(bytes) => {
                write!(f, "the disk has {bytes} bytes: give it {DISK_BYTES_MIN} or more")
            }
            Self::Read(sector, error) => write!(
                f,
                "sector {sector} of the disk (byte {}) cannot be read: {error}: see to the device, restore a copy of \
                 the disk, or start once with RECOVER=accept-loss, which does without it where that can be",
                sector * SECTOR_BYTES as u64
            ),
            Self::Foreign => f.write_str(
                "the disk holds something that is not this store's: give another one, or zeros to begin anew",
            ),
            Self::OtherVersion(version) => write!(
                f,
                "the disk holds a log of version {version}, and this store reads version {VERSION}: use the \
                 store that wrote it"
            ),
            Self::NoSuperblock => f.write_str(
                "both superblocks of the disk (sectors 0 and 1) are damaged, and without one nothing tells which \
                 records count: restore a copy of the disk",
            ),
            Self::Zeroed(sector) => write!(
                f,
                "the beginning of the disk is zeros, but sector {sector} has a record of a log: restore a copy of \
                 the disk, or give one that is zeros to begin anew"
            ),
            Self::Shrunk(wanted, sectors) => {
                write!(f, "the disk's log needs {wanted} sectors, but the disk has {sectors}: give all of it")
            }
            Self::Damaged(damage) => write!(
                f,
                "{damage}: restore a copy of the disk, or start once with RECOVER=accept-loss, which keeps what comes \
                 before the damage (where data are a disk of a machine, copy it first)"
            ),
            Self::NoCopy(reason) => write!(f, "the log is damaged, and {reason}; nothing was changed"),
            Self::Lost(sequence, sector) => {
                write!(f, "record {sequence} of the log, at sector {sector}, is damaged, which was durable")
            }
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
