//! The commands of a cycle.
//!
//! Decides nothing about when they are sent.

use super::{Awaited, Mover};
use crate::batch::Element;
use crate::colleagues::Task;
use crate::limits::{BATCH_MAX, BLOCK_S, TRIM_MAX};
use crate::part::{Part, Verdict};
use crate::received::Fault;
use votes::keys::{self, EPOCHS, QUEUE, REJECTED, WORKERS};
use votes::{Choice, EntryError};
use wire::Buffer;
use wire::buffer::Full;
use wire::resp::{Digits, write, write_command};

/// Commands of a transaction that settle a vote, beside those that change the results.
pub(super) const VOTE_COMMANDS: usize = 1;
/// Commands of a transaction that settle an element that is no vote.
pub(super) const REJECT_COMMANDS: usize = 2;

impl Mover {
    /// Tells the store who asks, and for which database.
    pub(super) fn log_in(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        let login = core::mem::take(&mut self.login);
        let sent = login.commands(|args| {
            command(output, args)?;
            self.awaits(Awaited::Acknowledged, 1);
            Ok(())
        });
        self.login = login;
        sent
    }

    /// Forgets what an earlier cycle watched.
    pub(super) fn unwatch(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        command(output, &[b"UNWATCH"])?;
        self.awaits(Awaited::Acknowledged, 1);
        Ok(())
    }

    /// One page of the processing list, the newest first, back to the head of the queue.
    pub(super) fn replay(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        for _ in 0..BATCH_MAX {
            command(output, &[b"LMOVE", &self.processing, QUEUE, b"RIGHT", b"LEFT"])?;
        }
        self.awaits(Awaited::Replayed, BATCH_MAX);
        Ok(())
    }

    /// Moves the next batch to the processing list, and waits for one if there is none.
    pub(super) fn fetch(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        if self.found.depth == 0 {
            let timeout_s = Digits::of_len(usize::from(BLOCK_S));
            command(output, &[b"BLMOVE", QUEUE, &self.processing, b"LEFT", b"RIGHT", timeout_s.as_bytes()])?;
            self.awaits(Awaited::Fetched, 1);
            // Before a batch is settled it is asked again; an idle worker must find what was moved for it too.
            self.measure_processing(output)?;
        }
        self.fetch_waiting(output)
    }

    /// Moves to the processing list what is known to wait, and asks what waits behind it.
    fn fetch_waiting(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        let waiting = self.found.depth.min(BATCH_MAX);
        for _ in 0..waiting {
            command(output, &[b"LMOVE", QUEUE, &self.processing, b"LEFT", b"RIGHT"])?;
        }
        self.awaits(Awaited::Fetched, waiting);
        self.measure_queue(output)
    }

    /// Asks how many elements wait.
    pub(super) fn measure_queue(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        command(output, &[b"LLEN", QUEUE])?;
        self.awaits(Awaited::Depth, 1);
        Ok(())
    }

    fn measure_processing(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        command(output, &[b"LLEN", &self.processing])?;
        self.awaits(Awaited::ProcessingLength, 1);
        Ok(())
    }

    /// Asks what the batch's first elements depend on, and to be told of changes.
    pub(super) fn read(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        let [a, b] = Choice::ALL.map(Choice::results_key);
        let watched = [b"WATCH", &self.processing[..], a, b];
        command(output, &watched[..if self.results_elsewhere { 2 } else { 4 }])?;
        self.awaits(Awaited::Acknowledged, 1);
        self.measure_processing(output)?;
        self.part.take(&self.batch, if self.singly > 0 { 1 } else { BATCH_MAX });
        self.singly = self.singly.saturating_sub(1);
        if self.results_elsewhere {
            self.part.judge_unread();
            self.recorded = false;
            command(output, &[b"HGETALL", EPOCHS])?;
            self.awaits(Awaited::Epochs, 1);
            return Ok(());
        }
        let voters = self.part.voters().count();
        if voters == 0 {
            return Ok(());
        }
        for choice in Choice::ALL {
            write::array(output, 2 + voters)?;
            write::bulk(output, b"HMGET")?;
            write::bulk(output, choice.results_key())?;
            self.part.voters().try_for_each(|voter| write::bulk(output, voter))?;
            self.awaits(Awaited::Held(choice), 1);
        }
        Ok(())
    }

    /// Settles what was read; and if that is the whole batch and nothing else is to be done, moves the next.
    pub(super) fn settle(&mut self, output: &mut Buffer, now: wire::Instant) -> Result<(), Fault> {
        let whole = self.part.len() == self.batch.unsettled();
        if self.part.is_oversized() {
            self.set_aside(output, now)?
        } else {
            self.transaction(output)?
        }
        if whole && self.colleagues.task(now).is_none() { self.fetch_waiting(output) } else { Ok(()) }
    }

    /// Counts votes and sets aside what is none.
    fn transaction(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        command(output, &[b"MULTI"])?;
        self.effects = 0;
        let in_store = Choice::ALL.into_iter().filter(|_| !self.results_elsewhere);
        for choice in in_store {
            self.effects += change(output, &self.part, choice)?;
        }
        let mut queued = 1 + self.effects;
        for (index, verdict) in self.part.verdicts().enumerate() {
            let Some(Element::Payload(payload)) = self.batch.get(index) else { break };
            if let Verdict::Rejected(_) = verdict {
                command(output, &[b"RPUSH", REJECTED, payload])?;
                queued += REJECT_COMMANDS;
            } else {
                queued += VOTE_COMMANDS;
            }
            command(output, &[b"LREM", &self.processing, b"1", payload])?;
        }
        command(output, &[b"EXEC"])?;
        self.awaits(Awaited::Acknowledged, queued);
        self.awaits(Awaited::Executed, 1);
        Ok(())
    }

    /// Sets the first element of the processing list aside, which is the batch's oversized first.
    fn set_aside(&mut self, output: &mut Buffer, now: wire::Instant) -> Result<(), Fault> {
        if self.log_pace.allows(now) {
            log::warn!("a queue element is {}; it is kept in votes:rejected", EntryError::Oversized);
        }
        command(output, &[b"MULTI"])?;
        command(output, &[b"LMOVE", &self.processing, REJECTED, b"LEFT", b"RIGHT"])?;
        command(output, &[b"EXEC"])?;
        self.awaits(Awaited::Acknowledged, 2);
        self.awaits(Awaited::SetAside, 1);
        command(output, &[b"LLEN", REJECTED])?;
        self.awaits(Awaited::RejectedLength, 1);
        Ok(())
    }

    /// Drops the oldest rejected elements when there are too many.
    pub(super) fn trim(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        let surplus = core::mem::take(&mut self.found.surplus).min(TRIM_MAX);
        for _ in 0..surplus {
            command(output, &[b"LPOP", REJECTED])?;
        }
        self.awaits(Awaited::Trimmed, surplus);
        Ok(())
    }

    /// Puts elements back that a transaction removed without counting them; the oldest comes first.
    pub(super) fn restore(&mut self, output: &mut Buffer) -> Result<(), Fault> {
        let elements = core::mem::take(&mut self.found.restore);
        for payload in elements.iter().rev() {
            command(output, &[b"LPUSH", &self.processing, payload])?;
        }
        self.awaits(Awaited::Restored, elements.len());
        Ok(())
    }

    /// Does what is to be done about the other workers; says whether there was something.
    pub(super) fn attend(&mut self, output: &mut Buffer, now: wire::Instant) -> Result<bool, Fault> {
        let awaited = match self.colleagues.task(now) {
            None => return Ok(false),
            Some(Task::Beat) => {
                command(output, &[b"HINCRBY", WORKERS, self.name.as_bytes(), b"1"])?;
                command(output, &[b"HGETALL", WORKERS])?;
                self.awaits(Awaited::Shown, 1);
                self.awaits(Awaited::Looked, 1);
                return Ok(true);
            }
            Some(Task::Measure(name)) => {
                command(output, &[b"LLEN", &keys::processing(name)])?;
                [(Awaited::Rescued, 0), (Awaited::LeftBehind, 1)]
            }
            Some(Task::Rescue(name, count)) => {
                let list = keys::processing(name);
                for _ in 0..count {
                    command(output, &[b"LMOVE", &list, QUEUE, b"RIGHT", b"LEFT"])?;
                }
                command(output, &[b"LLEN", &list])?;
                [(Awaited::Rescued, count), (Awaited::LeftBehind, 1)]
            }
            Some(Task::Forget(name)) => {
                command(output, &[b"HDEL", WORKERS, name])?;
                [(Awaited::Rescued, 0), (Awaited::Forgotten, 1)]
            }
        };
        awaited.into_iter().for_each(|(awaited, count)| self.awaits(awaited, count));
        self.colleagues.began();
        Ok(true)
    }

    fn awaits(&mut self, awaited: Awaited, count: usize) {
        if count > 0 {
            self.awaited.push_back((awaited, count));
        }
    }
}

/// A voter is in exactly one of the two hashes, so their lengths are the scores. Says how many commands it
/// takes.
fn change(output: &mut Buffer, part: &Part, choice: Choice) -> Result<usize, Fault> {
    let effects = part.effects(choice);
    let (added, moved) = (effects.clone().count(), effects.clone().filter(|effect| effect.moves).count());
    if added > 0 {
        write::array(output, 2 + 2 * added)?;
        write::bulk(output, b"HSET")?;
        write::bulk(output, choice.results_key())?;
        for effect in effects.clone() {
            write::bulk(output, effect.voter)?;
            write::bulk(output, Digits::of_u64(effect.sequence).as_bytes())?;
        }
    }
    if moved > 0 {
        write::array(output, 2 + moved)?;
        write::bulk(output, b"HDEL")?;
        write::bulk(output, choice.other().results_key())?;
        effects.filter(|effect| effect.moves).try_for_each(|effect| write::bulk(output, effect.voter))?;
    }
    Ok(usize::from(added > 0) + usize::from(moved > 0))
}

fn command(output: &mut Buffer, args: &[&[u8]]) -> Result<(), Fault> {
    Ok(write_command(output, args)?)
}

impl From<Full> for Fault {
    fn from(_: Full) -> Self {
        Self::OutputFull
    }
}
