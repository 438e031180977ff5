//! The requests on a connection that have no answer yet; answers come in the order of the requests.
//!
//! It knows no protocol. It times out late answers without losing that order.

use alloc::collections::VecDeque;
use core::time::Duration;

use wire::Instant;

/// Most that wait for their answers; more are refused.
pub const PENDING_MAX: usize = 4096;
/// A connection whose oldest answer is overdue for this long is dropped, so that it is dialled anew.
pub const OVERDUE_MAX: Duration = Duration::from_secs(3);

/// What waits for its answer, the oldest first, and what is overdue.
#[derive(Debug)]
pub struct Pipeline<T> {
    pending: VecDeque<Pending<T>>,
    /// How many at the front of `pending` were given up; their answers are still to come.
    overdue: usize,
}

#[derive(Debug)]
struct Pending<T> {
    sent: T,
    deadline: Instant,
}

impl<T> Default for Pipeline<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Pipeline<T> {
    /// Nothing was sent.
    pub const fn new() -> Self {
        Self { pending: VecDeque::new(), overdue: 0 }
    }

    /// How many wait for their answers.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether everything is answered.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether nothing more may be sent.
    pub fn is_full(&self) -> bool {
        self.len() >= PENDING_MAX
    }

    /// How many answers are overdue.
    pub fn overdue(&self) -> usize {
        self.overdue
    }

    /// Something was sent.
    pub fn push(&mut self, sent: T, deadline: Instant) {
        self.pending.push_back(Pending { sent, deadline });
    }

    /// Takes back what was sent last, so that `len` stay.
    pub fn truncate(&mut self, len: usize) {
        self.pending.truncate(len);
    }

    /// What the next answer will be to.
    pub fn front(&self) -> Option<&T> {
        self.pending.front().map(|pending| &pending.sent)
    }

    /// The next answer has come: what to. None when no answer was to come.
    pub fn answered(&mut self) -> Option<T> {
        let pending = self.pending.pop_front()?;
        self.overdue = self.overdue.saturating_sub(1);
        Some(pending.sent)
    }

    /// Gives up on one answer whose time is up, if there is one. It stays, for the answer may still come.
    pub fn give_up(&mut self, now: Instant) -> Option<&mut T> {
        let pending = self.pending.get_mut(self.overdue).filter(|pending| pending.deadline <= now)?;
        self.overdue += 1;
        Some(&mut pending.sent)
    }

    /// The one that was given up last.
    pub fn given_up(&mut self) -> Option<&mut T> {
        let pending = self.pending.get_mut(self.overdue.checked_sub(1)?)?;
        Some(&mut pending.sent)
    }

    /// The connection is gone: takes the oldest that is not answered.
    pub fn lose(&mut self) -> Option<T> {
        self.overdue = 0;
        self.pending.pop_front().map(|pending| pending.sent)
    }

    /// When the next answer is overdue.
    pub fn reply_deadline(&self) -> Option<Instant> {
        self.pending.get(self.overdue).map(|pending| pending.deadline)
    }

    /// What the oldest overdue answer is to, and when it should have come.
    pub fn oldest_overdue(&self) -> Option<(&T, Instant)> {
        let oldest = self.pending.front().filter(|_| self.overdue > 0)?;
        Some((&oldest.sent, oldest.deadline))
    }
}
