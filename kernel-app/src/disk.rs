//! The interface between a service and a substrate's disk: sectors that survive the end of the machine.
//!
//! It knows no file system and no format. Implementations are virtio-blk on Hermit, a file on Linux, and in the
//! simulator a disk that can tear and lose writes.

use alloc::string::String;
use core::fmt;

use wire::Instant;

/// Bytes of a sector, the unit of every address and every length here (virtio 1.2, section 5.2.4).
pub const SECTOR_BYTES: usize = 512;
/// Most bytes of one write.
pub const WRITE_BYTES_MAX: usize = 128 * 1024;

/// A disk that did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// The device or the file reports an error. What a failed write has changed is unknown.
    Failed,
    /// What holds the disk has no space left.
    NoSpace,
    /// The sectors are beyond the end of the disk.
    OutOfRange,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "Input/output error",
            Self::NoSpace => "No space left on device",
            Self::OutOfRange => "Beyond the end of the disk",
        })
    }
}

impl core::error::Error for DiskError {}

/// One disk. There is at most one write at a time, and its end is asked for.
///
/// ```
/// use kernel_app::disk::{Disk, SECTOR_BYTES};
/// use kernel_app::Instant;
///
/// /// Writes a number to the first sector; it is there for good when `outcome` says so.
/// fn save(disk: &mut dyn Disk, number: u64, now: Instant) {
///     let mut sector = [0; SECTOR_BYTES];
///     sector[..8].copy_from_slice(&number.to_le_bytes());
///     disk.write(0, &sector, now);
/// }
/// # use kernel_app::disk::DiskError;
/// # struct Memory([u8; SECTOR_BYTES], bool);
/// # impl Disk for Memory {
/// #     fn sectors(&self) -> u64 { 1 }
/// #     fn read(&mut self, _: u64, into: &mut [u8]) -> Result<(), DiskError> { into.copy_from_slice(&self.0); Ok(()) }
/// #     fn write(&mut self, _: u64, data: &[u8], _: Instant) { self.0.copy_from_slice(data); self.1 = true; }
/// #     fn outcome(&mut self, _: Instant) -> Option<Result<(), DiskError>> {
/// #         std::mem::take(&mut self.1).then_some(Ok(()))
/// #     }
/// #     fn is_busy(&self) -> bool { self.1 }
/// # }
/// # let (mut memory, now) = (Memory([0; SECTOR_BYTES], false), Instant::ZERO);
/// # let disk = &mut memory;
///
/// save(disk, 42, now);
/// assert!(disk.is_busy());
/// assert_eq!(disk.outcome(now), Some(Ok(())));
/// let mut sector = [0; SECTOR_BYTES];
/// disk.read(0, &mut sector)?;
/// assert_eq!(sector[0], 42);
/// # Ok::<(), DiskError>(())
/// ```
pub trait Disk {
    /// How many sectors it has.
    fn sectors(&self) -> u64;

    /// Reads whole sectors as they are on the device, not as a cache has them, and waits for them: for a
    /// service's start, not for its turns.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError>;

    /// Starts to write whole sectors, at most [`WRITE_BYTES_MAX`] bytes, and to flush them. `data` is
    /// copied. Must not be called while a write is under way.
    ///
    /// Until [`Disk::outcome`] says that it succeeded, each of the sectors may hold the old bytes, the
    /// new ones or neither; afterwards they hold the new ones, whatever happens to the machine.
    fn write(&mut self, sector: u64, data: &[u8], now: Instant);

    /// The same, but perhaps without the flush: the sectors are durable once a later [`Disk::write`] has succeeded.
    /// For what is long and counts only when all of it is there. Flushes all the same unless the substrate can do
    /// without.
    fn write_ahead(&mut self, sector: u64, data: &[u8], now: Instant) {
        self.write(sector, data, now);
    }

    /// The end of the write under way, told once; none while there is no write or it goes on.
    fn outcome(&mut self, now: Instant) -> Option<Result<(), DiskError>>;

    /// Whether a write is under way, or its outcome was not asked for yet.
    fn is_busy(&self) -> bool;

    /// When the write under way will have ended, where the substrate knows; elsewhere its end wakes
    /// the loop.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Keeps a copy of all that the disk holds beside it, and waits for it: for a service's start, before
    /// it changes what is damaged. Says where the copy is; none where the substrate has no place for one.
    ///
    /// # Errors
    /// Why there is no copy, in one line that tells how to mend it.
    fn keep_copy(&mut self) -> Result<Option<String>, String> {
        Ok(None)
    }
}
