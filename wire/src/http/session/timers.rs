//! What a session does when time passes and nothing happens.
//!
//! Sets no timer: the owner asks, at the latest at [`Check::next`].

use super::{Phase, Session};
use crate::http::limits::{
    ANSWER_TIMEOUT, BODY_PACE, HEAD_PACE, IDLE_TIMEOUT, WRITE_STALL_BYTES, WRITE_STALL_TIMEOUT,
};
use crate::time::Instant;

/// What must be done about a connection that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// No request came: close without a word.
    Idle,
    /// A request is arriving too slowly: refuse it with [`crate::http::Refusal::TimedOut`].
    Request,
    /// The service does not answer: answer 503 in its place.
    Answer,
    /// The client does not read: reset.
    Output,
}

/// The outcome of [`Session::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// What has run out, if anything.
    pub expiry: Option<Expiry>,
    /// When to check again.
    pub next: Option<Instant>,
}

/// How fast the client takes its output.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stall {
    /// Bytes ever written.
    written: u64,
    /// When the client was last fast enough, and how many bytes it must have taken before the next look.
    mark: Option<(Instant, u64)>,
}

impl Stall {
    /// Counts what was written into an output that held `before` bytes and now holds `after`.
    pub fn wrote(&mut self, before: usize, after: usize) {
        self.written += (after - before) as u64;
        if before == 0 {
            self.mark = None;
        }
    }

    /// When the client is too slow, unless it goes on reading; none when there is nothing to read.
    fn deadline(&mut self, now: Instant, output_bytes: usize) -> Option<Instant> {
        let waiting = output_bytes as u64;
        let taken = self.written.saturating_sub(waiting);
        self.mark = match self.mark {
            _ if waiting == 0 => None,
            Some((since, target)) if taken < target => Some((since, target)),
            _ => Some((now, taken + waiting.min(WRITE_STALL_BYTES))),
        };
        self.mark.map(|(since, _)| since + WRITE_STALL_TIMEOUT)
    }
}

impl Session {
    /// Looks at the time. `output_bytes` is what waits in the output.
    pub fn check(&mut self, now: Instant, output_bytes: usize) -> Check {
        let stall = self.stall.deadline(now, output_bytes);
        let (phase, expiry) = match self.phase_deadline() {
            Some((deadline, expiry)) => (Some(deadline), Some(expiry)),
            None => (None, None),
        };
        let passed = |deadline: &Instant| *deadline <= now;
        let expiry = match stall.filter(passed) {
            Some(_) => Some(Expiry::Output),
            None => expiry.filter(|_| phase.as_ref().is_some_and(passed)),
        };
        Check { expiry, next: [stall, phase].into_iter().flatten().min() }
    }

    fn phase_deadline(&self) -> Option<(Instant, Expiry)> {
        match self.phase {
            Phase::Idle => Some((self.since + IDLE_TIMEOUT, Expiry::Idle)),
            Phase::Head { .. } => Some((HEAD_PACE.deadline(self.since, self.arrived), Expiry::Request)),
            Phase::Body { .. } => Some((BODY_PACE.deadline(self.since, self.arrived), Expiry::Request)),
            Phase::Answering => Some((self.since + ANSWER_TIMEOUT, Expiry::Answer)),
            Phase::Streaming | Phase::Over => None,
        }
    }
}
