//! Compaction: it writes the data with as few commands as possible to the other half, and then a superblock that
//! makes this half current.
//!
//! Meanwhile every commit goes to the current log, until the new superblock is durable. The other half gets the data
//! in pieces. Before each piece it gets the changes, since the previous piece, to data that it already has. Changes
//! are blocked only at the end, when all data is written.

use core::time::Duration;

use kernel_app::disk::SECTOR_BYTES;
use kernel_app::{Buffer, Disk, Entropy};

use super::compaction::{AHEAD_BYTES_MAX, Compaction};
use super::record::{PAYLOAD_BYTES_MAX, Position, sectors_of};
use super::{Journal, Write};
use crate::keyspace::Keyspace;

/// How long after a failed compaction the next one may begin.
const COMPACT_AGAIN_AFTER: Duration = Duration::from_secs(10);

impl Journal {
    /// Begins a compaction or writes the next part of the one under way.
    pub(super) fn compact(
        &mut self,
        disk: &mut dyn Disk,
        keyspace: &mut Keyspace,
        entropy: &mut dyn Entropy,
    ) {
        self.compaction_wanted = false;
        if self.compaction.is_none() {
            self.begin_compaction(keyspace, entropy);
        }
        let Some(compaction) = &mut self.compaction else { return };
        if compaction.payload().is_none() {
            if compaction.complete && !compaction.ending {
                compaction.ending = true;
                // What was taken until now is committed first.
                return self.begin(disk, keyspace, entropy);
            }
            if !compaction.begin_round(keyspace) {
                log::warn!("one request changes more data than a running compaction can follow");
                return self.give_up_compaction(keyspace);
            }
        }
        if compaction.payload().is_some() || compaction.unflushed_bytes > 0 {
            return self.write_snapshot(disk, keyspace);
        }
        if !compaction.complete {
            // A record has room for any command.
            return self.give_up_compaction(keyspace);
        }
        compaction.superblock.snapshot_sectors = compaction.end.sector;
        disk.write(1, &compaction.superblock.encode(), self.now);
        self.under_way = Some(Write::Flip);
    }

    fn begin_compaction(&mut self, keyspace: &mut Keyspace, entropy: &mut dyn Entropy) {
        let superblock = self.superblock.next(entropy.next_u64(), self.end.sequence);
        self.compaction = Some(Compaction {
            superblock,
            life: superblock.life(entropy.next_u64()),
            end: superblock.first(),
            round: Buffer::new(PAYLOAD_BYTES_MAX),
            complete: false,
            ending: false,
            unflushed_bytes: 0,
            turn_bytes: 0,
            snapshot_bytes: keyspace.snapshot_bytes(),
            started: self.now,
        });
        keyspace.begin_snapshot();
    }

    /// Writes the round's next record, or an empty one for its flush.
    fn write_snapshot(&mut self, disk: &mut dyn Disk, keyspace: &mut Keyspace) {
        let Some(compaction) = &self.compaction else { return };
        let (payload, continues) = compaction.payload().unwrap_or_default();
        let Compaction { superblock, life, end, unflushed_bytes, .. } = compaction;
        if end.sector + sectors_of(payload.len()) > superblock.half_sectors {
            // Admission rules it out, unless the data came from a larger disk, or very much was moved at once.
            log::error!(
                "the data does not fit into half of the disk, so the log is not compacted: delete keys or use a larger disk"
            );
            return self.give_up_compaction(keyspace);
        }
        let behind = end.write(&mut self.image, *life, payload, continues);
        let sector = superblock.start() + end.sector;
        let flushes = payload.is_empty() || compaction.ending || *unflushed_bytes >= AHEAD_BYTES_MAX;
        if flushes {
            disk.write(sector, &self.image, self.now);
        } else {
            disk.write_ahead(sector, &self.image, self.now);
        }
        self.under_way = Some(Write::Snapshot(behind, flushes));
    }

    pub(super) fn snapshot_written(&mut self, behind: Position, flushed: bool) {
        let Some(compaction) = &mut self.compaction else { return };
        compaction.round.consume(PAYLOAD_BYTES_MAX);
        let bytes = (behind.sector - compaction.end.sector) * SECTOR_BYTES as u64;
        compaction.unflushed_bytes = if flushed { 0 } else { compaction.unflushed_bytes + bytes };
        compaction.turn_bytes += bytes;
        compaction.end = behind;
    }

    /// The new superblock is durable: from here on its half holds the log.
    pub(super) fn flipped(&mut self, keyspace: &mut Keyspace) {
        let Some(compaction) = self.compaction.take() else { return };
        keyspace.end_snapshot();
        let before = self.log_bytes();
        (self.superblock, self.life) = (compaction.superblock, compaction.life);
        (self.rescuing, self.lacks_room) = (false, false);
        (self.tail, self.end) = (compaction.end, compaction.end);
        (self.copies_due, self.copy) = (1, 0);
        (self.gave_up, self.is_sealed) = (false, true);
        self.counts.compactions += 1;
        self.counts.compaction_time = self.now.since(compaction.started);
        log::info!(
            "compacted the log from {before} to {} bytes in {} ms",
            self.log_bytes(),
            self.counts.compaction_time.as_millis()
        );
    }

    /// Goes on with the log as it is.
    pub(super) fn give_up_compaction(&mut self, keyspace: &mut Keyspace) {
        keyspace.end_snapshot();
        self.compaction = None;
        self.gave_up = true;
        self.lacks_room = false;
        (self.record_due, self.compaction_wanted) = (!self.rescuing, self.rescuing);
        self.compact_not_before = self.now + COMPACT_AGAIN_AFTER;
        self.counts.compactions_failed += 1;
        log::warn!("the compaction was abandoned: the log is unchanged, and compaction is retried later");
    }
}
