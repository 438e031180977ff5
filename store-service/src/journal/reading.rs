//! Reading of a log in pieces, so that the loop can serve clients in between.
//!
//! It executes records up to the first incomplete one, and then searches what follows. It writes nothing.

use kernel_app::Disk;
use kernel_app::disk::SECTOR_BYTES;

use super::record::Position;
use super::recovery::Recovered;
use super::recovery_error::RecoveryError;
use super::replay::Replay;
use super::search::Search;
use super::superblock::Superblock;
use super::window::{Found, Window};
use crate::keyspace::Keyspace;

/// Bytes of records that are carried out in a step.
const STEP_BYTES: u64 = 256 * 1024;
/// Bytes behind the log that are looked at in a step.
const SEARCH_BYTES: u64 = 1024 * 1024;

/// How far the log is read.
#[derive(Debug)]
pub struct Reading {
    superblock: Superblock,
    window: Window,
    replay: Replay,
    at: Position,
    records: u64,
    recovered: Recovered,
    /// The end was found, and what lies behind it is looked at.
    search: Option<Search>,
    /// Whether that is to be done at all.
    searches: bool,
}

impl Reading {
    /// A log from its first record on, and what is behind it.
    pub fn all(superblock: Superblock) -> Self {
        Self::new(superblock, superblock.half_sectors, true)
    }

    /// A log up to a sector of its half.
    pub fn up_to(superblock: Superblock, end: u64) -> Self {
        Self::new(superblock, end.min(superblock.half_sectors), false)
    }

    fn new(superblock: Superblock, end: u64, searches: bool) -> Self {
        let at = superblock.first();
        Self {
            superblock,
            window: Window::new(superblock.start(), end),
            replay: Replay::new(),
            at,
            records: 0,
            recovered: Recovered {
                tail: at,
                records: 0,
                commands: 0,
                end: at,
                dropped_bytes: 0,
                damage: None,
                stale: None,
            },
            search: None,
            searches,
        }
    }

    /// How much of the log was read, in bytes.
    pub fn bytes(&self) -> u64 {
        self.at.sector * SECTOR_BYTES as u64
    }

    /// Goes on a little; what was read, when that is all.
    ///
    /// # Errors
    /// When the disk cannot be read, or holds records that no store can have written there.
    pub fn step(
        &mut self,
        disk: &mut dyn Disk,
        keyspace: &mut Keyspace,
    ) -> Result<Option<Recovered>, RecoveryError> {
        let Some(search) = &mut self.search else {
            return if self.carry_out(disk, keyspace)? { self.ended(disk) } else { Ok(None) };
        };
        let sectors = SEARCH_BYTES / SECTOR_BYTES as u64;
        if search.step(&mut self.window, disk, &self.superblock, sectors)? {
            self.recovered.damage = self.search.take().and_then(Search::damage);
            return Ok(Some(self.recovered.clone()));
        }
        Ok(None)
    }

    /// Carries out some records; whether the log ends behind them.
    fn carry_out(&mut self, disk: &mut dyn Disk, keyspace: &mut Keyspace) -> Result<bool, RecoveryError> {
        let until = self.at.sector + STEP_BYTES / SECTOR_BYTES as u64;
        while self.at.sector < until {
            let Some(Found { payload, continues, behind }) = self.window.record(disk, self.at)? else {
                return Ok(true);
            };
            let carried_out = self.replay.record(payload, continues, keyspace);
            carried_out.map_err(|error| RecoveryError::Replay(self.at.sequence, error))?;
            self.at = behind;
            self.records += 1;
            if !continues {
                self.recovered.tail = self.at;
                (self.recovered.records, self.recovered.commands) = (self.records, self.replay.commands);
            }
        }
        Ok(false)
    }

    /// The log ends here.
    fn ended(&mut self, disk: &mut dyn Disk) -> Result<Option<Recovered>, RecoveryError> {
        let (at, tail) = (self.at, self.recovered.tail);
        self.recovered.end = at;
        let torn_sectors = self.window.torn_sectors(disk, at)?;
        self.recovered.dropped_bytes = (at.sector - tail.sector + torn_sectors) * SECTOR_BYTES as u64;
        if !self.searches {
            return Ok(Some(self.recovered.clone()));
        }
        self.search = Some(Search::new(&self.superblock, tail, at));
        Ok(None)
    }
}
