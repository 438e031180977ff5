//! The epoch that begins with each connection to the store. With epochs, a database of results can order votes of
//! different stores.
//!
//! Tickets order the votes that one store still knows. They cannot order votes that a store has lost: a store that
//! was killed, whose disk is an older copy, or whose replica takes over gives out the same tickets again, but results
//! in a database are still the newer ones. The only sign of this is that connections end. So on each connection,
//! before its first ticket for a vote, an instance takes a ticket for an epoch, and records in `votes:epochs` where
//! the epoch begins. A vote belongs to the last epoch that begins at or before its sequence. The database numbers the
//! epochs in the order in which they arrive there.
//!
//! The epoch of a vote must never change after somebody may have read it; otherwise, of two votes of one voter, the
//! older one could move to the later epoch. So an epoch begins [`TICKETS_AHEAD`] tickets after the ticket that was
//! taken, where nobody has a ticket yet, and after it is recorded, the store's tickets advance to that place. A
//! record never changes: if it was not confirmed, the instance begins another epoch, and does not record the same one
//! at another place.
//!
//! This module sends nothing itself. Votes wait until the epoch has begun. The instance that begins an epoch removes
//! the oldest ones.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use kernel_app::client::Outcome;
use kernel_app::client::resp::{StoreOutcome, without_arguments};
use kernel_app::{Entropy, Instant};
use votes::keys::{EPOCHS, PRUNED, TICKETS};
use votes::sequence;
use wire::resp::{Digits, Reply};

use crate::voter::Id;

/// Most epochs that are kept in the store, but for those that others begin while the oldest are removed.
pub const EPOCHS_MAX: usize = 256;
/// Most fields of the hash that are read; this application never writes more.
const FIELDS_MAX: usize = 2 * EPOCHS_MAX;
/// How many tickets lie between the one that an epoch takes and those that are of it: more than all instances together
/// are given while it is being noted.
pub const TICKETS_AHEAD: u64 = 1 << 16;
/// A refused beginning is tried again after this time.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the store is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Whether it knows the epoch before.
    Recall,
    /// What tickets it gives.
    Number,
    /// Record that the epoch begins a number of tickets after that one.
    Note(u64),
    /// To give no tickets from before that place any more.
    Leap(u64),
    /// How many there are.
    Count,
    /// Which ones, because they are too many.
    List,
    /// To remove the oldest.
    Prune,
}

/// With what an epoch has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The ticket that the store has given for it: what it gave before is smaller, unless it has lost that.
    pub taken: u64,
    /// All later tickets are larger.
    pub ticket: u64,
    /// The store knows the epoch before.
    pub is_same_store: bool,
}

/// The epoch of one connection, and how far its beginning is.
#[derive(Debug)]
pub struct Epoch {
    id: Id,
    /// The last one that has begun, with its first sequence.
    last: Option<(Id, u64)>,
    /// The store knows that one: it is the same store, as far as it has not lost what came later.
    is_same_store: bool,
    /// What is next; none when all is done, or without a connection.
    step: Option<Step>,
    is_asked: bool,
    has_begun: bool,
    /// The oldest epochs, when there are too many.
    surplus: Vec<Vec<u8>>,
    /// Why it could not begin.
    trouble: Option<String>,
    retry_at: Instant,
}

impl Default for Epoch {
    fn default() -> Self {
        Self {
            id: Id([b'0'; crate::voter::DIGITS]),
            last: None,
            is_same_store: false,
            step: None,
            is_asked: false,
            has_begun: false,
            surplus: Vec::new(),
            trouble: None,
            retry_at: Instant::ZERO,
        }
    }
}

impl Epoch {
    /// Another epoch is to begin: the connection is new, or the store on it has lost data.
    pub fn renew(&mut self) {
        let first = if self.last.is_some() { Step::Recall } else { Step::Number };
        (self.step, self.is_same_store) = (Some(first), false);
        (self.is_asked, self.has_begun) = (false, false);
        (self.trouble, self.retry_at) = (None, Instant::ZERO);
    }

    /// The connection is gone.
    pub fn end(&mut self) {
        (self.step, self.is_asked, self.has_begun, self.trouble) = (None, false, false, None);
    }

    /// Whether votes can get their tickets.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Why it could not begin, if it is known.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What is to be asked now.
    pub fn next_step(&mut self, now: Instant, entropy: &mut dyn Entropy) -> Option<Step> {
        if self.retry_at > now {
            return None;
        }
        // From here on it waits for the store, not for the time.
        self.retry_at = Instant::ZERO;
        let step = self.step.filter(|_| !self.is_asked)?;
        if step == Step::Number {
            self.id = Id::random(entropy);
        }
        Some(step)
    }

    /// When a refused beginning is tried again.
    pub fn next_deadline(&self) -> Option<Instant> {
        let waits = self.step.is_some() && !self.is_asked && self.retry_at > Instant::ZERO;
        waits.then_some(self.retry_at)
    }

    /// It could not be asked: the store owes replies, or does not let us in. Whatever ends that comes by itself; a
    /// refused beginning is looked at later.
    pub fn postpone(&mut self, now: Instant) {
        if self.trouble.is_some() {
            self.retry_at = now + RETRY_AFTER;
        }
    }

    /// It was asked.
    pub fn asked(&mut self) {
        self.is_asked = true;
    }

    /// The command of a step.
    pub fn command<R>(&self, step: Step, send: impl FnOnce(&[&[u8]]) -> R) -> R {
        match step {
            Step::Recall => {
                let id = self.last.map_or(self.id, |(id, _)| id);
                send(&[b"HGET", EPOCHS, &id.0])
            }
            Step::Number => send(&[b"INCR", TICKETS]),
            Step::Note(ticket) => {
                let sequence = Digits::of_u64(sequence::first_of(ticket + TICKETS_AHEAD));
                send(&[b"HSET", EPOCHS, &self.id.0, sequence.as_bytes()])
            }
            Step::Leap(_) => {
                let tickets = Digits::of_u64(TICKETS_AHEAD);
                send(&[b"INCRBY", TICKETS, tickets.as_bytes()])
            }
            Step::Count => send(&[b"HLEN", EPOCHS]),
            Step::List => send(&[b"HGETALL", EPOCHS]),
            // The note comes first: should the rest not be done, it is still true.
            Step::Prune if self.surplus.is_empty() => send(&[b"HSET", EPOCHS, PRUNED, b"1"]),
            Step::Prune => {
                let fields = self.surplus.iter().map(Vec::as_slice);
                send(&[b"HDEL", EPOCHS].into_iter().chain(fields).collect::<Vec<_>>())
            }
        }
    }

    /// The store has answered; with what the epoch has begun just now.
    pub fn answered(&mut self, step: Step, outcome: StoreOutcome<'_>, now: Instant) -> Option<Begin> {
        if !core::mem::take(&mut self.is_asked) || self.step != Some(step) {
            return None;
        }
        let reply = match outcome {
            Outcome::Answer(reply) => reply,
            Outcome::Overdue => return self.fail("no answer in time", now),
            // The next connection begins an epoch of its own.
            Outcome::Lost => return None,
        };
        match (step, reply) {
            (_, Reply::Error(message)) => {
                let message = without_arguments(message).escape_ascii().to_string();
                self.fail(&message, now)
            }
            (Step::Recall, reply @ (Reply::Null | Reply::Bulk(_))) => {
                self.is_same_store = self.last.is_some_and(|(_, begin)| {
                    matches!(reply, Reply::Bulk(value) if value == Digits::of_u64(begin).as_bytes())
                });
                self.go_on(Some(Step::Number))
            }
            (Step::Number, Reply::Integer(number)) if room_behind(number).is_some() => {
                self.go_on(room_behind(number).map(Step::Note))
            }
            (Step::Note(ticket), Reply::Integer(_)) => self.go_on(Some(Step::Leap(ticket))),
            (Step::Leap(taken), Reply::Integer(given)) if is_behind(given, taken) => {
                (self.has_begun, self.trouble) = (true, None);
                let ticket = taken + TICKETS_AHEAD;
                self.last = Some((self.id, sequence::first_of(ticket)));
                self.go_on(Some(Step::Count));
                Some(Begin { taken, ticket, is_same_store: self.is_same_store })
            }
            (Step::Count, Reply::Integer(count)) => self.counted(usize::try_from(count).unwrap_or(0)),
            (Step::List, Reply::Array(fields)) => self.listed(fields),
            (Step::Prune, Reply::Integer(_)) => {
                let is_noted_now = core::mem::take(&mut self.surplus).is_empty();
                self.go_on(is_noted_now.then_some(Step::List))
            }
            _ => self.fail("not with what the command gives", now),
        }
    }

    fn go_on(&mut self, step: Option<Step>) -> Option<Begin> {
        self.step = step;
        None
    }

    fn fail(&mut self, reason: &str, now: Instant) -> Option<Begin> {
        if self.has_begun {
            log::warn!("the oldest epochs of votes:epochs cannot be removed: the store answers {reason}");
            return self.go_on(None);
        }
        let command = match self.step {
            Some(Step::Recall) => "HGET votes:epochs",
            Some(Step::Number) => "INCR votes:ticket",
            Some(Step::Leap(_)) => "INCRBY votes:ticket",
            _ => "HSET votes:epochs",
        };
        let trouble = format!("the store accepts no votes: it answers {command}: {reason}");
        if self.trouble.as_ref() != Some(&trouble) {
            log::warn!("{trouble}");
        }
        (self.trouble, self.retry_at) = (Some(trouble), now + RETRY_AFTER);
        let first = if self.step == Some(Step::Recall) { Step::Recall } else { Step::Number };
        self.go_on(Some(first))
    }

    fn counted(&mut self, count: usize) -> Option<Begin> {
        if count > FIELDS_MAX {
            log::warn!(
                "votes:epochs has {count} fields, and this application writes {EPOCHS_MAX}: who else?"
            );
        }
        self.go_on((EPOCHS_MAX + 1..=FIELDS_MAX).contains(&count).then_some(Step::List))
    }

    fn listed<'a>(&mut self, mut fields: impl Iterator<Item = Reply<'a>>) -> Option<Begin> {
        let mut begins: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut is_noted = false;
        while let (Some(Reply::Bulk(name)), Some(Reply::Bulk(value))) = (fields.next(), fields.next()) {
            let begin = core::str::from_utf8(value).ok().and_then(|value| value.parse().ok()).unwrap_or(0);
            if name == PRUNED {
                is_noted = true;
            } else {
                let begin = (begin, name.to_vec());
                // In order as they come: there are few, and a sort is five kilobytes of an image.
                begins.insert(begins.partition_point(|known| *known < begin), begin);
            }
        }
        begins.truncate(begins.len().saturating_sub(EPOCHS_MAX));
        self.surplus = if is_noted { begins.into_iter().map(|(_, name)| name).collect() } else { Vec::new() };
        self.go_on(Some(Step::Prune))
    }
}

/// The ticket with this number, if an epoch can begin behind it.
fn room_behind(number: i64) -> Option<u64> {
    let ticket = sequence::ticket(number)?;
    sequence::ticket(number.checked_add_unsigned(TICKETS_AHEAD)?).map(|_| ticket)
}

/// Whether tickets from this one on are of the epoch that `taken` was taken for.
fn is_behind(given: i64, taken: u64) -> bool {
    sequence::ticket(given).is_some_and(|given| given >= taken + TICKETS_AHEAD)
}
