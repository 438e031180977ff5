//! The clients that wait for each key, in the order of their arrival.
//!
//! It takes no elements and writes no replies.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use kernel_app::{ConnectionId, Instant};

use crate::failure::Failure;
use crate::keyspace::End;
use crate::limits::WAIT_BYTES_MAX;

/// What a blocked client waits for.
#[derive(Debug)]
pub struct Wait {
    /// The lists, the first of which that has an element is used; each once.
    pub keys: Vec<Box<[u8]>>,
    /// What to do with the element.
    pub action: Action,
    /// When to give up; `None`: never.
    pub deadline: Option<Instant>,
}

/// What a blocked client does with the element it gets.
#[derive(Debug)]
pub enum Action {
    /// `BLPOP`, `BRPOP`: takes it from this end.
    Pop(End),
    /// `BLMOVE`: moves it to another list.
    Move {
        /// The other list.
        destination: Box<[u8]>,
        /// The end it is taken from and the end it is put to.
        ends: (End, End),
    },
}

impl Wait {
    /// What it takes in memory at most; each key's name is kept twice.
    fn bytes(&self) -> usize {
        const WAIT_BYTES: usize = 128;
        const KEY_BYTES: usize = 320;
        let destination = match &self.action {
            Action::Move { destination, .. } => destination.len(),
            Action::Pop(_) => 0,
        };
        self.keys.iter().fold(WAIT_BYTES + destination, |sum, key| sum + KEY_BYTES + 2 * key.len())
    }
}

/// All blocked clients.
#[derive(Debug, Default)]
pub struct Waiters {
    queues: BTreeMap<Box<[u8]>, VecDeque<ConnectionId>>,
    deadlines: BTreeSet<(Instant, ConnectionId)>,
    count: usize,
    bytes: usize,
}

impl Waiters {
    /// How many clients are blocked.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Bytes of the keys that they wait for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts a client at the end of its keys' queues.
    ///
    /// # Errors
    /// When the keys of all blocked clients together would take more than [`WAIT_BYTES_MAX`].
    pub fn add(&mut self, id: ConnectionId, wait: &Wait) -> Result<(), Failure> {
        let bytes = wait.bytes();
        if self.bytes + bytes > WAIT_BYTES_MAX {
            return Err(Failure::TooManyWaiters);
        }
        self.bytes += bytes;
        self.count += 1;
        for key in &wait.keys {
            self.queues.entry(key.clone()).or_default().push_back(id);
        }
        self.deadlines.extend(wait.deadline.map(|deadline| (deadline, id)));
        Ok(())
    }

    /// Takes a client, which was added with this wait, out of all queues.
    pub fn remove(&mut self, id: ConnectionId, wait: &Wait) {
        for key in &wait.keys {
            let Some(queue) = self.queues.get_mut(key) else { continue };
            queue.retain(|other| *other != id);
            if queue.capacity() > 4 * queue.len() + 4 {
                queue.shrink_to_fit();
            }
            if queue.is_empty() {
                self.queues.remove(key);
            }
        }
        if let Some(deadline) = wait.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        self.count -= 1;
        self.bytes -= wait.bytes();
    }

    /// The client that has waited for `key` for longest.
    pub fn first(&self, key: &[u8]) -> Option<ConnectionId> {
        self.queues.get(key)?.front().copied()
    }

    /// A client whose time is up.
    pub fn due(&self, now: Instant) -> Option<ConnectionId> {
        self.deadlines.first().filter(|(deadline, _)| *deadline <= now).map(|(_, id)| *id)
    }

    /// When the first client's time is up.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}
