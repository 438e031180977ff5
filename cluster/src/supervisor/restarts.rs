//! When a failed instance is restarted: after a pause that doubles with each consecutive failure, until its policy's
//! limit. It starts nothing and reads no clock.

use std::time::{Duration, Instant};

use crate::application::restart::Restart;

/// Pause before the first restart in a row.
pub const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);
/// An instance that has been healthy for this long has recovered: its failures are counted anew.
pub const RECOVERED_AFTER: Duration = Duration::from_secs(10);

/// What follows from an instance's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is started again.
    Again {
        /// After this time.
        pause: Duration,
        /// Which restart in a row this is, from 1.
        attempt: u32,
    },
    /// It stays ended.
    Over,
}

/// One instance's failures.
#[derive(Clone, Copy, Debug)]
pub struct Restarts {
    policy: Restart,
    /// Failures since it was well.
    in_a_row: u32,
    healthy_since: Option<Instant>,
    /// When it is to be started again.
    due: Option<Instant>,
}

impl Restarts {
    /// An instance that has not failed yet.
    pub fn new(policy: Restart) -> Self {
        Self { policy, in_a_row: 0, healthy_since: None, due: None }
    }

    /// It is healthy.
    pub fn healthy(&mut self, now: Instant) {
        self.healthy_since.get_or_insert(now);
    }

    /// It has ended.
    pub fn ended(&mut self, has_failed: bool, now: Instant) -> Decision {
        let healthy = self.healthy_since.take().map_or(Duration::ZERO, |since| now - since);
        if healthy >= RECOVERED_AFTER {
            self.in_a_row = 0;
        }
        let Restart::OnFailure { retries_max } = self.policy else { return Decision::Over };
        if !has_failed || retries_max.is_some_and(|max| self.in_a_row >= max) {
            return Decision::Over;
        }
        let pause = PAUSE_MIN.saturating_mul(1 << self.in_a_row.min(16)).min(PAUSE_MAX);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.due = Some(now + pause);
        Decision::Again { pause, attempt: self.in_a_row }
    }

    /// When it is to be started again, while it waits for that.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether it is to be started now; then it no longer waits.
    pub fn take_due(&mut self, now: Instant) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDLESS: Restart = Restart::OnFailure { retries_max: None };

    fn pause_ms(decision: Decision) -> u128 {
        match decision {
            Decision::Again { pause, .. } => pause.as_millis(),
            Decision::Over => panic!("it is over"),
        }
    }

    #[test]
    fn pauses_double_up_to_a_limit() {
        let mut restarts = Restarts::new(ENDLESS);
        let now = Instant::now();
        let pauses: Vec<u128> = (0..9).map(|_| pause_ms(restarts.ended(true, now))).collect();
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        let mut later = Restarts { in_a_row: u32::MAX, ..restarts };
        assert_eq!(pause_ms(later.ended(true, now)), 30_000);
    }

    #[test]
    fn a_long_healthy_run_resets_the_restart_pause() {
        let mut restarts = Restarts::new(Restart::OnFailure { retries_max: Some(2) });
        let mut now = Instant::now();
        assert_eq!(pause_ms(restarts.ended(true, now)), 250);
        restarts.healthy(now);
        now += RECOVERED_AFTER - Duration::from_millis(1);
        restarts.healthy(now);
        assert_eq!(pause_ms(restarts.ended(true, now)), 500, "healthy, but not for long enough");
        assert_eq!(restarts.ended(true, now), Decision::Over, "two retries were allowed");
        restarts.healthy(now);
        now += RECOVERED_AFTER;
        assert_eq!(pause_ms(restarts.ended(true, now)), 250);
    }

    #[test]
    fn a_restart_is_due_once_and_not_early() {
        let mut restarts = Restarts::new(ENDLESS);
        let now = Instant::now();
        assert_eq!((restarts.due(), restarts.take_due(now)), (None, false));
        restarts.ended(true, now);
        assert_eq!(restarts.due(), Some(now + PAUSE_MIN));
        assert!(!restarts.take_due(now));
        assert!(restarts.take_due(now + PAUSE_MIN));
        assert!(!restarts.take_due(now + PAUSE_MIN));
    }

    #[test]
    fn an_end_that_is_no_failure_and_a_policy_of_none_are_final() {
        let now = Instant::now();
        assert_eq!(Restarts::new(ENDLESS).ended(false, now), Decision::Over);
        assert_eq!(Restarts::new(Restart::No).ended(true, now), Decision::Over);
    }
}
