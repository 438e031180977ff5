//! Timeouts of a session: what happens when time passes without an event.
//!
//! It sets no timer: the owner calls it, at the latest at [`Check::next`].

use super::{Phase, Session};
use crate::http::limits::{ANSWER_TIMEOUT, BODY_PACE, HEAD_PACE, IDLE_TIMEOUT};
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
        Check { expiry, next: Instant::earliest([stall, phase]) }
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
