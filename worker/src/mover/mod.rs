//! The conversation with the store: votes from the queue to the results, none lost, each counted once.
//!
//! Holds no connection and reads no clock: bytes and the time are arguments. It goes in cycles. A
//! cycle is one pipeline of commands, and the next one starts when every reply has come. A batch costs
//! two of them:
//! 1. `WATCH` the results and the processing list, `LLEN` of the latter, and `HMGET` what the results hold
//!    for the batch's voters: the sequences of the votes that count. The length must be that of the batch.
//!    If it is not, an element was moved for a worker that never saw the reply (a killed one stays blocked
//!    in its `BLMOVE` until the store notices), or another worker has taken this one for dead; then
//!    everything is replayed before more is counted.
//! 2. `MULTI`, for the votes that are newer than what counts `HSET results:<vote>` and `HDEL
//!    results:<other>`, for every element `LREM` from the processing list, `EXEC`. Nothing that it depends
//!    on has changed since it was read, or `EXEC` does nothing and the batch is read again after a moment.
//!    Behind it, while elements are known to wait, the next batch is moved to the processing list by
//!    `LMOVE`. An empty queue is waited for by one `BLMOVE`, alone: nothing must wait behind it.
//!
//! So an element has its effect in the very transaction that takes it off the list, and of two votes of a
//! voter the one with the larger sequence stays, in whatever order workers come to them and however often.
//!
//! A replay moves the processing list back to the head of the queue, newest first, so its elements are
//! found again in their order.
//!
//! Results may be kept elsewhere, in a database. Then the store is not asked what they hold: between the two
//! cycles the batch's votes are handed out ([`Mover::to_record`]), and are taken off the list once the database
//! has them. It keeps sequences too, so a vote that comes to it twice changes nothing. As it does not go back when the
//! store does, it is also told of the store's epochs ([`crate::epochs`]). They are read with the batch, so every epoch
//! that one of its votes belongs to is among them. When the database does not know one of them, they are read once
//! more before it is told: it must not come to know the epoch of a store that is gone after those of its successor.
//!
//! Every few seconds a worker shows itself in `votes:workers`, looks for those
//! who no longer do, and moves their lists back in the same way.

mod commands;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod losses;
mod replies;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::batch::Batch;
use crate::colleagues::Colleagues;
use crate::condition::Condition;
use crate::epochs::Epochs;
use crate::jitter::Jitter;
use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, BATCH_MAX, COLLEAGUES_MAX, REPLY_TIMEOUT};
use crate::part::Part;
use crate::received::{Fault, Receiver};
use crate::stats::Stats;
use kernel_app::Usage;
use kernel_app::network::Unreachable;
use kernel_app::pace::LogPace;
use kernel_app::store_login::StoreLogin;
use votes::{Choice, keys};
use wire::{Buffer, Instant};

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// `LMOVE` back to the queue.
    Replayed,
    /// `LMOVE` or `BLMOVE` to the processing list.
    Fetched,
    /// `AUTH`, `SELECT`, `WATCH`, `UNWATCH`, `MULTI`, or a command that the transaction takes up.
    Acknowledged,
    /// `HMGET` of one option's results.
    Held(Choice),
    /// `EXEC`.
    Executed,
    /// `EXEC` of the `LMOVE` of an oversized element to the rejected ones.
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
    /// `HINCRBY` of this worker's count.
    Shown,
    /// `HGETALL` of all workers' counts.
    Looked,
    /// `LMOVE` from another worker's processing list back to the queue.
    Rescued,
    /// `LLEN` of another worker's processing list.
    LeftBehind,
    /// `HDEL` of another worker.
    Forgotten,
    /// `HGETALL` of the epochs.
    Epochs,
}

/// What the conversation is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// No connection.
    #[default]
    Away,
    /// The store answered with an error; nothing is sent until this time.
    Paused(Instant),
    /// Being let in: nothing is to be done in another database than the one that is meant.
    LoggingIn,
    /// Moving the processing list back to the queue.
    Replaying,
    /// Counting votes.
    Working,
    /// Another worker got in the way; nothing is sent until this time.
    Yielding(Instant),
    /// The part is being written to the results, which are kept elsewhere; the store is asked nothing.
    Recording,
}

/// Why votes could not be written to results that are kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// Something in one of the votes is refused, and will be again.
    Content,
    /// It may work later; why it did not now.
    Trouble(String),
    /// One of the epochs is not known there; how many generations of them are.
    UnknownEpoch(u64),
}

/// Votes that are to be written to results that are kept elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct ToRecord<'a> {
    /// For [`Mover::recorded`].
    pub serial: u64,
    /// The votes.
    pub part: &'a Part,
    /// The store's epochs when the votes were read.
    pub epochs: &'a Epochs,
    /// The epochs are to be made known first, if no other has become known since there were so many generations.
    pub registers_after: Option<u64>,
}

/// One worker's conversation with the store.
#[derive(Debug)]
pub struct Mover {
    name: String,
    login: StoreLogin,
    /// Key of the processing list.
    processing: Vec<u8>,
    phase: Phase,
    condition: Condition,
    receiver: Receiver,
    /// Runs of replies to come, in order; never more than the commands of one cycle.
    awaited: VecDeque<(Awaited, usize)>,
    heard_at: Instant,
    batch: Batch,
    /// What the next transaction makes of the batch's first elements.
    part: Part,
    /// Commands of the running transaction that change the results.
    effects: usize,
    /// Results are not in the store.
    results_elsewhere: bool,
    /// Numbers what is handed out to be recorded, so that a late outcome is told from the present one.
    serial: u64,
    /// The part has been recorded.
    recorded: bool,
    /// The store's epochs, as they were when the part was read.
    epochs: Epochs,
    /// The generations that the database had when it did not know one of them.
    registers_after: Option<u64>,
    /// So many elements are taken one by one: one of them was refused for what is in it.
    singly: usize,
    colleagues: Colleagues,
    jitter: Jitter,
    backoff: Duration,
    /// A replay found something, and nothing was counted since.
    replayed: bool,
    found: Findings,
    stats: Stats,
    /// Of what others have put into the lists.
    log_pace: LogPace,
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
    /// The transaction was not carried out: what it depends on has changed.
    conflict: bool,
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
            name: name.into(),
            login: StoreLogin::default(),
            processing: keys::processing(name.as_bytes()),
            phase: Phase::Away,
            condition: Condition::Away,
            receiver: Receiver::default(),
            awaited: VecDeque::new(),
            heard_at: Instant::ZERO,
            batch: Batch::default(),
            part: Part::default(),
            effects: 0,
            results_elsewhere: false,
            serial: 0,
            recorded: false,
            epochs: Epochs::default(),
            registers_after: None,
            singly: 0,
            colleagues: Colleagues::default(),
            jitter: Jitter::new(name.as_bytes()),
            backoff: BACKOFF_MIN,
            replayed: false,
            found: Findings::default(),
            stats: Stats::default(),
            log_pace: LogPace::default(),
        }
    }

    /// The same, with a store that is to be told this first.
    #[must_use]
    pub fn with_login(self, login: StoreLogin) -> Self {
        Self { login, ..self }
    }

    /// The same, with results that are not in the store: see [`Mover::to_record`].
    #[must_use]
    pub fn with_results_elsewhere(self) -> Self {
        Self { results_elsewhere: true, ..self }
    }

    /// What was done so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How much of what is bounded here is in use.
    pub fn usages(&self, tell: &mut dyn FnMut(Usage)) {
        tell(Usage::new("votes in a worker's hands", self.batch.unsettled(), 2 * BATCH_MAX));
        tell(Usage::new("other workers", self.colleagues.len(), COLLEAGUES_MAX));
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

    /// There is no connection, for this reason.
    pub fn unreachable(&mut self, reason: Unreachable) {
        self.condition.change(Condition::Unreachable(reason));
    }

    /// A connection is there: replays what an earlier one left, then works.
    ///
    /// # Errors
    /// When the output has no room.
    pub fn connected(&mut self, output: &mut Buffer, now: Instant) -> Result<(), Fault> {
        self.receiver = Receiver::default();
        self.colleagues.clear();
        if matches!(self.condition, Condition::Away | Condition::Unreachable(_)) {
            self.condition.change(Condition::Starting);
        }
        self.start(output, now)
    }

    /// The connection is gone. What was not counted is on the processing list.
    pub fn lost(&mut self) {
        self.forget();
        self.phase = Phase::Away;
        // Why it was of no use is worth more than that it is gone.
        if matches!(self.condition, Condition::Well | Condition::Starting) {
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

    /// The votes that are to be written to the results now.
    pub fn to_record(&self) -> Option<ToRecord<'_>> {
        let Self { serial, part, epochs, registers_after, .. } = self;
        let (serial, registers_after) = (*serial, *registers_after);
        (self.phase == Phase::Recording).then_some(ToRecord { serial, part, epochs, registers_after })
    }

    /// The votes with that number are in the results, which have changed for the voters for whom this says so; or
    /// they are not.
    ///
    /// # Errors
    /// When the output has no room.
    pub fn recorded(
        &mut self,
        serial: u64,
        outcome: Result<impl Fn(&[u8]) -> bool, RecordFault>,
        output: &mut Buffer,
        now: Instant,
    ) -> Result<(), Fault> {
        if self.phase != Phase::Recording || serial != self.serial {
            return Ok(());
        }
        let registered_after = self.registers_after.take();
        match outcome {
            Err(RecordFault::Trouble(message)) => {
                self.stats.results_errors.increment();
                self.pause(Condition::Unrecorded(message), now);
                return Ok(());
            }
            Err(RecordFault::UnknownEpoch(generations)) => {
                self.registers_after = Some(generations);
                self.part.clear();
                if registered_after.is_some() {
                    // Another worker was faster.
                    self.stats.conflicts.increment();
                    self.phase = Phase::Yielding(now + self.jitter.next_pause());
                    return Ok(());
                }
            }
            Err(RecordFault::Content) if self.part.len() > 1 => {
                self.singly = self.part.len();
                self.part.clear();
            }
            Err(RecordFault::Content) => {
                self.part.refuse();
                self.recorded = true;
            }
            Ok(has_changed) => {
                self.part.confirm(has_changed);
                self.recorded = true;
            }
        }
        self.heard_at = now;
        self.phase = Phase::Working;
        self.work(output, now)
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
            Phase::Paused(_) => self.start(output, now),
            Phase::Yielding(_) => {
                self.heard_at = now;
                self.phase = Phase::Working;
                self.work(output, now)
            }
            _ => Err(Fault::Silent),
        }
    }

    /// When `tick` has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Away | Phase::Recording => None,
            Phase::Paused(until) | Phase::Yielding(until) => Some(until),
            Phase::LoggingIn | Phase::Replaying | Phase::Working => Some(self.heard_at + REPLY_TIMEOUT),
        }
    }

    /// Begins the conversation, or begins it anew.
    fn start(&mut self, output: &mut Buffer, now: Instant) -> Result<(), Fault> {
        self.forget();
        self.heard_at = now;
        self.phase = Phase::LoggingIn;
        self.log_in(output)?;
        if self.awaited.is_empty() { self.start_replay(output) } else { Ok(()) }
    }

    fn start_replay(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        self.forget();
        self.phase = Phase::Replaying;
        self.unwatch(output)?;
        self.replay(output)
    }

    /// Every reply has come: what they say decides what is asked next.
    fn next_cycle(&mut self, output: &mut Buffer, now: Instant) -> Result<(), Fault> {
        if !self.found.restore.is_empty() {
            return self.restore(output);
        }
        if let Some(message) = self.found.trouble.take() {
            self.stats.store_errors.increment();
            self.pause(Condition::Failing(message), now);
            return Ok(());
        }
        match self.phase {
            Phase::Away | Phase::Paused(_) | Phase::Yielding(_) | Phase::Recording => Ok(()),
            Phase::LoggingIn => self.start_replay(output),
            Phase::Replaying if !self.found.drained => self.replay(output),
            Phase::Replaying => {
                self.phase = Phase::Working;
                if !self.replayed {
                    self.prosper();
                }
                self.work(output, now)
            }
            Phase::Working if self.found.disturbed => {
                if self.log_pace.allows(now) {
                    log::warn!("the processing list was not as left: replaying it (is INSTANCE unique?)");
                }
                self.start_replay(output)
            }
            Phase::Working if core::mem::take(&mut self.found.conflict) => {
                self.phase = Phase::Yielding(now + self.jitter.next_pause());
                Ok(())
            }
            Phase::Working => self.work(output, now),
        }
    }

    /// One cycle: reads what the batch depends on, settles the batch, or moves the next one.
    fn work(&mut self, output: &mut Buffer, now: Instant) -> Result<(), Fault> {
        if core::mem::take(&mut self.found.exhausted) {
            self.prosper();
        }
        self.trim(output)?;
        if self.part.is_judged() && self.must_record() {
            self.serial += 1;
            self.phase = Phase::Recording;
            Ok(())
        } else if self.part.is_judged() {
            self.settle(output, now)
        } else if self.batch.unsettled() > 0 {
            self.read(output)
        } else if self.attend(output, now)? {
            self.measure_queue(output)
        } else {
            self.fetch(output)
        }
    }

    /// Whether the part has votes that results elsewhere do not have yet.
    fn must_record(&self) -> bool {
        self.results_elsewhere && !self.recorded && self.part.voters().next().is_some()
    }

    /// Something was counted, or nothing is left to be: nothing stands in the way of votes.
    fn prosper(&mut self) {
        self.backoff = BACKOFF_MIN;
        self.replayed = false;
        self.condition.change(Condition::Well);
    }

    fn pause(&mut self, condition: Condition, now: Instant) {
        self.forget();
        self.phase = Phase::Paused(now + self.jitter.part_of(self.backoff));
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        self.condition.change(condition);
    }

    /// Drops what is known of the store's lists; the batch is still on the processing list.
    fn forget(&mut self) {
        self.awaited.clear();
        self.batch.clear();
        self.part.clear();
        self.registers_after = None;
        self.singly = 0;
        self.found = Findings::default();
    }
}
