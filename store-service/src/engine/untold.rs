//! Counts of refused commands and disconnected clients since the last log line about them.

use kernel_app::Instant;

/// What has not been logged yet.
#[derive(Debug)]
pub struct Untold {
    pub(super) out_of_memory: u64,
    pub(super) out_of_disk: u64,
    /// Clients disconnected for what they took, and what the last one took.
    pub(super) clients: u64,
    pub(super) client_bytes: usize,
    /// Nothing is logged before.
    pub(super) log_at: Instant,
    /// The last that was logged of memory was that it is full.
    pub(super) told_full: bool,
}

impl Untold {
    /// Nothing has happened.
    pub const fn new() -> Self {
        Self {
            out_of_memory: 0,
            out_of_disk: 0,
            clients: 0,
            client_bytes: 0,
            log_at: Instant::ZERO,
            told_full: false,
        }
    }
}
