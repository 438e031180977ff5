//! The remaining space: in the log now, and in a compacted log.
//!
//! Two things must remain possible whatever is accepted: a compaction, so the data must fit into a half with some
//! room; and draining a queue, so commands that remove data are accepted when nothing can be added any more.

use kernel_app::disk::SECTOR_BYTES;
use wire::resp::{Args, COMMAND_BYTES_MAX};

use super::compaction::{CHANGES_BYTES_MAX, Compaction};
use super::{GATHERED_BYTES_MAX, Journal, Memory};
use crate::command::Command;
use crate::failure::Failure;
use crate::keyspace::Keyspace;

/// A log below this, and below this part of what it may have, is not compacted for its size.
const COMPACT_BYTES_MIN: u64 = 1024 * 1024;
const COMPACT_DIVISOR: u64 = 16;
/// A log is compacted when it has this many times the data's bytes.
const COMPACT_RATIO: u64 = 4;
/// How many 16ths of a half the data may fill with what queues and keys take,
const PUSH_SIXTEENTHS: u64 = 12;
/// with what a queue becomes in hashes and counters,
const RESULT_SIXTEENTHS: u64 = 14;
/// and with the keys that moved elements make.
const MOVE_SIXTEENTHS: u64 = 15;
/// What an argument takes in memory beyond its bytes, at most: half of a hash's field.
const ARGUMENT_MEMORY_BYTES: usize = 144;
/// What a command's key takes in memory beyond its name.
const KEY_MEMORY_BYTES: usize = 512;
/// What an argument takes in the log beyond its bytes.
const ARGUMENT_LOG_BYTES: usize = b"$65536\r\n\r\n".len();
/// What a command takes in the log beyond its arguments.
const COMMAND_LOG_BYTES: usize = b"*1024\r\n".len();
/// What the log needs beyond the commands: record headers and padding, of parts of units too.
const RECORDS_BYTES: u64 = 64 * 1024;
/// While a compaction is under way changes are held if the other half might not have so much room: for what one
/// request may change, and whom it serves.
const UNITS_BYTES_MAX: u64 = 1024 * 1024;
/// The part of a compaction that may be added by headers of records which changes are in.
const CHANGED_DIVISOR: usize = 64;

/// What a unit takes, at most: how much the data in memory may grow, and its bytes in the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unit {
    growth_bytes: usize,
    log_bytes: usize,
}

impl Unit {
    /// A unit without commands, after which blocked clients are served; their keys have this number of bytes.
    pub fn serving(wait_bytes: usize) -> Self {
        Self { growth_bytes: 0, log_bytes: 2 * wait_bytes }
    }

    /// The same unit with one more command.
    #[must_use]
    pub fn with(self, args: Args<'_>) -> Self {
        let bytes = args.iter().fold(0, |sum, argument| sum + argument.len());
        Self {
            growth_bytes: self.growth_bytes + bytes + args.len() * ARGUMENT_MEMORY_BYTES + KEY_MEMORY_BYTES,
            log_bytes: self.log_bytes + bytes + args.len() * ARGUMENT_LOG_BYTES + COMMAND_LOG_BYTES,
        }
    }
}

impl Journal {
    /// Whether the disk allows a command that is part of `unit`.
    ///
    /// # Errors
    /// [`Failure::Disk`], when it does not work or has no room for it.
    pub fn admit(&self, command: Command, unit: Unit, keyspace: &Keyspace) -> Result<(), Failure> {
        if !command.is_write() {
            return Ok(());
        }
        if let Some(trouble) = self.trouble() {
            return Err(Failure::Disk(trouble.error));
        }
        let sixteenths = match command {
            Command::RPush | Command::LPush | Command::Set => PUSH_SIXTEENTHS,
            Command::HSet | Command::HMSet | Command::HIncrBy | Command::Incr | Command::IncrBy => {
                RESULT_SIXTEENTHS
            }
            Command::LMove | Command::BLMove => MOVE_SIXTEENTHS,
            _ => 16,
        };
        let limit = self.log_bytes_max() / 16 * sixteenths;
        let fits =
            sixteenths == 16 || compacted_bytes_max(keyspace.snapshot_bytes() + unit.growth_bytes) <= limit;
        if fits && unit.log_bytes as u64 + RECORDS_BYTES <= self.room_bytes() {
            Ok(())
        } else {
            Err(Failure::Disk(kernel_app::disk::DiskError::NoSpace))
        }
    }

    /// Whether no request may be carried out now: not before a compaction has ended, or the disk has
    /// caught up. `unit_bytes` is what the next one may add to the log beyond a request's own bytes.
    pub fn holds(&mut self, unit_bytes: usize, keyspace: &Keyspace) -> bool {
        let wanted = unit_bytes as u64 + 2 * COMMAND_BYTES_MAX as u64 + RECORDS_BYTES;
        if self.room_bytes() < wanted
            && (self.compaction.is_some() || self.may_compact())
            && compacted_bytes_max(keyspace.snapshot_bytes()) + wanted <= self.log_bytes_max()
        {
            self.lacks_room = true;
            self.compaction_wanted |= self.compaction.is_none();
        }
        self.is_holding(keyspace)
    }

    /// Whether inputs are held, whatever the next request is.
    pub fn is_holding(&self, keyspace: &Keyspace) -> bool {
        let compacts = self.compaction_wanted || self.compaction.is_some();
        let waits = (compacts && self.lacks_room)
            || self.rescuing
            || self.compaction.as_ref().is_some_and(|compaction| self.must_end(compaction, keyspace));
        self.memory == Memory::Astray
            || (waits && self.trouble().is_none())
            || self.gathering.len() >= GATHERED_BYTES_MAX
    }

    /// Whether a compaction must end before anything else changes.
    fn must_end(&self, compaction: &Compaction, keyspace: &Keyspace) -> bool {
        let bytes = compaction.snapshot_bytes + keyspace.snapshot_growth();
        // The changes between two pieces may take a record more.
        let wanted = compacted_bytes_max(bytes) + (bytes / CHANGED_DIVISOR) as u64 + UNITS_BYTES_MAX;
        compaction.is_ending()
            || keyspace.changes_bytes() >= CHANGES_BYTES_MAX
            || wanted > self.log_bytes_max()
    }

    /// Whether the data are not in memory, so that nothing can be said of them.
    pub fn lacks_data(&self) -> bool {
        self.memory == Memory::Missing
    }

    /// Wants a compaction when the log has become long beside the data.
    pub(super) fn watch_size(&mut self, keyspace: &Keyspace) {
        let long = (COMPACT_RATIO * keyspace.snapshot_bytes() as u64)
            .max(COMPACT_BYTES_MIN)
            .max(self.log_bytes_max() / COMPACT_DIVISOR);
        if self.log_bytes() > long && self.may_compact() {
            self.compaction_wanted = true;
        }
    }

    /// Whether a record is not missed where others need room.
    pub(super) fn has_spare_room(&self) -> bool {
        self.room_bytes() > 2 * RECORDS_BYTES
    }

    fn may_compact(&self) -> bool {
        self.trouble().is_none() && self.compaction.is_none() && self.now >= self.compact_not_before
    }

    /// Bytes that the log can still take, with what has gathered already.
    fn room_bytes(&self) -> u64 {
        let taken = (self.gathering.image_bytes() + self.committing.image_bytes()) as u64;
        (self.log_bytes_max() - self.log_bytes()).saturating_sub(taken)
    }
}

/// The most that a snapshot of this size takes in a compacted log: a record holds at least half of
/// what it may, and its padding and header are less than a 64th of that.
fn compacted_bytes_max(snapshot_bytes: usize) -> u64 {
    (snapshot_bytes + snapshot_bytes / 64 + 4 * SECTOR_BYTES) as u64
}
