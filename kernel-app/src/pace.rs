//! How often something is said that a client can cause: what it does a thousand times is told once.
//!
//! Says nothing itself.

use core::time::Duration;

use wire::Instant;

/// Least time between two lines of one kind in the log.
pub const LOG_EVERY: Duration = Duration::from_secs(1);

/// When a line of one kind may be written again.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogPace {
    /// In the past after a quiet time, so that the first message is logged at once.
    due_at: Instant,
}

impl LogPace {
    /// Whether a line may be written now; then it counts as written.
    pub fn allows(&mut self, now: Instant) -> bool {
        let is_due = now >= self.due_at;
        if is_due {
            self.due_at = now + LOG_EVERY;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_and_the_first_at_once() {
        let mut pace = LogPace::default();
        let told = [0, 1, 999, 1_000, 1_500, 5_000].map(|at| pace.allows(Instant::from_millis(at)));
        assert_eq!(told, [true, false, false, true, false, true]);
    }
}
