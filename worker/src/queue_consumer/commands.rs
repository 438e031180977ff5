//! The commands of a cycle.
//!
//! The queue consumer decides when to send them.

use alloc::vec;
use alloc::vec::Vec;

use super::QueueConsumer;
use super::store::{Awaited, Sent, Store};
use crate::fetched_entries::Element;
use crate::limits::{BATCH_MAX, BLOCK_S, TRIM_MAX};
use crate::membership::Task;
use crate::transaction_batch::{OVERSIZED, Verdict};
use kernel_app::client::StoreSendError;
use votes::Choice;
use votes::keys::{self, EPOCHS, QUEUE, REJECTED, WORKERS};
use wire::resp::Digits;

/// Commands of a transaction that settle a vote, beside those that change the results.
pub(super) const VOTE_COMMANDS: usize = 1;
/// Commands of a transaction that settle an element that is no vote.
pub(super) const REJECT_COMMANDS: usize = 2;

impl QueueConsumer {
    /// Forgets what an earlier cycle watched.
    pub(super) fn unwatch(&mut self, store: &mut Store<'_, '_>) -> Sent {
        store.send(&[b"UNWATCH"], Awaited::Acknowledged)
    }

    /// One page of the processing list, the newest first, back to the head of the queue.
    pub(super) fn replay(&mut self, store: &mut Store<'_, '_>) -> Sent {
        (0..BATCH_MAX).try_for_each(|_| {
            store.send(&[b"LMOVE", &self.processing, QUEUE, b"RIGHT", b"LEFT"], Awaited::Replayed)
        })
    }

    /// Moves the next entries to the processing list, and waits for one if there is none.
    pub(super) fn fetch(&mut self, store: &mut Store<'_, '_>) -> Sent {
        if self.found.depth == 0 {
            let timeout_s = Digits::of_len(usize::from(BLOCK_S));
            let command = [b"BLMOVE", QUEUE, &self.processing[..], b"LEFT", b"RIGHT", timeout_s.as_bytes()];
            store.send(&command, Awaited::Fetched)?;
            // Before a batch is settled it is asked again; an idle worker must find what was moved for it too.
            self.measure_processing(store)?;
        }
        self.fetch_waiting(store)
    }

    /// Moves to the processing list what is known to wait, and asks what waits behind it.
    fn fetch_waiting(&mut self, store: &mut Store<'_, '_>) -> Sent {
        for _ in 0..self.found.depth.min(BATCH_MAX) {
            store.send(&[b"LMOVE", QUEUE, &self.processing, b"LEFT", b"RIGHT"], Awaited::Fetched)?;
        }
        self.measure_queue(store)
    }

    /// Asks how many elements wait.
    pub(super) fn measure_queue(&mut self, store: &mut Store<'_, '_>) -> Sent {
        store.send(&[b"LLEN", QUEUE], Awaited::Depth)
    }

    fn measure_processing(&mut self, store: &mut Store<'_, '_>) -> Sent {
        store.send(&[b"LLEN", &self.processing], Awaited::ProcessingLength)
    }

    /// Asks what the first entries depend on, and to be told of changes.
    pub(super) fn read(&mut self, store: &mut Store<'_, '_>) -> Sent {
        let [a, b] = keys::RESULTS;
        let watched = [b"WATCH", &self.processing[..], a, b];
        let watched = if self.results_elsewhere { &watched[..2] } else { &watched[..] };
        store.send(watched, Awaited::Acknowledged)?;
        self.measure_processing(store)?;
        self.batch.take(&self.fetched, if self.isolate > 0 { 1 } else { BATCH_MAX });
        self.isolate = self.isolate.saturating_sub(1);
        if self.results_elsewhere {
            self.batch.judge_unread();
            self.recorded = false;
            return store.send(&[b"HGETALL", EPOCHS], Awaited::Epochs);
        }
        if self.batch.voters().next().is_none() {
            return Ok(());
        }
        for choice in Choice::ALL {
            let command = [b"HMGET", choice.results_key()].into_iter().chain(self.batch.voters());
            store.send(&command.collect::<Vec<_>>(), Awaited::Held(choice))?;
        }
        Ok(())
    }

    /// Settles what was read; and if that is all that was fetched and nothing else is to be done, fetches more.
    pub(super) fn settle(&mut self, store: &mut Store<'_, '_>) -> Sent {
        let whole = self.batch.len() == self.fetched.unsettled();
        if self.batch.is_oversized() {
            self.set_aside(store)?
        } else {
            self.transaction(store)?
        }
        let is_all = whole && self.membership.task(store.context.now).is_none();
        if is_all { self.fetch_waiting(store) } else { Ok(()) }
    }

    /// Counts votes and sets aside what is none.
    fn transaction(&mut self, store: &mut Store<'_, '_>) -> Sent {
        store.send(&[b"MULTI"], Awaited::Acknowledged)?;
        self.effects = 0;
        for choice in Choice::ALL.into_iter().filter(|_| !self.results_elsewhere) {
            self.effects += self.change(choice, store)?;
        }
        for (index, verdict) in self.batch.verdicts().enumerate() {
            let Some(Element::Payload(payload)) = self.fetched.get(index) else { break };
            if let Verdict::Rejected(_) = verdict {
                store.send(&[b"RPUSH", REJECTED, payload], Awaited::Acknowledged)?;
            }
            store.send(&[b"LREM", &self.processing, b"1", payload], Awaited::Acknowledged)?;
        }
        store.send(&[b"EXEC"], Awaited::Executed)
    }

    /// A voter is in exactly one of the two hashes, so their lengths are the scores. Says how many commands it
    /// takes.
    fn change(&self, choice: Choice, store: &mut Store<'_, '_>) -> Result<usize, StoreSendError> {
        let effects = self.batch.effects(choice);
        let sequences: Vec<_> = effects.clone().map(|effect| Digits::of_u64(effect.sequence)).collect();
        let mut added: Vec<&[u8]> = vec![b"HSET", choice.results_key()];
        let mut moved: Vec<&[u8]> = vec![b"HDEL", choice.other().results_key()];
        for (effect, sequence) in effects.zip(&sequences) {
            added.extend([effect.voter, sequence.as_bytes()]);
            moved.extend(effect.moves.then_some(effect.voter));
        }
        let commands = [added, moved].into_iter().filter(|command| command.len() > 2);
        commands.map(|command| store.send(&command, Awaited::Acknowledged).map(|()| 1)).sum()
    }

    /// Sets the first element of the processing list aside, which is the oversized first one that was fetched.
    fn set_aside(&mut self, store: &mut Store<'_, '_>) -> Sent {
        if self.log_pace.allows(store.context.now) {
            log::warn!("a queue element is {OVERSIZED}; it is kept in votes:rejected");
        }
        store.send(&[b"MULTI"], Awaited::Acknowledged)?;
        store.send(&[b"LMOVE", &self.processing, REJECTED, b"LEFT", b"RIGHT"], Awaited::Acknowledged)?;
        store.send(&[b"EXEC"], Awaited::SetAside)?;
        store.send(&[b"LLEN", REJECTED], Awaited::RejectedLength)
    }

    /// Drops the oldest rejected elements when there are too many.
    pub(super) fn trim(&mut self, store: &mut Store<'_, '_>) -> Sent {
        let surplus = core::mem::take(&mut self.found.surplus).min(TRIM_MAX);
        (0..surplus).try_for_each(|_| store.send(&[b"LPOP", REJECTED], Awaited::Trimmed))
    }

    /// Puts elements back that a transaction removed without counting them; the oldest comes first.
    pub(super) fn restore(&mut self, store: &mut Store<'_, '_>) -> Sent {
        let elements = core::mem::take(&mut self.found.restore);
        elements
            .iter()
            .rev()
            .try_for_each(|payload| store.send(&[b"LPUSH", &self.processing, payload], Awaited::Restored))
    }

    /// Does what is to be done about the other workers; says whether there was something.
    pub(super) fn run_membership(&mut self, store: &mut Store<'_, '_>) -> Result<bool, StoreSendError> {
        match self.membership.task(store.context.now) {
            None => return Ok(false),
            Some(Task::Heartbeat) => {
                store.send(&[b"HINCRBY", WORKERS, self.name.as_bytes(), b"1"], Awaited::Shown)?;
                store.send(&[b"HGETALL", WORKERS], Awaited::Looked)?;
                return Ok(true);
            }
            Some(Task::Measure(name)) => {
                store.send(&[b"LLEN", &keys::processing(name)], Awaited::LeftBehind)?;
            }
            Some(Task::Reclaim(name, count)) => {
                let list = keys::processing(name);
                for _ in 0..count {
                    store.send(&[b"LMOVE", &list, QUEUE, b"RIGHT", b"LEFT"], Awaited::Reclaimed)?;
                }
                store.send(&[b"LLEN", &list], Awaited::LeftBehind)?;
            }
            Some(Task::Forget(name)) => store.send(&[b"HDEL", WORKERS, name], Awaited::Forgotten)?,
        }
        self.membership.began();
        Ok(true)
    }
}
