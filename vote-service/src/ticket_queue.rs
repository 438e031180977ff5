//! Votes that wait for a ticket: a number from the store that says which of two votes came later.
//!
//! It sends nothing itself. A ticket is valid for all votes that arrived before it was requested, and one is
//! requested at a time. So a vote that arrives after another one was answered, by any instance, has the larger
//! number.

use alloc::collections::VecDeque;

use kernel_app::Instant;
use kernel_app::http::Exchange;
use votes::{Choice, sequence};

use crate::epoch::Begin;
use crate::voter::{Id, Voter};

/// Most votes that wait; more are refused.
pub const WAITING_MAX: usize = 4096;

const _: () = assert!(WAITING_MAX as u64 <= sequence::PER_TICKET);

/// What a ticket is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// The votes that were waiting for it may go to the store.
    Granted,
    /// Nothing: the store has lost those that it gave before. Another epoch must begin.
    WentBack,
}

/// A vote on its way to the store. There is at most one for each HTTP connection.
#[derive(Clone, Copy, Debug)]
pub struct Vote {
    /// The request to be answered.
    pub exchange: Exchange,
    /// Who votes.
    pub voter: Voter,
    /// For what.
    pub choice: Choice,
    /// Names the vote, also when it is sent again.
    pub id: Id,
    /// Until when the voter has an answer.
    pub deadline: Instant,
    /// Its place among all votes, once it has one; it keeps it when it is sent again to a store that has given it.
    pub sequence: Option<u64>,
}

/// The votes, in the order in which they came, and the tickets that were asked for.
#[derive(Debug, Default)]
pub struct TicketQueue {
    /// In the order of their deadlines.
    votes: VecDeque<Vote>,
    /// Number of votes that arrived before the current ticket was requested; they come first.
    covered: usize,
    /// Number of votes that have their sequence; they come first.
    granted: usize,
    asked: bool,
    /// The last ticket.
    last: u64,
}

impl TicketQueue {
    /// How many votes wait.
    pub fn len(&self) -> usize {
        self.votes.len()
    }

    /// Adds a vote that has just come, unless there are too many. One whose voter was looked up before comes to stand
    /// before those that came meanwhile, but not among those that a ticket is on the way for.
    pub fn join(&mut self, vote: Vote) -> bool {
        let room = self.votes.len() < WAITING_MAX;
        if room && self.votes.back().is_none_or(|last| last.deadline <= vote.deadline) {
            self.votes.push_back(vote);
        } else if room {
            let place = self.votes.partition_point(|other| other.deadline <= vote.deadline);
            self.votes.insert(place.max(self.covered).max(self.granted), vote);
        }
        room
    }

    /// Adds a vote whose connection to the store was lost: the store may have it or not.
    pub fn rejoin(&mut self, vote: Vote) {
        let order = |vote: &Vote| (vote.deadline, vote.sequence.is_none());
        let place = self.votes.partition_point(|other| order(other) <= order(&vote));
        self.votes.insert(place, vote);
    }

    /// Removes the vote whose voter is gone.
    pub fn leave(&mut self, exchange: Exchange) {
        if let Some(index) = self.votes.iter().position(|vote| vote.exchange == exchange) {
            self.votes.remove(index);
            self.covered -= usize::from(index < self.covered);
            self.granted -= usize::from(index < self.granted);
        }
    }

    /// Takes a vote whose time is up.
    pub fn take_overdue(&mut self, now: Instant) -> Option<Vote> {
        self.votes.front().filter(|vote| vote.deadline <= now)?;
        self.take_first()
    }

    /// When the next vote's time is up.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.votes.front().map(|vote| vote.deadline)
    }

    /// Whether a ticket is to be asked for.
    pub fn wants_ticket(&self) -> bool {
        !self.asked && !self.votes.is_empty()
    }

    /// A ticket was asked for.
    pub fn asked(&mut self) {
        (self.asked, self.covered) = (true, self.votes.len());
    }

    /// The ticket does not arrive; votes that still have time wait for the next one.
    pub fn missed(&mut self) {
        (self.asked, self.covered) = (false, 0);
    }

    /// Takes a vote that the store gave no ticket for, and forgets the ticket once that was the last.
    pub fn take_refused(&mut self) -> Option<Vote> {
        if self.covered == 0 {
            self.missed();
            return None;
        }
        self.take_first()
    }

    /// The ticket is there.
    pub fn grant(&mut self, ticket: u64) -> Grant {
        let covered = self.covered;
        self.missed();
        if ticket <= self.last {
            self.warn(ticket);
            return Grant::WentBack;
        }
        self.last = ticket;
        for (vote, sequence) in self.votes.iter_mut().take(covered).zip(sequence::first_of(ticket)..) {
            vote.sequence = vote.sequence.or(Some(sequence));
        }
        self.granted = covered;
        Grant::Granted
    }

    /// An epoch has begun.
    ///
    /// Sequences from before are worth something only in the store that has given them. If it knows the epoch that
    /// they are of, they stay as they are below the ticket taken, so that a vote that it may have twice is still one
    /// vote; one that is not below it the store has lost, and will give once more.
    pub fn begin(&mut self, begin: Begin) {
        if begin.taken <= self.last {
            self.warn(begin.taken);
        }
        self.last = begin.ticket;
        let is_kept = |sequence: &u64| begin.is_same_store && *sequence < sequence::first_of(begin.taken);
        self.votes.iter_mut().for_each(|vote| vote.sequence = vote.sequence.filter(is_kept));
    }

    fn warn(&self, ticket: u64) {
        log::warn!(
            "the store counts tickets from {ticket} again, after {}: it has lost data, or has an older copy of them",
            self.last
        );
    }

    /// Takes the next vote that may go to the store.
    pub fn take_granted(&mut self) -> Option<Vote> {
        if self.granted == 0 { None } else { self.take_first() }
    }

    fn take_first(&mut self) -> Option<Vote> {
        self.covered = self.covered.saturating_sub(1);
        self.granted = self.granted.saturating_sub(1);
        self.votes.pop_front()
    }
}
