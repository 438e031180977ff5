//! Messages to the supervisor from the threads that watch its machines, and from its starter.

use std::time::{Duration, Instant};

/// What the supervisor hears.
#[derive(Debug)]
pub enum Message {
    /// An instance has answered its health check with something new.
    Problem(Source, String),
    /// An instance is healthy.
    Healthy(Source),
    /// An instance that was healthy says whether it takes requests now.
    Readiness(Source, bool),
    /// An instance's process has ended.
    Ended(Source, Ending),
    /// An instance has reported a fault a while ago.
    Faulty(Source),
    /// An instance that was healthy has not answered at all for so long.
    Hung(Source, Duration),
    /// Its starter lets it go on alone.
    Leave,
    /// It is to stop everything.
    Stop(&'static str),
}

/// Which start of which instance a message is about; what an earlier one has left to say counts no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Place of the instance in the plan.
    pub index: usize,
    /// How often it had been started before.
    pub start: u32,
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// In words.
    pub how: String,
    /// Whether it has failed.
    pub has_failed: bool,
    /// Whether that says it all; otherwise its last words may.
    pub is_explained: bool,
}

/// Milliseconds since then.
pub fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
