//! The state of the disk, and its counters. It writes nothing.

use core::time::Duration;

use kernel_app::Usage;
use kernel_app::disk::{DiskError, SECTOR_BYTES};

use super::Journal;
use super::account::{Counts, Trouble};
use super::batch::BATCH_BYTES_MAX;

/// How long after a failure the disk is tried again, and at most, after many.
const RETRY_AFTER: Duration = Duration::from_millis(100);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// `/readyz` reports a write that has not ended after this time.
const SLOW_AFTER: Duration = Duration::from_secs(3);

impl Journal {
    /// Why nothing may change, if so.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Whether nothing can be written and nothing could since the start, so that what was read may not be durable.
    pub fn is_in_doubt(&self) -> bool {
        self.trouble.is_some() && !self.verified
    }

    /// What has been counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether a write takes so long that the disk may not be there any more.
    pub fn is_slow(&self) -> bool {
        self.under_way.is_some() && self.now.since(self.write_started) >= SLOW_AFTER
    }

    /// Bytes of the log.
    pub fn log_bytes(&self) -> u64 {
        self.end.sector * SECTOR_BYTES as u64
    }

    /// Bytes that the log may have.
    pub fn log_bytes_max(&self) -> u64 {
        self.superblock.half_sectors * SECTOR_BYTES as u64
    }

    /// How much of what is bounded here is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        report(Usage::new("bytes gathered for a commit", self.gathering.len(), BATCH_BYTES_MAX));
        let in_sectors = |sectors: u64| usize::try_from(sectors).unwrap_or(usize::MAX);
        let (used, limit) = (self.end.sector, self.superblock.half_sectors);
        report(Usage::new("sectors of the log", in_sectors(used), in_sectors(limit)));
    }

    /// Bytes of the log as the last compaction left it.
    pub fn snapshot_bytes(&self) -> u64 {
        self.superblock.snapshot_sectors * SECTOR_BYTES as u64
    }

    /// Bytes of commands that are not durable yet.
    pub fn gathered_bytes(&self) -> usize {
        self.gathering.len() + self.committing.len()
    }

    /// Whether the last compaction was given up.
    pub fn has_given_up(&self) -> bool {
        self.gave_up
    }

    /// Whether a compaction is under way.
    pub fn is_compacting(&self) -> bool {
        self.compaction.is_some()
    }

    /// Whether a failure is not too recent to try again.
    pub(super) fn may_try(&self) -> bool {
        self.trouble.is_none_or(|trouble| trouble.retry_at <= self.now)
    }

    /// Notes a failure.
    pub(super) fn fails(&mut self, error: DiskError) {
        self.counts.errors += 1;
        let (since, retry_after) = match self.trouble {
            Some(trouble) => (trouble.since, (trouble.retry_after * 2).min(RETRY_AFTER_MAX)),
            None => {
                let reads = if self.verified { "" } else { " and reads" };
                log::error!("the disk cannot be written: {error}; writes{reads} are refused until it can");
                (self.now, RETRY_AFTER)
            }
        };
        self.trouble = Some(Trouble { error, since, retry_at: self.now + retry_after, retry_after });
    }

    /// Notes a success.
    pub(super) fn works(&mut self) {
        if let Some(trouble) = self.trouble.take() {
            let millis = self.now.since(trouble.since).as_millis();
            log::info!("the disk can be written again after {millis} ms");
        }
    }
}
