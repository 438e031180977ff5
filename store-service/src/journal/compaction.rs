//! A running compaction: its progress, and its next piece.
//!
//! `compacting` writes the piece.

use kernel_app::{Buffer, Instant};

use super::record::{PAYLOAD_BYTES_MAX, Position};
use super::superblock::Superblock;
use crate::keyspace::Keyspace;

/// How much a compaction writes between two commits, and between two flushes of its own: what a commit's flush has to
/// wait for.
pub const AHEAD_BYTES_MAX: u64 = 512 * 1024;
/// Changes are blocked when this number of their bytes waits to be written to the other half.
pub const CHANGES_BYTES_MAX: usize = 256 * 1024;

/// A compaction under way.
#[derive(Debug)]
pub struct Compaction {
    /// What takes the place of the superblock in use.
    pub(super) superblock: Superblock,
    /// Of its records.
    pub(super) life: u64,
    /// The end of what is written to the other half.
    pub(super) end: Position,
    /// What is to be written of the changes and the piece of the data behind them.
    pub(super) round: Buffer,
    /// The piece was the last.
    pub(super) complete: bool,
    /// No changes are taken until the end: nothing is left to be written but what has changed.
    pub(super) ending: bool,
    /// How much was written since the last flush,
    pub(super) unflushed_bytes: u64,
    /// and since the last commit.
    pub(super) turn_bytes: u64,
    /// What a snapshot would have taken at the beginning.
    pub(super) snapshot_bytes: usize,
    pub(super) started: Instant,
}

impl Compaction {
    pub fn is_ending(&self) -> bool {
        self.ending
    }

    /// Whether a commit comes first, if one is due.
    pub fn gives_way(&self) -> bool {
        self.ending || self.turn_bytes >= AHEAD_BYTES_MAX
    }

    /// Another write has ended, and with it a flush of all that was written before.
    pub fn flushed(&mut self) {
        (self.unflushed_bytes, self.turn_bytes) = (0, 0);
    }

    /// The payload of the next record, and whether the rest of the round is behind it.
    pub fn payload(&self) -> Option<(&[u8], bool)> {
        let rest = self.round.as_slice();
        let payload = &rest[..rest.len().min(PAYLOAD_BYTES_MAX)];
        (!rest.is_empty()).then_some((payload, rest.len() > payload.len()))
    }

    /// Gathers what has changed and the next piece; whether that could be told.
    pub fn begin_round(&mut self, keyspace: &mut Keyspace) -> bool {
        let Ok(changes) = keyspace.take_changes() else { return false };
        self.round.clear();
        self.round.set_limit(changes.len() + PAYLOAD_BYTES_MAX);
        let told = self.round.write(changes.as_slice()).is_ok();
        if !self.complete {
            self.complete = keyspace.write_piece(&mut self.round);
        }
        told
    }
}
