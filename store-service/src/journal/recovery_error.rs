//! The reasons why a disk is not used, with advice.

use alloc::string::String;
use core::fmt;

use kernel_app::disk::{DiskError, SECTOR_BYTES};

use super::damage::Damage;
use super::replay::ReplayError;
use super::superblock::{DISK_BYTES_MIN, VERSION};

/// Why a disk is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryError {
    /// The disk is too small; its size in bytes.
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
    /// The number of sectors that the log needs, and the smaller number that the disk has.
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
                "sector {sector} of the disk (byte {}) cannot be read: {error}: check the device, restore a copy of \
                 the disk, or start once with RECOVER=accept-loss, which continues without it where possible",
                sector * SECTOR_BYTES as u64
            ),
            Self::Foreign => f.write_str(
                "the disk holds data of another program: give another disk, or one that is all zeros to start empty",
            ),
            Self::OtherVersion(version) => write!(
                f,
                "the disk holds a log of version {version}, and this store reads version {VERSION}: use the \
                 store that wrote it"
            ),
            Self::NoSuperblock => f.write_str(
                "both superblocks of the disk (sectors 0 and 1) are damaged, and without them nobody knows which \
                 records are current: restore a copy of the disk",
            ),
            Self::Zeroed(sector) => write!(
                f,
                "the beginning of the disk is zeros, but sector {sector} has a record of a log: restore a copy of \
                 the disk, or give one that is all zeros to start empty"
            ),
            Self::Shrunk(wanted, sectors) => {
                write!(f, "the log needs {wanted} sectors, but the disk has only {sectors}: restore the whole disk")
            }
            Self::Damaged(damage) => write!(
                f,
                "{damage}: restore a copy of the disk, or start once with RECOVER=accept-loss, which keeps the data \
                 before the damage (if the data is on a machine's disk, copy the disk first)"
            ),
            Self::NoCopy(reason) => write!(f, "the log is damaged, and {reason}; nothing was changed"),
            Self::Lost(sequence, sector) => {
                write!(f, "record {sequence} of the log, at sector {sector}, is damaged, which was durable")
            }
            Self::Replay(sequence, error) => write!(f, "record {sequence} of the log cannot be used: {error}"),
        }
    }
}

impl core::error::Error for RecoveryError {}
