//! How much data may grow, and whether memory allows it.
//!
//! A command counts as growing unless it is known not to grow: a new command is refused like a push.

use alloc::format;
use alloc::string::String;

use wire::resp::{ARGS_MAX, Args, COMMAND_BYTES_MAX, Digits, parse_integer};

use super::Keyspace;
use super::allocation::{allocation_bytes, tree_bytes};
use super::page::PAGE_BYTES;
use super::value::{KEY_BYTES, Value, key_weight};
use crate::command::Command;
use crate::failure::Failure;
use crate::limits::{MEMORY_MOVES_SIXTEENTHS, MEMORY_RESULTS_SIXTEENTHS};

/// What a new key takes beyond its name: the root of a list's or a hash's tree, and what points to it.
const NEW_KEY_BYTES: usize = tree_bytes(1) + 512;
/// What an element, or half of a field, takes beyond nine eighths of its bytes.
const ITEM_BYTES: usize = 64;
/// What a list may take beyond its elements when one is added: a page, and its place in the tree.
const LIST_STEP_BYTES: usize = allocation_bytes(PAGE_BYTES) + 256;
/// What a hash may take beyond its fields when one is added: a row of buckets that is begun, and slack.
const HASH_STEP_BYTES: usize = 1024;

/// The most that any one request makes data grow by.
const REQUEST_GROWTH_MAX: usize =
    NEW_KEY_BYTES + KEY_BYTES + 2 * COMMAND_BYTES_MAX + ARGS_MAX * ITEM_BYTES + 2 * LIST_STEP_BYTES;

/// How a command makes data grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    /// Not at all.
    Never,
    /// By what was in a list before.
    Moves,
    /// By what a queue becomes when it is worked off.
    Results,
    /// By what is new.
    Adds,
}

impl Growth {
    fn of(command: Command) -> Self {
        match command {
            Command::LPop | Command::RPop | Command::BLPop | Command::BRPop => Self::Never,
            Command::LRem | Command::HDel | Command::Del | Command::FlushAll => Self::Never,
            Command::LMove | Command::BLMove => Self::Moves,
            Command::HSet | Command::HMSet | Command::HIncrBy => Self::Results,
            Command::Incr | Command::IncrBy => Self::Results,
            other if other.is_write() => Self::Adds,
            _ => Self::Never,
        }
    }
}

impl Keyspace {
    /// Whether memory allows any one command, whatever it is: mostly there is room enough.
    #[inline]
    pub fn admits_any(&self) -> bool {
        self.bytes() + REQUEST_GROWTH_MAX <= self.bytes_max
    }

    /// Whether memory allows the commands, all of them together; to be asked before [`Keyspace::execute`].
    ///
    /// As in Redis what adds is refused once there is more than `MAXMEMORY`, whatever it is. What a queue becomes
    /// may take some of a reserve, and moves from list to list all of it, so that a queue that has filled the memory
    /// can be worked off. Nothing is let in that could take more than [`Keyspace::bytes_limit`].
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`].
    pub fn admit<'a>(&self, commands: impl Iterator<Item = (Command, Args<'a>)>) -> Result<(), Failure> {
        let mut bytes = self.bytes();
        for (command, args) in commands {
            let growth = Growth::of(command);
            if growth == Growth::Never {
                continue;
            }
            let most = growth_max(growth, args);
            if bytes + most <= self.bytes_max {
                bytes += most;
                continue;
            }
            if self.is_in_place(growth, command, args) {
                continue;
            }
            let key = &args[if growth == Growth::Moves { 2 } else { 1 }];
            bytes += most - if self.contains(key) { key_bytes(key) } else { 0 };
            if self.bytes() > self.limit_of(growth) || bytes > self.bytes_limit() {
                return Err(Failure::OutOfMemory);
            }
        }
        Ok(())
    }

    /// Whether memory allows an element to be moved to the list at `destination`.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`].
    pub fn admit_move(&self, destination: &[u8]) -> Result<(), Failure> {
        let fits = || self.bytes() + move_growth_max(destination) <= self.bytes_limit();
        if self.contains(destination) || fits() { Ok(()) } else { Err(Failure::OutOfMemory) }
    }

    /// Lowers the limit, if necessary, so that data uses at most this number of bytes; returns the new limit.
    pub fn fit_into(&mut self, bytes: usize) -> Option<usize> {
        if self.bytes_limit() <= bytes {
            return None;
        }
        self.bytes_max = bytes / (16 + MEMORY_MOVES_SIXTEENTHS) * 16;
        Some(self.bytes_max)
    }

    /// How full memory is, in words.
    pub fn fullness(&self) -> String {
        const MB: usize = 1024 * 1024;
        let tenths = |bytes: usize| format!("{}.{}", bytes / MB, bytes % MB * 10 / MB);
        format!("memory has {} MB of {} MB", tenths(self.bytes()), tenths(self.bytes_max))
    }

    /// What data never exceed by what clients do: `MAXMEMORY` and the reserve.
    pub fn bytes_limit(&self) -> usize {
        self.limit_of(Growth::Moves)
    }

    /// Whether what adds is refused.
    pub fn is_full(&self) -> bool {
        self.bytes() > self.bytes_max
    }

    /// How much there may be before a command, for it to be let in.
    fn limit_of(&self, growth: Growth) -> usize {
        let sixteenths = match growth {
            Growth::Results => MEMORY_RESULTS_SIXTEENTHS,
            Growth::Moves => MEMORY_MOVES_SIXTEENTHS,
            Growth::Adds | Growth::Never => 0,
        };
        self.bytes_max + self.bytes_max / 16 * sixteenths
    }

    /// Whether all that a command sets is there already and takes as much, or what it moves goes from one list
    /// that there is to another: a list has no more than a page or two that are not full.
    fn is_in_place(&self, growth: Growth, command: Command, args: Args<'_>) -> bool {
        match growth {
            Growth::Never => true,
            Growth::Moves => self.contains(&args[2]),
            Growth::Results => self.sets_in_place(command, args),
            Growth::Adds => false,
        }
    }

    fn sets_in_place(&self, command: Command, args: Args<'_>) -> bool {
        let fits = |old: &[u8], more: i64| {
            let sum = parse_integer(old).and_then(|value| value.checked_add(more));
            sum.is_none_or(|sum| Digits::new(sum).as_bytes().len() <= old.len())
        };
        let more = |at: usize| args.get(at).map_or(Some(1), parse_integer).unwrap_or_default();
        match (self.entries.get(&args[1]), command) {
            (Some(Value::Hash(hash)), Command::HIncrBy) => {
                hash.get(self.hash, &args[2]).is_some_and(|old| fits(old, more(3)))
            }
            (Some(Value::Hash(hash)), _) => {
                let mut pairs = (2..args.len().saturating_sub(1)).step_by(2);
                pairs.all(|at| {
                    hash.get(self.hash, &args[at]).is_some_and(|old| old.len() == args[at + 1].len())
                })
            }
            (Some(Value::String(old)), Command::Incr | Command::IncrBy) => fits(old, more(2)),
            (Some(_), _) => true,
            (None, _) => false,
        }
    }
}

/// What a key takes that is not there yet.
fn key_bytes(key: &[u8]) -> usize {
    key_weight(key).memory + NEW_KEY_BYTES
}

/// The same for a move to a key: what is moved was there before, and what it leaves may be given back a page later.
fn move_growth_max(destination: &[u8]) -> usize {
    key_bytes(destination) + 2 * LIST_STEP_BYTES
}

/// By how much a command makes data grow, at most, whatever they are.
fn growth_max(growth: Growth, args: Args<'_>) -> usize {
    let items = args.iter().skip(2).map(|item| item.len() + item.len() / 8 + ITEM_BYTES);
    match growth {
        Growth::Never => 0,
        Growth::Moves => move_growth_max(&args[2]),
        Growth::Results => key_bytes(&args[1]) + items.sum::<usize>() + HASH_STEP_BYTES,
        Growth::Adds => key_bytes(&args[1]) + items.sum::<usize>() + LIST_STEP_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use wire::resp::ArgsBuffer;

    use super::*;

    #[test]
    fn no_request_makes_data_grow_more_than_any_may() {
        let long = [b'v'; COMMAND_BYTES_MAX];
        let many: Vec<&[u8]> = long.chunks(COMMAND_BYTES_MAX / ARGS_MAX).collect();
        let requests: [&[&[u8]]; 4] = [&[b"", &long, b""], &[b"", b"", &long], &[&b""[..]; ARGS_MAX], &many];
        for request in requests {
            let mut args = ArgsBuffer::new();
            args.push(request.iter().copied());
            let args = args.get(0).expect("pushed");
            for growth in [Growth::Never, Growth::Moves, Growth::Results, Growth::Adds] {
                assert!(growth_max(growth, args) <= REQUEST_GROWTH_MAX, "{growth:?}");
            }
        }
    }
}
