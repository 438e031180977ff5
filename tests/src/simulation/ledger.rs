//! What voters were told, and what may be counted for them in the end.
//!
//! Watches nobody: the voters write down what they did and heard.
//!
//! A voter makes one attempt at a time. An attempt ends in one of four ways ([`Answer`]), and what may
//! become of it follows:
//! * *accepted*: from here on it is the voter's choice, until a later attempt takes effect;
//! * *refused* or *lost*: it may or may not take effect, but not later than [`REFUSED_MAY_COUNT_WITHIN`] or
//!   [`LOST_MAY_COUNT_WITHIN`] after its end. So it never overrides an accepted attempt that began after
//!   that, and it is concurrent with one that began before;
//! * *unsent*: it has no effect.
//!
//! Where an older copy of what is durable is put back, or what is not durable is lost ([`Ledger::forget`]), attempts
//! from before may be forgotten, accepted or not. What is accepted from there on counts as always: nothing from
//! before may override it.

use std::time::Duration;

use kernel_app::Instant;
pub use votes::Choice;

/// How long an attempt may still take effect after its voter was told that it failed: not at all, over one
/// that began later.
pub const REFUSED_MAY_COUNT_WITHIN: Duration = Duration::ZERO;
/// How long an attempt may still take its place among all votes after its voter has given up waiting. Frames
/// under way take up to 1 s on the roughest of networks (`faults`), and the vote service, whose clock may be
/// slow, takes 0.9 s until it refuses.
pub const LOST_MAY_COUNT_WITHIN: Duration = Duration::from_millis(2_500);

/// How an attempt ended for the voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: the vote is kept.
    Accepted,
    /// 503: the vote was not kept, as far as anybody knows.
    Refused,
    /// The connection ended, or the voter has given up waiting.
    Lost,
    /// The voter has given up before anything was sent.
    Unsent,
}

impl Answer {
    /// How long after this answer the attempt may take effect, if it may at all.
    const fn may_count_within(self) -> Option<Duration> {
        match self {
            Self::Accepted => Some(Duration::ZERO),
            Self::Refused => Some(REFUSED_MAY_COUNT_WITHIN),
            Self::Lost => Some(LOST_MAY_COUNT_WITHIN),
            Self::Unsent => None,
        }
    }
}

/// One attempt of a voter.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    choice: Choice,
    began: Instant,
    ended: Option<(Instant, Answer)>,
    /// It may have been forgotten since.
    is_doubtful: bool,
}

impl Attempt {
    /// Whether it must count unless a later one does.
    const fn is_firm(&self) -> bool {
        matches!(self.ended, Some((_, Answer::Accepted))) && !self.is_doubtful
    }

    /// Whether it may take effect at or after `now`.
    fn may_count_after(&self, now: Instant) -> bool {
        match self.ended {
            None => true,
            Some((at, answer)) => answer.may_count_within().is_some_and(|within| at + within > now),
        }
    }
}

/// What may be counted for a voter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permitted {
    /// Choices of which any may be counted.
    pub choices: Vec<Choice>,
    /// Whether it may be that nothing is counted.
    pub nothing: bool,
}

impl Permitted {
    /// Whether this may be counted.
    pub fn allows(&self, counted: Option<Choice>) -> bool {
        counted.map_or(self.nothing, |choice| self.choices.contains(&choice))
    }
}

/// Every voter's attempts.
#[derive(Debug)]
pub struct Ledger {
    voters: Vec<Vec<Attempt>>,
}

impl Ledger {
    /// Nobody of so many voters has voted yet.
    pub fn new(voters: usize) -> Self {
        Self { voters: vec![Vec::new(); voters] }
    }

    /// How many people may vote.
    pub fn voters(&self) -> usize {
        self.voters.len()
    }

    /// A voter begins an attempt.
    pub fn cast(&mut self, voter: usize, choice: Choice, now: Instant) {
        self.voters[voter].push(Attempt { choice, began: now, ended: None, is_doubtful: false });
    }

    /// The voter's last attempt has ended.
    pub fn settle(&mut self, voter: usize, answer: Answer, now: Instant) {
        if let Some(attempt) = self.voters[voter].last_mut() {
            attempt.ended = Some((now, answer));
        }
    }

    /// What was accepted after `since`, or is under way, may be forgotten from now on.
    pub fn forget(&mut self, since: Instant) {
        for attempt in self.voters.iter_mut().flatten() {
            attempt.is_doubtful |= attempt.ended.is_none_or(|(at, _)| at > since);
        }
    }

    /// Whether the voter has ever made this choice.
    pub fn has_cast(&self, voter: usize, choice: Choice) -> bool {
        self.voters[voter].iter().any(|attempt| {
            let was_sent = !matches!(attempt.ended, Some((_, Answer::Unsent)));
            attempt.choice == choice && was_sent
        })
    }

    /// What may be counted for a voter once everything has settled.
    pub fn permitted(&self, voter: usize) -> Permitted {
        let attempts = &self.voters[voter];
        let is_accepted = |attempt: &Attempt| matches!(attempt.ended, Some((_, Answer::Accepted)));
        let last = attempts.iter().rposition(Attempt::is_firm);
        let since = last.map_or(Instant::ZERO, |index| attempts[index].began);
        let mut permitted = Permitted { choices: Vec::new(), nothing: last.is_none() };
        for (index, attempt) in attempts.iter().enumerate() {
            let may_be = match last {
                Some(last) if index < last => !is_accepted(attempt) && attempt.may_count_after(since),
                _ => attempt.may_count_after(attempt.began) || Some(index) == last,
            };
            if may_be && !permitted.choices.contains(&attempt.choice) {
                permitted.choices.push(attempt.choice);
            }
        }
        permitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Answer::{Accepted, Lost, Refused, Unsent};
    use Choice::{A, B};

    /// What is permitted after attempts that begin and end at these seconds.
    fn permitted(attempts: &[(Choice, u64, u64, Answer)]) -> Permitted {
        let mut ledger = Ledger::new(1);
        for (choice, began_s, ended_s, answer) in attempts {
            ledger.cast(0, *choice, Instant::from_millis(began_s * 1_000));
            ledger.settle(0, *answer, Instant::from_millis(ended_s * 1_000));
        }
        ledger.permitted(0)
    }

    fn choices(choices: &[Choice]) -> Permitted {
        Permitted { choices: choices.to_vec(), nothing: false }
    }

    #[test]
    fn the_last_accepted_choice_counts() {
        assert_eq!(permitted(&[]), Permitted { choices: Vec::new(), nothing: true });
        assert_eq!(permitted(&[(A, 0, 1, Accepted)]), choices(&[A]));
        assert_eq!(permitted(&[(A, 0, 1, Accepted), (B, 1, 2, Accepted)]), choices(&[B]));
        assert!(!permitted(&[(A, 0, 1, Accepted)]).allows(None));
        assert!(!permitted(&[(A, 0, 1, Accepted)]).allows(Some(B)));
    }

    #[test]
    fn a_later_attempt_without_acceptance_may_count() {
        for answer in [Refused, Lost] {
            assert_eq!(permitted(&[(A, 0, 1, Accepted), (B, 2, 3, answer)]), choices(&[A, B]));
            assert_eq!(permitted(&[(B, 2, 3, answer)]), Permitted { choices: vec![B], nothing: true });
        }
        assert_eq!(permitted(&[(A, 0, 1, Accepted), (B, 2, 3, Unsent)]), choices(&[A]));
        let mut ledger = Ledger::new(1);
        ledger.cast(0, A, Instant::ZERO);
        assert_eq!(ledger.permitted(0), Permitted { choices: vec![A], nothing: true }, "still under way");
    }

    #[test]
    fn an_earlier_attempt_counts_only_while_it_may_be_under_way() {
        let soon = LOST_MAY_COUNT_WITHIN.as_secs() - 1;
        assert_eq!(permitted(&[(A, 0, 1, Lost), (B, 1 + soon, 30, Accepted)]), choices(&[A, B]));
        assert_eq!(permitted(&[(A, 0, 1, Lost), (B, 3 + soon, 30, Accepted)]), choices(&[B]));
        assert_eq!(permitted(&[(A, 0, 1, Refused), (B, 1, 30, Accepted)]), choices(&[B]));
        assert_eq!(permitted(&[(A, 0, 1, Unsent), (B, 1, 30, Accepted)]), choices(&[B]));
    }

    #[test]
    fn a_vote_before_a_data_loss_may_count_until_a_newer_one_is_accepted() {
        let mut ledger = Ledger::new(1);
        let accept = |ledger: &mut Ledger, choice, second: u64| {
            ledger.cast(0, choice, Instant::from_millis(second * 1_000));
            ledger.settle(0, Accepted, Instant::from_millis(second * 1_000 + 1));
        };
        accept(&mut ledger, A, 1);
        accept(&mut ledger, B, 3);
        ledger.forget(Instant::from_millis(2_000));
        assert_eq!(ledger.permitted(0), choices(&[A, B]));
        ledger.forget(Instant::ZERO);
        assert_eq!(ledger.permitted(0), Permitted { choices: vec![A, B], nothing: true });
        ledger.cast(0, A, Instant::from_millis(4_000));
        ledger.forget(Instant::ZERO);
        ledger.settle(0, Accepted, Instant::from_millis(4_001));
        assert!(ledger.permitted(0).nothing, "it was under way");
        accept(&mut ledger, B, 5);
        assert_eq!(ledger.permitted(0), choices(&[B]));
    }

    #[test]
    fn only_what_was_sent_was_cast() {
        let mut ledger = Ledger::new(1);
        ledger.cast(0, A, Instant::ZERO);
        assert!(ledger.has_cast(0, A) && !ledger.has_cast(0, B));
        ledger.settle(0, Unsent, Instant::ZERO);
        assert!(!ledger.has_cast(0, A));
    }
}
