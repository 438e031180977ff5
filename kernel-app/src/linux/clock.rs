//! The process's time, from the kernel's clocks.

use core::time::Duration;
use std::time::{Instant as SystemInstant, SystemTime};

use wire::Instant;

/// The kernel's monotonic and wall clock.
#[derive(Debug)]
pub struct LinuxClock {
    start: SystemInstant,
}

impl Default for LinuxClock {
    fn default() -> Self {
        Self::new()
    }
}

impl LinuxClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self { start: SystemInstant::now() }
    }

    /// Time since the start.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// Time since 1970; zero when the machine believes that it is earlier.
    pub fn unix_time(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}
