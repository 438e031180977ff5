//! The conversation with the store: votes from the queue to the results, none lost, each counted once.
//!
//! Holds no connection and reads no clock: bytes and the time are arguments. It goes in cycles. A
//! cycle is one pipeline of commands, and the next one starts when every reply has come, so a batch
//! costs one round trip:
//! 1. `MULTI`, for each vote of the batch `HSET results:<vote>`, `HDEL results:<other>` and `LREM` from
//!    the processing list, `EXEC`. All or nothing: were votes counted one by one, a vote whose
//!    transaction failed would be counted later than a newer vote of the same voter.
//! 2. The next batch is moved to the processing list: by `LMOVE` while elements are known to wait,
//!    else by one `BLMOVE`, so that an empty queue costs nothing.
//! 3. `LLEN` of the processing list must be what was just moved. If it is not, an element was moved
//!    for a worker that never saw the reply (a killed one stays blocked in its `BLMOVE` until the
//!    store notices), and everything is replayed in order before more is counted.
//!
//! A replay moves the processing list back to the head of the queue, newest first, so its elements are
//! found again in their order.

mod commands;
mod replies;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::batch::Batch;
use crate::condition::Condition;
use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, REPLY_TIMEOUT};
use crate::payload::{Choice, Rejection};
use crate::received::{Fault, Receiver};
use crate::stats::Stats;
use wire::{Buffer, Instant};

/// The list that votes arrive on.
pub const QUEUE: &[u8] = b"votes";
/// The list of what was on the queue and is not a vote.
pub const REJECTED: &[u8] = b"votes:rejected";
/// What a worker's name follows in the key of its processing list.
pub const PROCESSING_PREFIX: &[u8] = b"votes:processing:";

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// `LMOVE` back to the queue.
    Replayed,
    /// `LMOVE` or `BLMOVE` to the processing list.
    Fetched,
    /// `MULTI`, or a command that the transaction takes up.
    Queued,
    /// `EXEC`.
    Executed,
    /// `LMOVE` of an oversized element to the rejected ones.
    SetAside,
    /// `LPUSH` of an element that was removed but not counted.
    Restored,
    /// `LPOP` of an old rejected element.
    Trimmed,
    /// `LLEN` of the processing list.
    ProcessingLength,
    /// `LLEN` of the rejected ones.
    RejectedLength,
    /// `LLEN` of the queue.
    Depth,
}

/// What the conversation is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// No connection.
    #[default]
    Away,
    /// The store answered with an error; nothing is sent until this time.
    Paused(Instant),
    /// Moving the processing list back to the queue.
    Replaying,
    /// Counting votes.
    Working,
}

/// One worker's conversation with the store.
#[derive(Debug)]
pub struct Mover {
    /// Key of the processing list.
    processing: Vec<u8>,
    phase: Phase,
    condition: Condition,
    receiver: Receiver,
    /// Runs of replies to come, in order; never more than the commands of one cycle.
    awaited: VecDeque<(Awaited, usize)>,
    heard_at: Instant,
    batch: Batch,
    /// What the running transaction makes of the batch's first elements.
    verdicts: Vec<Result<Choice, Rejection>>,
    backoff: Duration,
    /// A replay found something, and nothing was counted since.
    replayed: bool,
    found: Findings,
    stats: Stats,
}

/// What the replies since the last replay say.
#[derive(Debug, Default)]
struct Findings {
    /// Elements on the queue when it was last asked.
    depth: usize,
    /// Rejected elements that are more than may be kept.
    surplus: usize,
    /// The processing list is empty.
    drained: bool,
    /// The processing list holds something else than the batch.
    disturbed: bool,
    /// The queue was empty when the batch was fetched.
    exhausted: bool,
    /// Elements that were removed without being counted.
    restore: Vec<Vec<u8>>,
    /// The first error.
    trouble: Option<String>,
}

impl Mover {
    /// The conversation of the worker with this name, which must stay the same after a restart and
    /// differ between workers that run at the same time.
    pub fn new(name: &str) -> Self {
        Self {
            processing: [PROCESSING_PREFIX, name.as_bytes()].concat(),
            phase: Phase::Away,
            condition: Condition::Away,
            receiver: Receiver::default(),
            awaited: VecDeque::new(),
            heard_at: Instant::ZERO,
            batch: Batch::default(),
            verdicts: Vec::new(),
            backoff: BACKOFF_MIN,
            replayed: false,
            found: Findings::default(),
            stats: Stats::default(),
        }
    }

    /// What was done so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Elements on the queue when it was last asked.
    pub fn depth(&self) -> usize {
        self.found.depth
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.phase != Phase::Away
    }

    /// Whether votes are being counted.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self) -> Result<(), Cow<'_, str>> {
        self.condition.readiness()
    }

    /// A connection is there: replays what an earlier one left, then works.
    ///
    /// # Errors
    /// When the output has no room.
    pub fn connected(&mut self, output: &mut Buffer, now: Instant) -> Result<(), Fault> {
        self.receiver = Receiver::default();
        if self.condition == Condition::Away {
            self.condition.change(Condition::Starting);
        }
        self.start_replay(output, now)
    }

    /// The connection is gone. What was not counted is on the processing list.
    pub fn lost(&mut self) {
        self.forget();
        self.phase = Phase::Away;
        if !matches!(self.condition, Condition::Broken(_)) {
            self.condition.change(Condition::Away);
        }
    }

    /// The connection is given up because of a fault; [`Mover::lost`] follows.
    pub fn give_up(&mut self, fault: Fault) {
        self.forget();
        self.phase = Phase::Away;
        self.condition.change(Condition::Broken(fault));
    }

    /// Takes the replies that have come, and sends the next cycle when all have.
    ///
    /// # Errors
    /// When the connection is of no more use.
    pub fn input(&mut self, input: &mut Buffer, output: &mut Buffer, now: Instant) -> Result<(), Fault> {
        self.heard_at = now;
        let mut receiver = core::mem::take(&mut self.receiver);
        let result = receiver.take(input, |received| {
            self.answered(received)?;
            if self.awaited.is_empty() { self.next_cycle(output, now) } else { Ok(()) }
        });
        self.receiver = receiver;
        result
    }

    /// Acts on a deadline that has passed.
    ///
    /// # Errors
    /// When the connection is of no more use.
    pub fn tick(&mut self, output: &mut Buffer, now: Instant) -> Result<(), Fault> {
        if self.next_deadline().is_none_or(|due| due > now) {
            return Ok(());
        }
        match self.phase {
            Phase::Paused(_) => self.start_replay(output, now),
            _ => Err(Fault::Silent),
        }
    }

    /// When `tick` has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Away => None,
            Phase::Paused(until) => Some(until),
            Phase::Replaying | Phase::Working => Some(self.heard_at + REPLY_TIMEOUT),
        }
    }

    fn start_replay(&mut self, output: &mut Buffer, now: Instant) -> Result<(), Fault> {
        self.forget();
        self.heard_at = now;
        self.phase = Phase::Replaying;
        self.replay(output)
    }

    /// Every reply has come: what they say decides what is asked next.
    fn next_cycle(&mut self, output: &mut Buffer, now: Instant) -> Result<(), Fault> {
        if !self.found.restore.is_empty() {
            return self.restore(output);
        }
        if let Some(message) = self.found.trouble.take() {
            self.pause(message, now);
            return Ok(());
        }
        match self.phase {
            Phase::Away | Phase::Paused(_) => Ok(()),
            Phase::Replaying if !self.found.drained => self.replay(output),
            Phase::Replaying => {
                self.phase = Phase::Working;
                if !self.replayed {
                    self.prosper();
                }
                self.work(output)
            }
            Phase::Working if self.found.disturbed => {
                log::warn!("the processing list was not as left: replaying it (is INSTANCE unique?)");
                self.start_replay(output, now)
            }
            Phase::Working => self.work(output),
        }
    }

    /// One cycle: settles what is in the batch, and moves the next one behind it.
    fn work(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        if core::mem::take(&mut self.found.exhausted) {
            self.prosper();
        }
        self.trim(output)?;
        if self.settle(output)? { self.fetch(output) } else { Ok(()) }
    }

    /// Something was counted, or nothing is left to be: nothing stands in the way of votes.
    fn prosper(&mut self) {
        self.backoff = BACKOFF_MIN;
        self.replayed = false;
        self.condition.change(Condition::Well);
    }

    fn pause(&mut self, message: String, now: Instant) {
        self.forget();
        self.phase = Phase::Paused(now + self.backoff);
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        self.stats.store_errors.increment();
        self.condition.change(Condition::Failing(message));
    }

    /// Drops what is known of the store's lists; the batch is still on the processing list.
    fn forget(&mut self) {
        self.awaited.clear();
        self.batch.clear();
        self.verdicts.clear();
        self.found = Findings::default();
    }
}
