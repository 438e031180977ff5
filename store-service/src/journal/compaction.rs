//! Compaction: the data as the fewest commands in the other half, and then a superblock that says so.
//!
//! The log in use stays as it is until the new superblock is durable. Inputs are held meanwhile, so the
//! data do not change.

use core::time::Duration;

use kernel_app::{Buffer, Disk, Entropy, Instant};

use super::record::{PAYLOAD_BYTES_MAX, Position, sectors_of};
use super::superblock::Superblock;
use super::{Journal, Write};
use crate::keyspace::{Cursor, Keyspace};

/// How long after a failed compaction the next one may begin.
const COMPACT_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A compaction under way.
#[derive(Debug)]
pub struct Compaction {
    /// What takes the place of the superblock in use.
    superblock: Superblock,
    /// Of its records.
    life: u64,
    /// The end of what is durable in the other half.
    end: Position,
    cursor: Cursor,
    /// All data are written or being written.
    complete: bool,
    /// Something may not be durable of what is written.
    unflushed: bool,
    /// The commands of the next record.
    commands: Buffer,
    started: Instant,
}

impl Journal {
    /// Begins a compaction or writes the next part of the one under way. Everything is durable.
    pub(super) fn compact(&mut self, disk: &mut dyn Disk, keyspace: &Keyspace, entropy: &mut dyn Entropy) {
        self.compaction_wanted = false;
        let (superblock, sequence, now) = (self.superblock, self.end.sequence, self.now);
        let compaction = self.compaction.get_or_insert_with(|| {
            let superblock = superblock.next(entropy.next_u64(), sequence);
            let (cursor, commands) = (Cursor::default(), Buffer::new(PAYLOAD_BYTES_MAX));
            let (end, life) = (superblock.first(), superblock.life(entropy.next_u64()));
            Compaction {
                superblock,
                life,
                end,
                cursor,
                complete: false,
                unflushed: false,
                commands,
                started: now,
            }
        });
        if !compaction.complete {
            compaction.commands.clear();
            compaction.complete = keyspace.write_commands(&mut compaction.cursor, &mut compaction.commands);
            // A record without commands is written for its flush.
            if !compaction.commands.is_empty() || (compaction.complete && compaction.unflushed) {
                return self.write_snapshot(disk);
            }
            if !compaction.complete {
                // A record has room for any command.
                return self.give_up_compaction();
            }
        }
        compaction.superblock.snapshot_sectors = compaction.end.sector;
        disk.write(1, &compaction.superblock.encode(), now);
        self.under_way = Some(Write::Flip);
    }

    fn write_snapshot(&mut self, disk: &mut dyn Disk) {
        let Some(Compaction { superblock, life, end, commands, complete, .. }) = &self.compaction else {
            return;
        };
        if end.sector + sectors_of(commands.len()) > superblock.half_sectors {
            // Admission rules it out, unless the data came from a larger disk.
            log::error!("the data do not fit into half of the disk: the log is not compacted");
            return self.give_up_compaction();
        }
        let behind = end.write(&mut self.image, *life, commands.as_slice(), false);
        let sector = superblock.start() + end.sector;
        if *complete {
            disk.write(sector, &self.image, self.now);
        } else {
            disk.write_ahead(sector, &self.image, self.now);
        }
        self.under_way = Some(Write::Snapshot(behind));
    }

    pub(super) fn snapshot_written(&mut self, behind: Position) {
        if let Some(compaction) = &mut self.compaction {
            (compaction.end, compaction.unflushed) = (behind, !compaction.complete);
        }
    }

    /// The new superblock is durable: from here on its half holds the log.
    pub(super) fn flipped(&mut self) {
        let Some(compaction) = self.compaction.take() else { return };
        let before = self.log_bytes();
        (self.superblock, self.life) = (compaction.superblock, compaction.life);
        self.rescuing = false;
        (self.tail, self.end) = (compaction.end, compaction.end);
        (self.copies_due, self.copy) = (1, 0);
        self.gave_up = false;
        self.counts.compactions += 1;
        self.counts.compaction_time = self.now.since(compaction.started);
        log::info!(
            "compacted the log from {before} to {} bytes in {} ms",
            self.log_bytes(),
            self.counts.compaction_time.as_millis()
        );
    }

    /// Goes on with the log as it is.
    pub(super) fn give_up_compaction(&mut self) {
        self.compaction = None;
        self.gave_up = true;
        (self.record_due, self.compaction_wanted) = (!self.rescuing, self.rescuing);
        self.compact_not_before = self.now + COMPACT_AGAIN_AFTER;
        self.counts.compactions_failed += 1;
        log::warn!("the compaction is given up: the log stays as it is");
    }
}
