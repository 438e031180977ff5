//! What the replies of a cycle mean.
//!
//! Sends nothing.

use alloc::string::String;

use super::commands::{COUNT_COMMANDS, REJECT_COMMANDS};
use super::{Awaited, Mover};
use crate::batch::Element;
use crate::limits::{MESSAGE_BYTES_MAX, REJECTED_MAX};
use crate::payload::Choice;
use crate::received::{Fault, Received};
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
        match received {
            Received::Reply(Reply::Error(message)) => self.trouble(message),
            Received::Reply(Reply::Integer(length)) => {
                return self.measured(awaited, usize::try_from(length).map_err(|_| Fault::Unexpected)?);
            }
            Received::Reply(Reply::Array(results)) if awaited == Awaited::Executed => {
                return self.executed(results);
            }
            Received::Reply(Reply::Simple(_)) if awaited == Awaited::Queued => {}
            received => return self.moved(awaited, received),
        }
        Ok(())
    }

    /// Keeps the first error of the cycle: those that follow are mostly its consequences.
    fn trouble(&mut self, message: &[u8]) {
        let shown = &message[..message.len().min(MESSAGE_BYTES_MAX)];
        self.found.trouble.get_or_insert_with(|| String::from_utf8_lossy(shown).into_owned());
    }

    fn measured(&mut self, awaited: Awaited, length: usize) -> Result<(), Fault> {
        match awaited {
            Awaited::Depth => self.found.depth = length,
            Awaited::ProcessingLength => self.found.disturbed = length != self.batch.unsettled(),
            Awaited::RejectedLength => self.found.surplus = length.saturating_sub(REJECTED_MAX),
            Awaited::Restored => {}
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
            (Awaited::SetAside, _) => {
                self.batch.settle(1);
                self.stats.rejected.increment();
            }
            (Awaited::Trimmed, _) => {}
            _ => return Err(Fault::Unexpected),
        }
        Ok(())
    }

    /// The results of a transaction, in the order of its commands.
    fn executed(&mut self, mut results: Items<'_>) -> Result<(), Fault> {
        for index in 0..self.verdicts.len() {
            match self.verdicts[index] {
                Ok(choice) => self.counted(index, choice, results.by_ref().take(COUNT_COMMANDS)),
                Err(_) => self.rejected(index, results.by_ref().take(REJECT_COMMANDS)),
            }
        }
        self.log_rejections();
        self.batch.settle(self.verdicts.len());
        self.stats.batches.increment();
        if self.found.trouble.is_none() {
            self.prosper();
        }
        Ok(())
    }

    fn counted<'a>(&mut self, index: usize, choice: Choice, mut results: impl Iterator<Item = Reply<'a>>) {
        match results.find_map(error) {
            None => self.stats.counted[choice as usize].increment(),
            Some(message) => self.refused(index, message),
        }
        results.for_each(drop);
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

    /// One line for a transaction, however many elements it rejects.
    fn log_rejections(&self) {
        let rejections = self.verdicts.iter().filter_map(|verdict| verdict.err());
        if let Some(last) = rejections.clone().next_back() {
            log::warn!("{} queue elements are kept in votes:rejected: {last}", rejections.count());
        }
    }

    /// The transaction was carried out but for this element, which it may have removed all the same.
    fn refused(&mut self, index: usize, message: &[u8]) {
        self.trouble(message);
        if let Some(Element::Payload(payload)) = self.batch.get(index) {
            self.found.restore.push(payload.to_vec());
        }
    }
}

fn error(reply: Reply<'_>) -> Option<&[u8]> {
    match reply {
        Reply::Error(message) => Some(message),
        _ => None,
    }
}
