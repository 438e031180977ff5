//! What a client needs from a protocol whose answers come in the order of the requests.
//!
//! The [`Client`](super::Client) keeps the list of waiting requests.

use core::fmt::Debug;
use core::time::Duration;

use super::error::{Broken, Refusal};
use super::fault::Fault;
use super::pipeline::{OVERDUE_MAX, Pipeline};
use crate::usage::Usage;
use wire::Entropy;
use wire::buffer::Full;
use wire::{Buffer, Instant};

/// A protocol, with what it remembers of the connection.
pub trait Protocol {
    /// What something is sent for; decides what its answer means to the connection.
    type Purpose: Copy + Debug;
    /// Why a connection is of no more use, beside what may happen in any protocol.
    type Fault: Fault;
    /// An answer, which lies in the input or in the protocol.
    type Answer<'a>
    where
        Self: 'a;

    /// The setting that says where the server is, for messages.
    fn setting(&self) -> &'static str;

    /// Whether the login has succeeded: nothing else may be sent before.
    fn is_open(&self) -> bool;

    /// What the server refuses, if that concerns all that could be sent.
    fn refusal(&self) -> Option<Refusal> {
        None
    }

    /// How long an answer may be overdue before the connection is dropped.
    fn overdue_max(_: Self::Purpose) -> Duration {
        OVERDUE_MAX
    }

    /// A connection is there: begins the login.
    fn open<T>(&mut self, line: &mut Line<'_, T, Self::Purpose>);

    /// The connection is gone. Says why, for what the server has said of it tells more than that it ended.
    fn close(&mut self, broken: Broken<Self::Fault>) -> Broken<Self::Fault> {
        broken
    }

    /// Looks for the next whole answer, that to `awaited`; how many bytes at the front of `input` it takes.
    /// [`Protocol::answer`] reads it, and the client drops them after that.
    ///
    /// # Errors
    /// Why the connection is of no more use.
    fn receive(
        &mut self,
        input: &mut Buffer,
        output: &mut Buffer,
        awaited: Option<Self::Purpose>,
    ) -> Result<Option<usize>, Broken<Self::Fault>>;

    /// Takes note of the answer that was received. Says whether it shows that the server is of use.
    fn settle<T>(
        &mut self,
        answer: &[u8],
        purpose: Self::Purpose,
        is_awaited: bool,
        line: &mut Line<'_, T, Self::Purpose>,
    ) -> bool;

    /// The answer that was received.
    fn answer<'a>(&'a self, bytes: &'a [u8]) -> Self::Answer<'a>;

    /// When something is to be said on a connection on which nothing is under way.
    fn due_at(&self, last_answer: Instant) -> Option<Instant>;

    /// Says it.
    fn act<T>(&mut self, line: &mut Line<'_, T, Self::Purpose>);

    /// How much of what is bounded here is in use, with what waits and what of it is overdue.
    fn report_usage(&self, waiting: usize, overdue: usize, report: &mut dyn FnMut(Usage));
}

/// The connection, for what the protocol itself has to say.
pub struct Line<'a, T, U> {
    pub(super) output: &'a mut Buffer,
    pub(super) pipeline: &'a mut Pipeline<Sent<T, U>>,
    /// The current time.
    pub now: Instant,
    /// Unpredictable bytes.
    pub entropy: &'a mut dyn Entropy,
}

/// What was sent.
#[derive(Debug)]
pub(super) struct Sent<T, U> {
    /// None when nobody waits (any longer).
    pub token: Option<T>,
    pub purpose: U,
}

impl<T, U> Line<'_, T, U> {
    /// Says something on nobody's behalf. There is room for it: nothing else waits.
    pub fn say(&mut self, purpose: U, within: Duration, write: impl FnOnce(&mut Buffer) -> Result<(), Full>) {
        if write(self.output).is_ok() {
            self.pipeline.push(Sent { token: None, purpose }, self.now + within);
        }
    }
}
