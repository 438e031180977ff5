//! The store: a queue, the worker's processing list, and the results. Each method is one command: the store carries it
//! out whole or not at all, and keeps what it has done, whatever happens to the worker.

use std::collections::{BTreeMap, VecDeque};

/// The two options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// The first option.
    A,
    /// The second option.
    B,
}

/// A vote as the queue carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Who votes.
    pub voter: u32,
    /// For what.
    pub choice: Choice,
    /// Of two votes of a voter the one with the larger number counts.
    pub sequence: u64,
}

/// A change of the store, for [`Store::transaction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gives a voter this result, whatever it had: choice and sequence.
    SetResult(u32, Choice, u64),
    /// Removes a vote from the processing list, once.
    Remove(Vote),
}

/// The worker has been killed. It gives up at once: `?` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed;

/// When the worker is killed: at which command from now on, and whether the store has carried that out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Commands before it.
    pub after: usize,
    /// The store got the command; only its reply is lost.
    pub carried_out: bool,
}

/// The store and what it holds.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Votes that wait.
    pub queue: VecDeque<Vote>,
    /// Votes that a worker has taken and not removed.
    pub processing: VecDeque<Vote>,
    /// What counts, and its sequence.
    pub results: BTreeMap<u32, (Choice, u64)>,
    /// What is to happen to the worker.
    pub kill: Option<Kill>,
}

impl Store {
    /// Takes the first vote out of the queue. (Redis: `LPOP`)
    pub fn pop(&mut self) -> Result<Option<Vote>, Killed> {
        self.command(|store| store.queue.pop_front())
    }

    /// Moves the first vote of the queue to the end of the processing list. (`LMOVE`)
    pub fn take(&mut self) -> Result<Option<Vote>, Killed> {
        self.command(|store| {
            let vote = store.queue.pop_front();
            store.processing.extend(vote);
            vote
        })
    }

    /// The first vote of the processing list, which stays there. (`LRANGE`)
    pub fn first_taken(&mut self) -> Result<Option<Vote>, Killed> {
        self.command(|store| store.processing.front().copied())
    }

    /// What counts for a voter, and its sequence. (`HGET`)
    pub fn result(&mut self, voter: u32) -> Result<Option<(Choice, u64)>, Killed> {
        self.command(|store| store.results.get(&voter).copied())
    }

    /// Makes several changes at once. (`MULTI`, the changes, `EXEC`)
    pub fn transaction(&mut self, changes: &[Change]) -> Result<(), Killed> {
        self.command(|store| changes.iter().for_each(|change| store.change(*change)))
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::SetResult(voter, choice, sequence) => {
                self.results.insert(voter, (choice, sequence));
            }
            Change::Remove(vote) => {
                let place = self.processing.iter().position(|taken| *taken == vote);
                place.map(|place| self.processing.remove(place));
            }
        }
    }

    fn command<T>(&mut self, carry_out: impl FnOnce(&mut Self) -> T) -> Result<T, Killed> {
        match &mut self.kill {
            Some(Kill { after: 0, carried_out }) => {
                let reaches_the_store = *carried_out;
                self.kill = None;
                if reaches_the_store {
                    carry_out(self);
                }
                Err(Killed)
            }
            kill => {
                kill.iter_mut().for_each(|kill| kill.after -= 1);
                Ok(carry_out(self))
            }
        }
    }
}
