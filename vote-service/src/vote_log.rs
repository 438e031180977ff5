//! Log lines about votes, at most once a second: the number of accepted votes per option, and of refused votes per
//! reason.
//!
//! One line per vote cost more than reading its form, and a serial line takes one byte at a time. From the level
//! `debug` on, every single vote is logged.

use core::fmt;

use kernel_app::Instant;
use kernel_app::pace::LOG_EVERY;
use votes::Choice;

use crate::rejection::Rejection;

/// How many were refused for each reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Refused([u64; Rejection::ALL.len()]);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Rejection::ALL.iter().zip(self.0).filter(|(_, count)| *count > 0);
        let mut comma = "";
        for (rejection, count) in counts {
            write!(f, "{comma}{} {count}", rejection.label())?;
            comma = ", ";
        }
        Ok(())
    }
}

/// Votes that the log has not told of yet.
#[derive(Debug, Default)]
pub struct VoteLog {
    votes: [u64; 2],
    refused: Refused,
    /// When the next line may be written; in the past after a quiet time, so that a first vote is logged at once.
    due_at: Instant,
}

impl VoteLog {
    /// Notes a vote.
    pub fn note(&mut self, choice: Choice) {
        log::debug!("vote accepted: {}", choice.as_str());
        self.votes[choice.index()] += 1;
    }

    /// Notes that a vote was refused which was one.
    pub fn note_refusal(&mut self, rejection: Rejection) {
        log::debug!("vote refused: {}", rejection.label());
        self.refused.0[rejection as usize] += 1;
    }

    /// Writes the lines when they are due.
    pub fn turn(&mut self, now: Instant) {
        let Some(([a, b], refused)) = self.take_due(now) else { return };
        if [a, b] != [0, 0] {
            log::info!("votes accepted: a {a}, b {b}");
        }
        if refused != Refused::default() {
            log::warn!("votes refused: {refused}");
        }
    }

    /// When there is a line to write.
    pub fn next_deadline(&self) -> Option<Instant> {
        (self.votes != [0, 0] || self.refused != Refused::default()).then_some(self.due_at)
    }

    fn take_due(&mut self, now: Instant) -> Option<([u64; 2], Refused)> {
        self.next_deadline().filter(|due_at| *due_at <= now)?;
        self.due_at = now + LOG_EVERY;
        Some((core::mem::take(&mut self.votes), core::mem::take(&mut self.refused)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_vote_is_logged_at_once_and_later_ones_once_a_second() {
        let mut vote_log = VoteLog::default();
        let start = Instant::from_millis(5_000);
        assert_eq!((vote_log.next_deadline(), vote_log.take_due(start)), (None, None), "nothing to tell");

        vote_log.note(Choice::A);
        assert_eq!(vote_log.take_due(start), Some(([1, 0], Refused::default())));
        [Choice::A, Choice::B, Choice::A].into_iter().for_each(|choice| vote_log.note(choice));
        let due = start + LOG_EVERY;
        assert_eq!((vote_log.next_deadline(), vote_log.take_due(start)), (Some(due), None));
        assert_eq!(vote_log.take_due(due), Some(([2, 1], Refused::default())));
        assert_eq!(vote_log.next_deadline(), None, "each vote is told once");

        (0..1_000).for_each(|_| vote_log.note_refusal(Rejection::Full));
        vote_log.note_refusal(Rejection::TooFast);
        let (votes, refused) = vote_log.take_due(due + LOG_EVERY).expect("a line");
        assert_eq!((votes, alloc::format!("{refused}").as_str()), ([0, 0], "too_fast 1, full 1000"));
    }
}
