//! When to check the supervisor's record of what runs, and since when it could not be written.

use std::time::{Duration, Instant};

/// How often it is looked whether the record is there, and written again when it is not.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// How the record on the disk is.
#[derive(Debug)]
pub struct Record {
    /// Since when what is known has not been written.
    pub unwritten_since: Option<Instant>,
    /// When it is looked at next.
    pub due: Instant,
}

impl Record {
    /// One that has been written just now.
    pub fn new(now: Instant) -> Self {
        Self { unwritten_since: None, due: now + INTERVAL }
    }
}
