//! The start of a journal: it reads the disk in steps, and becomes the journal that continues the log.

use kernel_app::{Disk, Entropy, Instant};

use super::Journal;
use super::reading::Reading;
use super::recovery::{Contents, Recovered, inspect};
use super::recovery_error::RecoveryError;
use super::superblock::Superblock;
use crate::keyspace::Keyspace;

/// A journal that is not there yet: its log is being read.
#[derive(Debug)]
pub struct Opening {
    /// None on a blank disk.
    log: Option<Log>,
    /// A damaged log is read up to the damage, once there is a copy where that can be.
    accept_loss: bool,
}

#[derive(Debug)]
struct Log {
    superblock: Superblock,
    reading: Reading,
    /// The copy of the superblock that has another one, or none.
    stale: Option<usize>,
}

impl Opening {
    /// Looks at what is on a disk.
    ///
    /// # Errors
    /// When the disk must not be used.
    pub fn new(disk: &mut dyn Disk, accept_loss: bool) -> Result<Self, RecoveryError> {
        let log = match inspect(disk, accept_loss)? {
            Contents::Blank => None,
            Contents::Log { superblock, stale } => {
                Some(Log { superblock, reading: Reading::all(superblock), stale })
            }
        };
        Ok(Self { log, accept_loss })
    }

    /// How much of the log was read, in bytes.
    pub fn bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.reading.bytes())
    }

    /// Reads a little more into `keyspace`, which nothing else changes meanwhile; the journal, when that is all. A
    /// blank disk is going to be formatted.
    ///
    /// # Errors
    /// When the disk must not be used.
    pub fn step(
        &mut self,
        disk: &mut dyn Disk,
        keyspace: &mut Keyspace,
        now: Instant,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<(Journal, Option<Recovered>)>, RecoveryError> {
        let Some(Log { superblock, reading, stale }) = &mut self.log else {
            return Ok(Some((Journal::format(disk, now, entropy), None)));
        };
        let Some(mut recovered) = reading.step(disk, keyspace)? else { return Ok(None) };
        recovered.stale = *stale;
        if let Some(damage) = &mut recovered.damage {
            if !self.accept_loss {
                return Err(RecoveryError::Damaged(damage.clone()));
            }
            damage.copy = disk.keep_copy().map_err(RecoveryError::NoCopy)?;
        }
        let journal = Journal::of(*superblock, &recovered, now, entropy);
        Ok(Some((journal, Some(recovered))))
    }
}

impl Journal {
    /// Reads all of a disk's log into `keyspace`, which is empty: see [`Opening`].
    ///
    /// # Errors
    /// When the disk must not be used.
    pub fn open(
        disk: &mut dyn Disk,
        keyspace: &mut Keyspace,
        now: Instant,
        entropy: &mut dyn Entropy,
        accept_loss: bool,
    ) -> Result<(Self, Option<Recovered>), RecoveryError> {
        let mut opening = Opening::new(disk, accept_loss)?;
        loop {
            if let Some(opened) = opening.step(disk, keyspace, now, entropy)? {
                return Ok(opened);
            }
        }
    }
}
