//! When a commit begins: at once, or a little later with more commands in it.
//!
//! Clients that wait for replies can split into two groups: while the commit of one group runs, the other group's
//! commands accumulate, and each request waits for two writes. Clients whose replies are sent now will probably send
//! again soon, and a short wait for them merges the two groups. The wait is short compared with the write that it
//! saves. A single client never waits.

use core::time::Duration;

use kernel_app::Instant;

/// The part of the last commit's time that the next one waits at most.
const WAIT_DIVISOR: u32 = 4;
/// A shorter wait is none: a loop's timer may be no finer than 1 ms, and so short a commit is soon over.
const WAIT_MIN: Duration = Duration::from_micros(500);
/// The longest wait, after however slow a commit.
const WAIT_MAX: Duration = Duration::from_millis(2);

/// How long commits took, and how many units they had.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// So many units are expected,
    units: usize,
    /// but nobody waits for them beyond this.
    until: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self { units: 0, until: Instant::ZERO }
    }
}

impl Pace {
    /// A commit of `units` units has ended after `took`, while others accumulated.
    pub fn committed(&mut self, units: usize, gathered: usize, took: Duration, now: Instant) {
        self.units = units + gathered;
        let wait = (took / WAIT_DIVISOR).min(WAIT_MAX);
        self.until = if wait < WAIT_MIN { now } else { now + wait };
    }

    /// When to begin a commit of this number of units.
    pub fn begin_at(&self, units: usize, now: Instant) -> Instant {
        if units >= self.units { now } else { self.until.max(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_briefly_for_recently_answered_clients() {
        let now = Instant::from_millis(100);
        let mut pace = Pace::default();
        assert_eq!(pace.begin_at(1, now), now, "nothing is expected at first");
        pace.committed(25, 25, Duration::from_millis(4), now);
        assert_eq!(pace.begin_at(25, now), Instant::from_millis(101));
        assert_eq!(pace.begin_at(50, now), now, "all are back");
        let later = Instant::from_millis(102);
        assert_eq!(pace.begin_at(25, later), later);
        pace.committed(1, 0, Duration::from_millis(4), now);
        assert_eq!(pace.begin_at(1, now), now, "a lone client does not wait");
        pace.committed(25, 25, Duration::from_millis(1), now);
        assert_eq!(pace.begin_at(25, now), now, "what is soon over is not worth it");
        pace.committed(2, 0, Duration::from_secs(1), now);
        assert_eq!(pace.begin_at(1, now), now + WAIT_MAX);
    }
}
