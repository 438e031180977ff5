//! What the log says of accepted votes: how many for which option, at most once a second.
//!
//! A line for each vote cost more than reading its form, and a serial line takes one byte at a time. Every
//! single vote is in the log from the level `debug` on.

use core::time::Duration;

use kernel_app::Instant;

use crate::ballot::Choice;

/// Least time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// Votes that the log has not told of yet.
#[derive(Debug, Default)]
pub struct Journal {
    votes: [u64; 2],
    /// When the next line may be written; in the past after a quiet time, so that a first vote is told at once.
    due_at: Instant,
}

impl Journal {
    /// Notes a vote.
    pub fn note(&mut self, choice: Choice) {
        log::debug!("vote accepted: {}", choice.as_str());
        self.votes[choice.index()] += 1;
    }

    /// Writes the line when it is due.
    pub fn turn(&mut self, now: Instant) {
        if let Some([a, b]) = self.take_due(now) {
            log::info!("votes accepted: a {a}, b {b}");
        }
    }

    /// When there is a line to write.
    pub fn next_deadline(&self) -> Option<Instant> {
        (self.votes != [0, 0]).then_some(self.due_at)
    }

    fn take_due(&mut self, now: Instant) -> Option<[u64; 2]> {
        self.next_deadline().filter(|due_at| *due_at <= now)?;
        self.due_at = now + INTERVAL;
        Some(core::mem::take(&mut self.votes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_vote_is_told_at_once_and_those_of_the_next_second_together() {
        let mut journal = Journal::default();
        let start = Instant::from_millis(5_000);
        assert_eq!((journal.next_deadline(), journal.take_due(start)), (None, None), "nothing to tell");

        journal.note(Choice::A);
        assert_eq!(journal.take_due(start), Some([1, 0]));
        [Choice::A, Choice::B, Choice::A].into_iter().for_each(|choice| journal.note(choice));
        let due = start + INTERVAL;
        assert_eq!((journal.next_deadline(), journal.take_due(start)), (Some(due), None));
        assert_eq!(journal.take_due(due), Some([2, 1]));
        assert_eq!(journal.next_deadline(), None, "each vote is told once");
    }
}
