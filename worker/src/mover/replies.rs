//! What the replies of a cycle mean.
//!
//! Sends nothing.

use alloc::string::String;

use super::commands::{REJECT_COMMANDS, VOTE_COMMANDS};
use super::{Awaited, Mover};
use crate::batch::Element;
use crate::epochs::Epochs;
use crate::limits::{MESSAGE_BYTES_MAX, REJECTED_MAX};
use crate::part::Verdict;
use crate::received::{Fault, Received};
use kernel_app::store_client::without_arguments;
use votes::keys::EPOCHS;
use wire::resp::{Items, Reply};

impl Mover {
    /// Takes the next reply.
    pub(super) fn answered(&mut self, received: Received<'_>) -> Result<(), Fault> {
        let (awaited, left) = self.awaited.front_mut().ok_or(Fault::Unexpected)?;
        let awaited = *awaited;
        *left -= 1;
        if *left == 0 {
            self.awaited.pop_front();
        }
        match (awaited, received) {
            (Awaited::Epochs, Received::Reply(Reply::Error(message))) => {
                self.trouble(&[EPOCHS, b": ", message].concat())
            }
            (_, Received::Reply(Reply::Error(message))) => self.trouble(message),
            (_, Received::Reply(Reply::Integer(length))) => {
                return self.measured(awaited, usize::try_from(length).map_err(|_| Fault::Unexpected)?);
            }
            (Awaited::Acknowledged, Received::Reply(Reply::Simple(_))) => {}
            (Awaited::Executed | Awaited::SetAside, Received::Reply(Reply::Null)) => self.conflicted(),
            (_, Received::Reply(Reply::Array(items))) => return self.listed(awaited, items),
            (_, received) => return self.moved(awaited, received),
        }
        Ok(())
    }

    /// Keeps the first error of the cycle: those that follow are mostly its consequences.
    fn trouble(&mut self, message: &[u8]) {
        let message = without_arguments(message);
        let shown = &message[..message.len().min(MESSAGE_BYTES_MAX)];
        self.found.trouble.get_or_insert_with(|| String::from_utf8_lossy(shown).into_owned());
    }

    fn measured(&mut self, awaited: Awaited, length: usize) -> Result<(), Fault> {
        match awaited {
            Awaited::Depth => self.found.depth = length,
            Awaited::ProcessingLength => self.found.disturbed |= length != self.batch.unsettled(),
            Awaited::RejectedLength => self.found.surplus = length.saturating_sub(REJECTED_MAX),
            Awaited::Shown => self.colleagues.shown(self.heard_at),
            Awaited::LeftBehind => self.colleagues.measured(length, self.heard_at),
            Awaited::Restored | Awaited::Forgotten => {}
            _ => return Err(Fault::Unexpected),
        }
        Ok(())
    }

    fn listed(&mut self, awaited: Awaited, items: Items<'_>) -> Result<(), Fault> {
        match awaited {
            Awaited::Executed => self.executed(items),
            Awaited::SetAside => self.set_aside_done(items),
            Awaited::Held(choice) => return self.part.hold(choice, items).ok_or(Fault::Unexpected),
            Awaited::Looked => self.looked(items),
            Awaited::Epochs => self.epochs = Epochs::read(items),
            _ => return Err(Fault::Unexpected),
        }
        Ok(())
    }

    /// An element, or that there is none.
    fn moved(&mut self, awaited: Awaited, received: Received<'_>) -> Result<(), Fault> {
        let is_element =
            matches!(received, Received::Oversized | Received::Reply(Reply::Bulk(_) | Reply::Null));
        match (awaited, received) {
            _ if !is_element => return Err(Fault::Unexpected),
            (Awaited::Fetched, Received::Reply(Reply::Bulk(payload))) => self.batch.push(payload),
            (Awaited::Fetched, Received::Reply(Reply::Null)) => self.found.exhausted = true,
            (Awaited::Fetched, Received::Oversized) => self.batch.push_oversized(),
            (Awaited::Replayed, Received::Reply(Reply::Null)) => self.found.drained = true,
            (Awaited::Replayed, _) => {
                self.replayed = true;
                self.stats.replayed.increment();
            }
            (Awaited::Rescued, Received::Reply(Reply::Null)) => {}
            (Awaited::Rescued, _) => self.stats.rescued.increment(),
            (Awaited::SetAside, Received::Oversized) => {
                self.part.clear();
                self.batch.settle(1);
                self.stats.rejected.increment();
            }
            (Awaited::Trimmed, _) => {}
            _ => return Err(Fault::Unexpected),
        }
        Ok(())
    }

    /// The counts of all workers.
    fn looked(&mut self, mut fields: Items<'_>) {
        let own = self.name.as_bytes();
        let pairs = core::iter::from_fn(|| match (fields.next()?, fields.next()?) {
            (Reply::Bulk(name), Reply::Bulk(count)) => Some((name, count)),
            _ => None,
        });
        self.colleagues.look(pairs.filter(|(name, _)| *name != own), self.heard_at);
    }

    /// Nothing was done, because what was read is out of date.
    fn conflicted(&mut self) {
        self.part.clear();
        self.found.conflict = true;
        self.stats.conflicts.increment();
    }

    /// The results of a transaction, in the order of its commands.
    fn executed(&mut self, mut results: Items<'_>) {
        let part = core::mem::take(&mut self.part);
        let failures = results.by_ref().take(self.effects).map(error);
        let effects = failures.fold(None, |first: Option<&[u8]>, failure| first.or(failure));
        for (index, verdict) in part.verdicts().enumerate() {
            match verdict {
                Verdict::Rejected(_) => self.rejected(index, results.by_ref().take(REJECT_COMMANDS)),
                vote => self.counted(index, vote, effects, results.by_ref().take(VOTE_COMMANDS)),
            }
        }
        self.log_rejections(part.verdicts());
        self.batch.settle(part.len());
        self.part = part;
        self.part.clear();
        self.stats.batches.increment();
        self.jitter.reset();
        if self.found.trouble.is_none() {
            self.prosper();
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
            (Some(Reply::Integer(0)), _) => self.found.disturbed = true,
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
        self.part.clear();
        self.found.disturbed = true;
        match results.next() {
            Some(Reply::Error(message)) => self.trouble(message),
            Some(Reply::Bulk(payload)) => self.found.restore.push(payload.to_vec()),
            _ => {}
        }
    }

    /// The transaction was carried out but for this element, which it may have removed all the same.
    fn refused(&mut self, index: usize, message: &[u8]) {
        self.trouble(message);
        if let Some(Element::Payload(payload)) = self.batch.get(index) {
            self.found.restore.push(payload.to_vec());
        }
    }

    /// One line for a transaction, however many elements it rejects.
    fn log_rejections(&mut self, verdicts: impl DoubleEndedIterator<Item = Verdict> + Clone) {
        let rejections = verdicts.filter_map(|verdict| match verdict {
            Verdict::Rejected(rejection) => Some(rejection),
            _ => None,
        });
        if let Some(last) = rejections.clone().next_back()
            && self.log_pace.allows(self.heard_at)
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
