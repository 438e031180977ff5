//! The meaning of the replies of a cycle.

use alloc::string::String;

use super::commands::{REJECT_COMMANDS, VOTE_COMMANDS};
use super::{Awaited, QueueConsumer};
use crate::epochs::Epochs;
use crate::fetched_entries::Element;
use crate::limits::{MESSAGE_BYTES_MAX, REJECTED_MAX};
use crate::transaction_batch::Verdict;
use kernel_app::client::resp::{StoreFault, without_arguments};
use votes::keys::EPOCHS;
use wire::Instant;
use wire::resp::{Items, Reply};

impl QueueConsumer {
    /// Takes a reply.
    pub(super) fn answered(
        &mut self,
        awaited: Awaited,
        reply: Reply<'_>,
        now: Instant,
    ) -> Result<(), StoreFault> {
        match (awaited, reply) {
            (Awaited::Epochs, Reply::Error(message)) => self.trouble(&[EPOCHS, b": ", message].concat()),
            (_, Reply::Error(message)) => self.trouble(message),
            (_, Reply::Integer(length)) => {
                let length = usize::try_from(length).map_err(|_| StoreFault::Unexpected)?;
                return self.measured(awaited, length, now);
            }
            (Awaited::Acknowledged, Reply::Simple(_)) => {}
            (Awaited::Executed | Awaited::SetAside, Reply::Null) => self.conflicted(),
            (_, Reply::Array(items)) => return self.listed(awaited, items, now),
            (_, reply) => return self.moved(awaited, reply),
        }
        Ok(())
    }

    /// Keeps the first error of the cycle: those that follow are mostly its consequences.
    fn trouble(&mut self, message: &[u8]) {
        let message = without_arguments(message);
        let shown = &message[..message.len().min(MESSAGE_BYTES_MAX)];
        self.found.trouble.get_or_insert_with(|| String::from_utf8_lossy(shown).into_owned());
    }

    fn measured(&mut self, awaited: Awaited, length: usize, now: Instant) -> Result<(), StoreFault> {
        match awaited {
            Awaited::Depth => self.found.depth = length,
            Awaited::ProcessingLength => self.found.list_changed |= length != self.fetched.unsettled(),
            Awaited::RejectedLength => self.found.surplus = length.saturating_sub(REJECTED_MAX),
            Awaited::Shown => self.membership.shown(now),
            Awaited::LeftBehind => self.membership.measured(length, now),
            Awaited::Restored | Awaited::Forgotten => {}
            _ => return Err(StoreFault::Unexpected),
        }
        Ok(())
    }

    fn listed(&mut self, awaited: Awaited, items: Items<'_>, now: Instant) -> Result<(), StoreFault> {
        match awaited {
            Awaited::Executed => self.executed(items, now),
            Awaited::SetAside => self.set_aside_done(items),
            Awaited::Held(choice) => return self.batch.hold(choice, items).ok_or(StoreFault::Unexpected),
            Awaited::Looked => self.looked(items, now),
            Awaited::Epochs => self.epochs = Epochs::read(items),
            _ => return Err(StoreFault::Unexpected),
        }
        Ok(())
    }

    /// An element, or that there is none.
    fn moved(&mut self, awaited: Awaited, reply: Reply<'_>) -> Result<(), StoreFault> {
        let is_element = matches!(reply, Reply::Bulk(_) | Reply::Null | Reply::Oversized);
        match (awaited, reply) {
            _ if !is_element => return Err(StoreFault::Unexpected),
            (Awaited::Fetched, Reply::Bulk(payload)) => self.fetched.push(payload),
            (Awaited::Fetched, Reply::Null) => self.found.exhausted = true,
            (Awaited::Fetched, Reply::Oversized) => self.fetched.push_oversized(),
            (Awaited::Replayed, Reply::Null) => self.found.drained = true,
            (Awaited::Replayed, _) => {
                self.replayed = true;
                self.stats.replayed.increment();
            }
            (Awaited::Reclaimed, Reply::Null) => {}
            (Awaited::Reclaimed, _) => self.stats.reclaimed.increment(),
            (Awaited::SetAside, Reply::Oversized) => {
                self.batch.clear();
                self.fetched.settle(1);
                self.stats.rejected.increment();
            }
            (Awaited::Trimmed, _) => {}
            _ => return Err(StoreFault::Unexpected),
        }
        Ok(())
    }

    /// The counts of all workers.
    fn looked(&mut self, mut fields: Items<'_>, now: Instant) {
        let own = self.name.as_bytes();
        let pairs = core::iter::from_fn(|| match (fields.next()?, fields.next()?) {
            (Reply::Bulk(name), Reply::Bulk(count)) => Some((name, count)),
            _ => None,
        });
        self.membership.look(pairs.filter(|(name, _)| *name != own), now);
    }

    /// Nothing was done, because what was read is out of date.
    fn conflicted(&mut self) {
        self.batch.clear();
        self.found.conflict = true;
        self.stats.conflicts.increment();
    }

    /// The results of a transaction, in the order of its commands.
    fn executed(&mut self, mut results: Items<'_>, now: Instant) {
        let batch = core::mem::take(&mut self.batch);
        let failures = results.by_ref().take(self.effects).map(error);
        let effects = failures.fold(None, |first: Option<&[u8]>, failure| first.or(failure));
        for (index, verdict) in batch.verdicts().enumerate() {
            match verdict {
                Verdict::Rejected(_) => self.rejected(index, results.by_ref().take(REJECT_COMMANDS)),
                vote => self.counted(index, vote, effects, results.by_ref().take(VOTE_COMMANDS)),
            }
        }
        self.log_rejections(batch.verdicts(), now);
        self.fetched.settle(batch.len());
        self.batch = batch;
        self.batch.clear();
        self.stats.batches.increment();
        self.jitter.reset();
        if self.found.trouble.is_none() {
            self.mark_healthy();
        }
    }

    fn counted<'a>(
        &mut self,
        index: usize,
        verdict: Verdict,
        effects: Option<&'a [u8]>,
        mut results: impl Iterator<Item = Reply<'a>>,
    ) {
        match (results.next(), effects) {
            (Some(Reply::Error(message)), _) | (_, Some(message)) => return self.refused(index, message),
            // It was not on the list: what else is there is not known either.
            (Some(Reply::Integer(0)), _) => self.found.list_changed = true,
            _ => {}
        }
        match verdict {
            Verdict::Counts(choice) => self.stats.counted[choice as usize].increment(),
            _ => self.stats.superseded.increment(),
        }
    }

    fn rejected<'a>(&mut self, index: usize, mut results: impl Iterator<Item = Reply<'a>>) {
        match results.next() {
            Some(Reply::Integer(length)) => {
                let length = usize::try_from(length).unwrap_or(0);
                self.found.surplus = length.saturating_sub(REJECTED_MAX);
                self.stats.rejected.increment();
            }
            Some(Reply::Error(message)) => self.refused(index, message),
            _ => {}
        }
        results.for_each(drop);
    }

    /// What was set aside, or not, is not the element that is too large: the list was not as left.
    fn set_aside_done(&mut self, mut results: Items<'_>) {
        self.batch.clear();
        self.found.list_changed = true;
        match results.next() {
            Some(Reply::Error(message)) => self.trouble(message),
            Some(Reply::Bulk(payload)) => self.found.restore.push(payload.to_vec()),
            _ => {}
        }
    }

    /// The transaction was carried out but for this element, which it may have removed all the same.
    fn refused(&mut self, index: usize, message: &[u8]) {
        self.trouble(message);
        if let Some(Element::Payload(payload)) = self.fetched.get(index) {
            self.found.restore.push(payload.to_vec());
        }
    }

    /// One line for a transaction, however many elements it rejects.
    fn log_rejections(&mut self, verdicts: impl DoubleEndedIterator<Item = Verdict> + Clone, now: Instant) {
        let rejections = verdicts.filter_map(|verdict| match verdict {
            Verdict::Rejected(rejection) => Some(rejection),
            _ => None,
        });
        if let Some(last) = rejections.clone().next_back()
            && self.log_pace.allows(now)
        {
            log::warn!("{} queue elements are kept in votes:rejected: {last}", rejections.count());
        }
    }
}

fn error(reply: Reply<'_>) -> Option<&[u8]> {
    match reply {
        Reply::Error(message) => Some(message),
        _ => None,
    }
}
