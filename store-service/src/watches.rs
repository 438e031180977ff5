//! The keys that each client watches, and whether they have changed.
//!
//! It runs no transaction. A change of an unwatched key costs one comparison.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use kernel_app::ConnectionId;
use wire::resp::Args;

use crate::command::Command;
use crate::failure::Failure;
use crate::keyspace::Keyspace;
use crate::limits::WATCH_BYTES_MAX;

/// What a watched key takes in memory beyond its name, which is kept twice; at most.
const KEY_BYTES: usize = 240;

/// The keys of one client.
#[derive(Debug, Default)]
struct Watcher {
    keys: Vec<Box<[u8]>>,
    /// One of them has changed.
    stale: bool,
}

/// All clients that watch keys.
#[derive(Debug, Default)]
pub struct Watches {
    watchers: BTreeMap<ConnectionId, Watcher>,
    keys: BTreeMap<Box<[u8]>, Vec<ConnectionId>>,
    bytes: usize,
}

impl Watches {
    /// `WATCH`: adds keys to those of a client.
    ///
    /// # Errors
    /// When the keys of all clients together would take more than [`WATCH_BYTES_MAX`]; those before are watched.
    pub fn add<'a>(
        &mut self,
        id: ConnectionId,
        mut keys: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Failure> {
        keys.try_for_each(|key| self.add_one(id, key))
    }

    fn add_one(&mut self, id: ConnectionId, key: &[u8]) -> Result<(), Failure> {
        if self.keys.get(key).is_some_and(|ids| ids.contains(&id)) {
            return Ok(());
        }
        let bytes = bytes_of(key);
        if self.bytes + bytes > WATCH_BYTES_MAX {
            return Err(Failure::TooManyWatches);
        }
        self.bytes += bytes;
        self.keys.entry(key.into()).or_default().push(id);
        self.watchers.entry(id).or_default().keys.push(key.into());
        Ok(())
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// What the keys of all clients take in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// `UNWATCH`: a client watches nothing any more.
    pub fn forget(&mut self, id: ConnectionId) {
        let Some(watcher) = self.watchers.remove(&id) else { return };
        for key in watcher.keys {
            self.bytes -= bytes_of(&key);
            let Some(ids) = self.keys.get_mut(&key) else { continue };
            ids.retain(|other| *other != id);
            if ids.capacity() > 4 * ids.len() + 4 {
                ids.shrink_to_fit();
            }
            if ids.is_empty() {
                self.keys.remove(&key);
            }
        }
    }

    /// Whether something that the client watches has changed since it began to watch.
    pub fn is_stale(&self, id: ConnectionId) -> bool {
        self.watchers.get(&id).is_some_and(|watcher| watcher.stale)
    }

    /// A key has changed.
    pub fn touch(&mut self, key: &[u8]) {
        // Mostly nobody watches anything.
        if self.watchers.is_empty() {
            return;
        }
        let Self { watchers, keys, .. } = self;
        for id in keys.get(key).into_iter().flatten() {
            watchers.entry(*id).and_modify(|watcher| watcher.stale = true);
        }
    }

    /// Who watches what a command is about to remove, of which nothing tells once it is carried out. To be
    /// given to [`Watches::spoil`] when the command has changed something.
    #[inline(never)]
    pub fn doomed(&self, command: Command, args: Args<'_>, keyspace: &Keyspace) -> Vec<ConnectionId> {
        let mut ids = Vec::new();
        match command {
            Command::Del => {
                let removed = args.iter().skip(1).filter(|key| keyspace.contains(key));
                ids.extend(removed.filter_map(|key| self.keys.get(key)).flatten());
            }
            Command::FlushAll => {
                let removed = self.keys.iter().filter(|(key, _)| keyspace.contains(key));
                ids.extend(removed.flat_map(|(_, ids)| ids));
            }
            _ => {}
        }
        ids
    }

    /// Something that these clients watch has changed.
    pub fn spoil(&mut self, ids: Vec<ConnectionId>) {
        for id in ids {
            self.watchers.entry(id).and_modify(|watcher| watcher.stale = true);
        }
    }
}

fn bytes_of(key: &[u8]) -> usize {
    KEY_BYTES + 2 * key.len()
}
