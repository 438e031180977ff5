//! Votes that a Redis has taken, but perhaps none of its replicas: a Redis copies to them later, and a vote that only
//! a lost primary had is lost with it. `REDIS_REPLICAS` says how many must have a vote before it is acknowledged.
//!
//! It sends nothing itself. One `WAIT` follows the votes of a turn. It covers all that was sent before on the same
//! connection, and replies come in order, so its reply is about every vote whose own reply has come by then.

use alloc::collections::VecDeque;
use core::time::Duration;

use kernel_app::Instant;
use kernel_app::client::Outcome;
use kernel_app::client::resp::StoreOutcome;
use kernel_app::settings::{SettingError, Settings};
use wire::resp::{Digits, Reply};

use crate::rejection::Rejection;
use crate::ticket_queue::Vote;

/// Most replicas that can be wanted.
const REPLICAS_MAX: u32 = 8;
/// How long a store may wait for its replicas. What is sent behind that waits as well, and is to be in time.
pub const COPIED_WITHIN: Duration = Duration::from_millis(500);

/// The votes, and how many replicas must have them.
#[derive(Debug, Default)]
pub struct Copies {
    wanted: u32,
    /// Votes that the store has taken, in the order of their deadlines but for those that were sent again.
    votes: VecDeque<Vote>,
}

impl Copies {
    /// As `REDIS_REPLICAS` says; none are wanted by default.
    ///
    /// # Errors
    /// When that is no small number.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        let expected = "how many replicas must have a vote before it is acknowledged, from 0 to 8";
        let wanted = settings.number("REDIS_REPLICAS", 0, REPLICAS_MAX, expected)?;
        Ok(Self { wanted, votes: VecDeque::new() })
    }

    /// Whether a vote that the store has taken must wait.
    pub fn are_wanted(&self) -> bool {
        self.wanted > 0
    }

    /// A vote that the store has taken waits.
    pub fn hold(&mut self, vote: Vote) {
        self.votes.push_back(vote);
    }

    /// How many votes wait.
    pub fn len(&self) -> usize {
        self.votes.len()
    }

    /// What asks the store for the copies.
    pub fn command<R>(&self, send: impl FnOnce(&[&[u8]]) -> R) -> R {
        let wait_ms = COPIED_WITHIN.as_millis() as u64;
        let [wanted, wait_ms] = [self.wanted.into(), wait_ms].map(Digits::of_u64);
        send(&[b"WAIT", wanted.as_bytes(), wait_ms.as_bytes()])
    }

    /// What the store's reply means for the votes that wait.
    pub fn judge(&self, outcome: StoreOutcome<'_>) -> Result<(), Rejection> {
        match outcome {
            Outcome::Answer(Reply::Integer(copies)) if copies >= self.wanted.into() => Ok(()),
            Outcome::Answer(Reply::Integer(_)) => Err(Rejection::NotCopied),
            Outcome::Answer(_) => Err(Rejection::StoreError),
            Outcome::Overdue | Outcome::Lost => Err(Rejection::StoreSilent),
        }
    }

    /// Takes a vote.
    pub fn take(&mut self) -> Option<Vote> {
        self.votes.pop_front()
    }

    /// Takes a vote whose time is up.
    pub fn take_overdue(&mut self, now: Instant) -> Option<Vote> {
        let index = self.votes.iter().position(|vote| vote.deadline <= now)?;
        self.votes.remove(index)
    }

    /// When the next vote's time is up.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.votes.iter().map(|vote| vote.deadline).min()
    }
}
