//! The conversation with the store: votes move from the queue to the results, none is lost, and each is counted once.
//!
//! It holds no connection and reads no clock: [`Store`] lends it both. It works in cycles. A cycle is one pipeline of
//! commands, and the next cycle starts when every reply has arrived. A batch takes two cycles:
//!
//! 1. `WATCH` the results and the processing list, `LLEN` of that list, and `HMGET` what the results hold for the
//!    batch's voters: the sequences of the votes that count. The length must be that of the batch. If it is not,
//!    either an element was moved for a worker that never saw the reply (a killed worker stays blocked in its
//!    `BLMOVE` until the store notices), or another worker assumed that this one was dead. Then everything is
//!    replayed before more is counted.
//! 2. `MULTI`; for each vote that is newer than the one that counts, `HSET results:<vote>` and
//!    `HDEL results:<other>`; for every element, `LREM` from the processing list; `EXEC`. If anything that it depends
//!    on has changed since it was read, `EXEC` does nothing, and the batch is read again after a moment. While
//!    elements are known to wait, `LMOVE` commands after the `EXEC` move the next batch to the processing list. If
//!    the queue is empty, one `BLMOVE` waits for it, alone: nothing must wait behind it.
//!
//! So an element takes effect in the same transaction that removes it from the list. Of two votes of a voter the one
//! with the larger sequence stays, in whatever order workers process them, and however often.
//!
//! A replay moves the processing list back to the head of the queue, newest first, so its elements are found again in
//! their order.
//!
//! Results may be in a database instead. Then the store is not asked for results. Between the two cycles the batch's
//! votes are handed out ([`QueueConsumer::to_record`]), and they are removed from the list once the database has
//! them. The database keeps sequences too, so a vote that is written twice changes nothing. The database keeps its
//! state when the store loses data, so it also gets the store's epochs ([`crate::epochs`]). They are read with the
//! batch, so every epoch of its votes is among them. If the database does not know one of them, they are read once
//! more before the database gets it: the epoch of a replaced store must not be registered after those of its
//! successor.
//!
//! Every few seconds a worker announces itself in `votes:workers`, looks for workers that no longer do so, and moves
//! their lists back in the same way.

#[cfg(test)]
mod bench;
mod commands;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod multi_worker;
mod reply_reader;
mod store;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::epochs::Epochs;
use crate::fetched_entries::FetchedEntries;
use crate::health::Health;
use crate::jitter::Jitter;
use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, BATCH_MAX, MEMBERS_MAX};
use crate::membership::Membership;
use crate::stats::Stats;
use crate::transaction_batch::TransactionBatch;
use kernel_app::Usage;
use kernel_app::client::resp::{StoreFault, StoreOutcome};
use kernel_app::client::{Broken, Outcome, StoreClient, StoreSendError};
use kernel_app::pace::LogPace;
pub use store::{Awaited, Store};
use votes::keys;
use wire::Instant;

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The connection, if there is one, is new.
    #[default]
    New,
    /// The store answered with an error; nothing is sent until this time.
    Paused(Instant),
    /// Moving the processing list back to the queue.
    Replaying,
    /// Counting votes.
    Working,
    /// Another worker got in the way; nothing is sent until this time.
    Yielding(Instant),
    /// The batch is being written to the results, which are kept elsewhere; the store is asked nothing.
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
    /// For [`QueueConsumer::recorded`].
    pub serial: u64,
    /// The votes to record.
    pub batch: &'a TransactionBatch,
    /// The store's epochs when the votes were read.
    pub epochs: &'a Epochs,
    /// The epochs are to be made known first, if no other has become known since there were so many generations.
    pub registers_after: Option<u64>,
}

/// One worker's part in the conversation with the store.
#[derive(Debug)]
pub struct QueueConsumer {
    name: String,
    /// Key of the processing list.
    processing: Vec<u8>,
    phase: Phase,
    health: Health,
    fetched: FetchedEntries,
    /// What the next transaction makes of the first of them.
    batch: TransactionBatch,
    /// Commands of the running transaction that change the results.
    effects: usize,
    /// Results are not in the store.
    results_elsewhere: bool,
    /// Numbers the batches that are handed out to be recorded, to distinguish late outcomes from the current one.
    serial: u64,
    /// The batch has been recorded.
    recorded: bool,
    /// The store's epochs, as they were when the batch was read.
    epochs: Epochs,
    /// The generations that the database had when it did not know one of them.
    registers_after: Option<u64>,
    /// So many entries are taken one by one: one of them was refused for what is in it.
    isolate: usize,
    membership: Membership,
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
    /// The processing list holds something else than what was fetched.
    list_changed: bool,
    /// The transaction was not carried out: what it depends on has changed.
    conflict: bool,
    /// The queue was empty when it was fetched from.
    exhausted: bool,
    /// Elements that were removed without being counted.
    restore: Vec<Vec<u8>>,
    /// The first error.
    trouble: Option<String>,
}

impl QueueConsumer {
    /// The consumer of the worker with this name, which must stay the same after a restart and differ between
    /// workers that run at the same time.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            processing: keys::processing(name.as_bytes()),
            phase: Phase::New,
            health: Health::Starting,
            fetched: FetchedEntries::default(),
            batch: TransactionBatch::default(),
            effects: 0,
            results_elsewhere: false,
            serial: 0,
            recorded: false,
            epochs: Epochs::default(),
            registers_after: None,
            isolate: 0,
            membership: Membership::default(),
            jitter: Jitter::new(name.as_bytes()),
            backoff: BACKOFF_MIN,
            replayed: false,
            found: Findings::default(),
            stats: Stats::default(),
            log_pace: LogPace::default(),
        }
    }

    /// The same, with results that are not in the store: see [`QueueConsumer::to_record`].
    #[must_use]
    pub fn with_results_elsewhere(self) -> Self {
        Self { results_elsewhere: true, ..self }
    }

    /// What was done so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How much of what is bounded here is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        report(Usage::new("votes in a worker's hands", self.fetched.unsettled(), 2 * BATCH_MAX));
        report(Usage::new("other workers", self.membership.len(), MEMBERS_MAX));
    }

    /// Elements on the queue when it was last asked.
    pub fn depth(&self) -> usize {
        self.found.depth
    }

    /// Whether votes are being counted, as far as that does not depend on the connection.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self) -> Result<(), Cow<'_, str>> {
        self.health.readiness()
    }

    /// Takes what the store has answered, and asks for what is next.
    pub fn serve(&mut self, store: &mut Store<'_, '_>) {
        loop {
            while let Some((awaited, outcome)) = store.client.next_outcome(store.context) {
                if let Err(broken) = self.take(awaited, outcome, store.context.now) {
                    store.client.give_up(broken, store.context);
                }
            }
            if self.advance(store).is_ok() {
                return;
            }
            store.client.give_up(Broken::Protocol(StoreFault::OutputFull), store.context);
        }
    }

    /// Takes what became of a command.
    ///
    /// # Errors
    /// Why the connection is of no more use.
    pub fn take(
        &mut self,
        awaited: Awaited,
        outcome: StoreOutcome<'_>,
        now: Instant,
    ) -> Result<(), Broken<StoreFault>> {
        match outcome {
            Outcome::Answer(reply) => self.answered(awaited, reply, now).map_err(Broken::Protocol),
            Outcome::Overdue => Err(Broken::Overdue),
            Outcome::Lost => {
                self.lost();
                Ok(())
            }
        }
    }

    /// The connection is gone. What was not counted is on the processing list.
    fn lost(&mut self) {
        self.forget();
        self.phase = Phase::New;
        if self.health == Health::Well {
            self.health.change(Health::Starting);
        }
    }

    /// Sends the next cycle if it is time and every reply has come: what they say decides what is asked next.
    ///
    /// # Errors
    /// When the output has no room.
    pub fn advance(&mut self, store: &mut Store<'_, '_>) -> Result<(), StoreSendError> {
        if !store.client.is_connected() {
            self.lost();
        }
        let is_due = self.pause_ends().is_none_or(|at| at <= store.context.now);
        if is_due && may_send(store.client) { self.next_cycle(store) } else { Ok(()) }
    }

    /// When [`QueueConsumer::advance`] has something to do even if nothing comes.
    pub fn next_deadline(&self, client: &StoreClient<Awaited>) -> Option<Instant> {
        self.pause_ends().filter(|_| may_send(client))
    }

    fn pause_ends(&self) -> Option<Instant> {
        match self.phase {
            Phase::Paused(until) | Phase::Yielding(until) => Some(until),
            Phase::New | Phase::Replaying | Phase::Working | Phase::Recording => None,
        }
    }

    /// The votes that are to be written to the results now.
    pub fn to_record(&self) -> Option<ToRecord<'_>> {
        let Self { serial, batch, epochs, registers_after, .. } = self;
        let (serial, registers_after) = (*serial, *registers_after);
        (self.phase == Phase::Recording).then_some(ToRecord { serial, batch, epochs, registers_after })
    }

    /// The votes with that number are in the results, which have changed for the voters for whom this says so; or
    /// they are not. [`QueueConsumer::advance`] goes on.
    pub fn recorded(
        &mut self,
        serial: u64,
        outcome: Result<impl Fn(&[u8]) -> bool, RecordFault>,
        now: Instant,
    ) {
        if self.phase != Phase::Recording || serial != self.serial {
            return;
        }
        self.phase = Phase::Working;
        let registered_after = self.registers_after.take();
        match outcome {
            Err(RecordFault::Trouble(message)) => {
                self.stats.results_errors.increment();
                self.pause(Health::Unrecorded(message), now);
            }
            Err(RecordFault::UnknownEpoch(generations)) => {
                self.registers_after = Some(generations);
                self.batch.clear();
                if registered_after.is_some() {
                    // Another worker was faster.
                    self.stats.conflicts.increment();
                    self.phase = Phase::Yielding(now + self.jitter.next_pause());
                }
            }
            Err(RecordFault::Content) if self.batch.len() > 1 => {
                self.isolate = self.batch.len();
                self.batch.clear();
            }
            Err(RecordFault::Content) => {
                self.batch.refuse();
                self.recorded = true;
            }
            Ok(has_changed) => {
                self.batch.confirm(has_changed);
                self.recorded = true;
            }
        }
    }

    /// Begins the conversation, or begins it anew.
    fn start(&mut self, store: &mut Store<'_, '_>) -> Result<(), StoreSendError> {
        self.forget();
        self.phase = Phase::Replaying;
        self.unwatch(store)?;
        self.replay(store)
    }

    fn next_cycle(&mut self, store: &mut Store<'_, '_>) -> Result<(), StoreSendError> {
        if !self.found.restore.is_empty() {
            return self.restore(store);
        }
        if let Some(message) = self.found.trouble.take() {
            self.stats.store_errors.increment();
            self.pause(Health::Failing(message), store.context.now);
            return Ok(());
        }
        match self.phase {
            Phase::Recording => Ok(()),
            Phase::New => {
                self.membership.clear();
                self.start(store)
            }
            Phase::Paused(_) => self.start(store),
            Phase::Replaying if !self.found.drained => self.replay(store),
            Phase::Replaying => {
                self.phase = Phase::Working;
                if !self.replayed {
                    self.mark_healthy();
                }
                self.work(store)
            }
            Phase::Working if self.found.list_changed => {
                if self.log_pace.allows(store.context.now) {
                    log::warn!(
                        "the processing list has changed unexpectedly, replaying it: give each worker its own INSTANCE"
                    );
                }
                self.start(store)
            }
            Phase::Working if core::mem::take(&mut self.found.conflict) => {
                self.phase = Phase::Yielding(store.context.now + self.jitter.next_pause());
                Ok(())
            }
            Phase::Working | Phase::Yielding(_) => {
                self.phase = Phase::Working;
                self.work(store)
            }
        }
    }

    /// One cycle: reads what the batch depends on, settles the batch, or fetches more.
    fn work(&mut self, store: &mut Store<'_, '_>) -> Result<(), StoreSendError> {
        if core::mem::take(&mut self.found.exhausted) {
            self.mark_healthy();
        }
        self.trim(store)?;
        if self.batch.is_judged() && self.must_record() {
            self.serial += 1;
            self.phase = Phase::Recording;
            Ok(())
        } else if self.batch.is_judged() {
            self.settle(store)
        } else if self.fetched.unsettled() > 0 {
            self.read(store)
        } else if self.run_membership(store)? {
            self.measure_queue(store)
        } else {
            self.fetch(store)
        }
    }

    /// Whether the batch has votes that results elsewhere do not have yet.
    fn must_record(&self) -> bool {
        self.results_elsewhere && !self.recorded && self.batch.voters().next().is_some()
    }

    /// Something was counted, or nothing is left to be: nothing stands in the way of votes.
    fn mark_healthy(&mut self) {
        self.backoff = BACKOFF_MIN;
        self.replayed = false;
        self.health.change(Health::Well);
    }

    fn pause(&mut self, health: Health, now: Instant) {
        self.forget();
        self.phase = Phase::Paused(now + self.jitter.part_of(self.backoff));
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        self.health.change(health);
    }

    /// Drops what is known of the store's lists; what was fetched is still on the processing list.
    fn forget(&mut self) {
        self.fetched.clear();
        self.batch.clear();
        self.registers_after = None;
        self.isolate = 0;
        self.found = Findings::default();
    }
}

/// Whether every reply has come and commands may be sent.
fn may_send(client: &StoreClient<Awaited>) -> bool {
    client.pending() == 0 && client.admits().is_ok()
}
