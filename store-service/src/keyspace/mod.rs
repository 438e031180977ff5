//! Keys and their values, and the commands on them.
//!
//! This is a pure data structure: it knows no connection, no clock and no blocking. The same commands in the same
//! order give the same keyspace, so commands that [`Keyspace::execute`] has executed can be logged and replayed.
//!
//! Everything that grows does so in pieces (pages, buckets, tree nodes), so no change waits for a table to be copied,
//! and it frees memory when it shrinks. Allocated memory is counted, whether it is used or not.

mod allocation;
mod buckets;
mod changes;
mod cursor;
mod end;
mod fields;
mod growth;
mod hash;
mod item;
mod list;
mod page;
mod secret_hash;
mod sequence;
mod snapshot;
mod string;
mod taking;
mod value;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use kernel_app::Usage;
use wire::Buffer;
use wire::resp::{Args, write};

use crate::command::Command;
use crate::failure::Failure;
pub use changes::SnapshotFailed;
pub use cursor::Cursor;
pub use end::End;
use secret_hash::SecretHash;
pub use snapshot::{ADD, BEGIN};
use taking::Taking;
use value::{Content, Value, Weight, key_weight};

/// Space for the reply of a command that changes something and tells a number or a status.
const SHORT_REPLY_BYTES: usize = 64;

/// All keys of the store.
#[derive(Debug)]
pub struct Keyspace {
    entries: BTreeMap<Box<[u8]>, Value>,
    hash: SecretHash,
    weight: Weight,
    bytes_max: usize,
    loadable_bytes: usize,
    changes: u64,
    /// The snapshot under way.
    taking: Option<Taking>,
}

impl Keyspace {
    /// An empty keyspace for at most `bytes_max` bytes, of which `secret` keeps the hashes unpredictable.
    pub fn new(bytes_max: usize, secret: [u64; 2]) -> Self {
        let (entries, weight) = (BTreeMap::new(), Weight::default());
        Self {
            entries,
            hash: SecretHash(secret),
            weight,
            bytes_max,
            loadable_bytes: usize::MAX,
            changes: 0,
            taking: None,
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Memory of keys and values: what is allocated, in use or not.
    pub fn bytes(&self) -> usize {
        self.weight.memory
    }

    /// Bytes of the commands that make all this, as a snapshot has them, at most.
    pub fn snapshot_bytes(&self) -> usize {
        self.weight.snapshot
    }

    /// The limit of [`Keyspace::bytes`], beyond which pushes are refused.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// How much of the memory is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        report(Usage::new("bytes of keys and values", self.bytes(), self.bytes_limit()));
    }

    /// Sets how many bytes may be read from a disk: what the machine has, as far as it is known.
    pub fn set_loadable_bytes(&mut self, bytes: usize) {
        self.loadable_bytes = bytes;
    }

    /// How many bytes may be read from a disk, whatever [`Keyspace::bytes_max`] is.
    pub fn loadable_bytes(&self) -> usize {
        self.loadable_bytes
    }

    /// Whether there is such a key.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.entries.contains_key(key)
    }

    /// How many commands have changed something.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Drops all keys.
    pub fn clear(&mut self) {
        self.entries = BTreeMap::new();
        self.weight = Weight::default();
    }

    /// Length of the list at `key`; zero when there is none.
    pub fn list_len(&self, key: &[u8]) -> usize {
        match self.entries.get(key) {
            Some(Value::List(list)) => list.len(),
            _ => 0,
        }
    }

    /// Length of all lists together whose keys begin with `prefix`. Looks at every key.
    pub fn lists_len(&self, prefix: &[u8]) -> usize {
        let lists = self.entries.iter().filter(|(key, _)| key.starts_with(prefix));
        lists.map(|(_, value)| if let Value::List(list) = value { list.len() } else { 0 }).sum()
    }

    /// Number of fields of the hash at `key`; zero when there is none.
    pub fn hash_len(&self, key: &[u8]) -> usize {
        match self.entries.get(key) {
            Some(Value::Hash(hash)) => hash.len(),
            _ => 0,
        }
    }

    /// Carries out a data command, whose number of arguments is right, and writes its reply.
    ///
    /// # Errors
    /// When it is refused: nothing has changed, and part of a reply may have been written.
    pub fn execute(&mut self, command: Command, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        if out.space() < SHORT_REPLY_BYTES {
            return Err(Failure::ReplyTooLong);
        }
        match command {
            Command::RPush => self.push(args, End::Right, out),
            Command::LPush => self.push(args, End::Left, out),
            Command::LPop => self.pop(args, End::Left, out),
            Command::RPop => self.pop(args, End::Right, out),
            Command::LLen => self.llen(args, out),
            Command::LRange => self.lrange(args, out),
            Command::LRem => self.lrem(args, out),
            Command::LMove => self.lmove(args, out),
            Command::HSet => self.hset(args, out),
            Command::HMSet => self.hmset(args, out),
            Command::HGet => self.hget(args, out),
            Command::HMGet => self.hmget(args, out),
            Command::HGetAll => self.hgetall(args, out),
            Command::HLen => self.hlen(args, out),
            Command::HIncrBy => self.hincrby(args, out),
            Command::HDel => self.hdel(args, out),
            Command::Set => self.set(args, out),
            Command::Get => self.get(args, out),
            Command::Incr => self.incr(args, out),
            Command::IncrBy => self.incr_by(args, out),
            Command::Del => self.del(args, out),
            Command::Exists => self.exists(args, out),
            Command::Type => Ok(write::simple(out, self.type_of(&args[1]))?),
            Command::DbSize => Ok(write::length(out, self.len())?),
            Command::FlushAll => self.flush_all(args, out),
            _ => unreachable!("{command:?} is no data command"),
        }
    }

    fn del(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let removed = args.iter().skip(1).filter(|key| self.remove(key)).count();
        self.changes += u64::from(removed > 0);
        Ok(write::length(out, removed)?)
    }

    fn exists(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let found = args.iter().skip(1).filter(|key| self.contains(key)).count();
        Ok(write::length(out, found)?)
    }

    fn type_of(&self, key: &[u8]) -> &'static [u8] {
        match self.entries.get(key) {
            None => b"none",
            Some(Value::String(_)) => b"string",
            Some(Value::List(_)) => b"list",
            Some(Value::Hash(_)) => b"hash",
        }
    }

    fn flush_all(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let known = |mode: &[u8]| mode.eq_ignore_ascii_case(b"ASYNC") || mode.eq_ignore_ascii_case(b"SYNC");
        if args.len() > 2 || args.get(1).is_some_and(|mode| !known(mode)) {
            return Err(Failure::Syntax);
        }
        self.clear();
        self.tell_cleared();
        self.changes += 1;
        Ok(write::simple(out, b"OK")?)
    }

    /// Changes the content of the value at `key`, which is made by `new` if there is none, and goes if nothing is left
    /// in it. Counts what that changes.
    ///
    /// # Errors
    /// When the value has another type.
    fn change<C: Content, R>(
        &mut self,
        key: &[u8],
        new: impl FnOnce() -> Value,
        change: impl FnOnce(&mut C) -> R,
    ) -> Result<R, Failure> {
        let Some(value) = self.entries.get_mut(key) else {
            let mut value = new();
            let result = change(C::of(&mut value).ok_or(Failure::WrongType)?);
            if !value.is_empty() {
                self.add(key, value);
            }
            return Ok(result);
        };
        let content = C::of(value).ok_or(Failure::WrongType)?;
        let before = content.weight();
        let result = change(content);
        let (after, is_empty) = (content.weight(), content.is_empty());
        self.weight.exchange(before, after);
        self.note_growth(before, after);
        if is_empty {
            self.remove(key);
        }
        Ok(result)
    }

    /// Adds a key that is not there.
    fn add(&mut self, key: &[u8], value: Value) {
        self.weight.exchange(Weight::default(), key_weight(key));
        self.weight.exchange(Weight::default(), value.weight());
        self.note_growth(Weight::default(), key_weight(key));
        self.note_growth(Weight::default(), value.weight());
        self.entries.insert(key.into(), value);
    }

    /// Removes a key, if it is there.
    fn remove(&mut self, key: &[u8]) -> bool {
        let Some(value) = self.entries.remove(key) else { return false };
        self.weight.exchange(key_weight(key), Weight::default());
        self.weight.exchange(value.weight(), Weight::default());
        self.tell_whole(key, None);
        true
    }
}

#[cfg(test)]
mod tests;
