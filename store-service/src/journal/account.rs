//! A journal's report about itself: counters, and the state of its disk.

use core::time::Duration;

use kernel_app::Instant;
use kernel_app::disk::DiskError;
use kernel_app::metrics::Histogram;

/// What has been counted since the start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Commits, each of all that had gathered.
    pub commits: u64,
    /// Their records.
    pub records: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Writes that failed.
    pub errors: u64,
    /// Compactions that ended well.
    pub compactions: u64,
    /// Compactions that were abandoned.
    pub compactions_failed: u64,
    /// How long the last compaction took.
    pub compaction_time: Duration,
    /// From the beginning of a commit's first write to the end of its last.
    pub commit_time: Histogram,
}

/// A disk that does not work.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// What it said last.
    pub error: DiskError,
    /// Since when.
    pub since: Instant,
    /// When it is tried again.
    pub retry_at: Instant,
    pub(super) retry_after: Duration,
}
