//! The commands of a cycle.
//!
//! Decides nothing about when they are sent.

use super::{Awaited, Mover, QUEUE, REJECTED};
use crate::batch::Element;
use crate::limits::{BATCH_MAX, BLOCK_S, TRANSACTION_BYTES_MAX, TRIM_MAX};
use crate::payload::{Rejection, Vote};
use crate::received::Fault;
use wire::Buffer;
use wire::resp::{Digits, write_command};

/// Commands of a transaction that count one vote.
pub(super) const COUNT_COMMANDS: usize = 3;
/// Commands of a transaction that set one element aside.
pub(super) const REJECT_COMMANDS: usize = 2;

impl Mover {
    /// One page of the processing list, the newest first, back to the head of the queue.
    pub(super) fn replay(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        for _ in 0..BATCH_MAX {
            command(output, &[b"LMOVE", &self.processing, QUEUE, b"RIGHT", b"LEFT"])?;
        }
        self.awaited.push_back((Awaited::Replayed, BATCH_MAX));
        Ok(())
    }

    /// Asks for the next batch, and for what the one after it depends on.
    pub(super) fn fetch(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        let waiting = self.found.depth.min(BATCH_MAX);
        for _ in 0..waiting {
            command(output, &[b"LMOVE", QUEUE, &self.processing, b"LEFT", b"RIGHT"])?;
        }
        if waiting == 0 {
            let timeout_s = Digits::of_len(usize::from(BLOCK_S));
            command(output, &[b"BLMOVE", QUEUE, &self.processing, b"LEFT", b"RIGHT", timeout_s.as_bytes()])?;
        }
        self.awaited.push_back((Awaited::Fetched, waiting.max(1)));
        command(output, &[b"LLEN", &self.processing])?;
        self.awaited.push_back((Awaited::ProcessingLength, 1));
        command(output, &[b"LLEN", QUEUE])?;
        self.awaited.push_back((Awaited::Depth, 1));
        Ok(())
    }

    /// Settles the batch's first elements; says whether that is all of them.
    pub(super) fn settle(&mut self, output: &mut Buffer) -> Result<bool, Fault> {
        let settled = match self.batch.get(0) {
            None => 0,
            Some(Element::Payload(_)) => self.transaction(output)?,
            Some(Element::Oversized) => self.set_aside(output)?,
        };
        Ok(settled == self.batch.unsettled())
    }

    /// Counts the batch's first elements up to one that is oversized, or as many as fit.
    fn transaction(&mut self, output: &mut Buffer) -> Result<usize, Fault> {
        let start = output.len();
        self.verdicts.clear();
        command(output, &[b"MULTI"])?;
        let mut queued = 1;
        while let Some(Element::Payload(payload)) = self.batch.get(self.verdicts.len())
            && output.len() - start < TRANSACTION_BYTES_MAX
        {
            let vote = Vote::parse(payload);
            self.verdicts.push(vote.as_ref().map(|vote| vote.choice).map_err(|rejection| *rejection));
            queued += match vote {
                Ok(vote) => count(output, &vote, payload, &self.processing)?,
                Err(_) => reject(output, payload, &self.processing)?,
            };
        }
        command(output, &[b"EXEC"])?;
        self.awaited.push_back((Awaited::Queued, queued));
        self.awaited.push_back((Awaited::Executed, 1));
        Ok(self.verdicts.len())
    }

    /// Sets the first element of the processing list aside, which is the batch's oversized first.
    fn set_aside(&mut self, output: &mut Buffer) -> Result<usize, Fault> {
        log::warn!("a queue element is {}; it is kept in votes:rejected", Rejection::Oversized);
        command(output, &[b"LMOVE", &self.processing, REJECTED, b"LEFT", b"RIGHT"])?;
        self.awaited.push_back((Awaited::SetAside, 1));
        command(output, &[b"LLEN", REJECTED])?;
        self.awaited.push_back((Awaited::RejectedLength, 1));
        Ok(1)
    }

    /// Drops the oldest rejected elements when there are too many.
    pub(super) fn trim(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        let surplus = core::mem::take(&mut self.found.surplus).min(TRIM_MAX);
        for _ in 0..surplus {
            command(output, &[b"LPOP", REJECTED])?;
        }
        if surplus > 0 {
            self.awaited.push_back((Awaited::Trimmed, surplus));
        }
        Ok(())
    }

    /// Puts elements back that a transaction removed without counting them; the oldest comes first.
    pub(super) fn restore(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        let elements = core::mem::take(&mut self.found.restore);
        for payload in elements.iter().rev() {
            command(output, &[b"LPUSH", &self.processing, payload])?;
        }
        self.awaited.push_back((Awaited::Restored, elements.len()));
        Ok(())
    }
}

/// A voter is in exactly one of the two hashes, so their lengths are the scores.
fn count(output: &mut Buffer, vote: &Vote<'_>, payload: &[u8], processing: &[u8]) -> Result<usize, Fault> {
    let (voter, id) = (vote.voter_id.as_bytes(), vote.id.as_bytes());
    command(output, &[b"HSET", vote.choice.results_key(), voter, id])?;
    command(output, &[b"HDEL", vote.choice.other().results_key(), voter])?;
    command(output, &[b"LREM", processing, b"1", payload])?;
    Ok(COUNT_COMMANDS)
}

fn reject(output: &mut Buffer, payload: &[u8], processing: &[u8]) -> Result<usize, Fault> {
    command(output, &[b"RPUSH", REJECTED, payload])?;
    command(output, &[b"LREM", processing, b"1", payload])?;
    Ok(REJECT_COMMANDS)
}

fn command(output: &mut Buffer, args: &[&[u8]]) -> Result<(), Fault> {
    write_command(output, args).map_err(|_| Fault::OutputFull)
}
