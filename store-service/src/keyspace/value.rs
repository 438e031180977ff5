//! A key's value and its size in memory. It does not change values.

use alloc::boxed::Box;

use wire::resp::write;

use super::allocation::{TREE_ENTRY_BYTES, allocation_bytes};
use super::fields::Fields;
use super::sequence::Sequence;

/// What a key takes in the tree of keys, whose nodes are half full at least.
pub(super) const KEY_BYTES: usize = TREE_ENTRY_BYTES;
/// What a key takes in a snapshot beyond its name: the words before it, and a header of its items.
const KEY_SNAPSHOT_BYTES: usize = 64;

/// What something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// Bytes of memory, allocations included.
    pub memory: usize,
    /// Bytes of the commands that make it, at most.
    pub snapshot: usize,
}

impl Weight {
    /// Counts what weighed `before` and weighs `after` now.
    pub(super) fn exchange(&mut self, before: Self, after: Self) {
        self.memory = self.memory + after.memory - before.memory;
        self.snapshot = self.snapshot + after.snapshot - before.snapshot;
    }
}

/// What a key holds.
#[derive(Debug)]
pub(super) enum Value {
    /// Bytes.
    String(Box<[u8]>),
    /// Never empty: the key goes with the last element.
    List(Box<Sequence>),
    /// Never empty: the key goes with the last field.
    Hash(Box<Fields>),
}

impl Value {
    /// What the value takes, without its key.
    pub(super) fn weight(&self) -> Weight {
        match self {
            Self::String(bytes) => {
                Weight { memory: allocation_bytes(bytes.len()), snapshot: write::bulk_bytes(bytes.len()) }
            }
            Self::List(list) => Weight {
                memory: allocation_bytes(size_of::<Sequence>()) + list.memory(),
                snapshot: list.snapshot_bytes(),
            },
            Self::Hash(hash) => Weight {
                memory: allocation_bytes(size_of::<Fields>()) + hash.memory(),
                snapshot: hash.snapshot_bytes(),
            },
        }
    }

    /// Whether nothing is left in it, so that its key must go.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::String(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
        }
    }
}

/// What a key takes without its value.
pub(super) fn key_weight(key: &[u8]) -> Weight {
    Weight {
        memory: KEY_BYTES + allocation_bytes(key.len()),
        snapshot: KEY_SNAPSHOT_BYTES + write::bulk_bytes(key.len()),
    }
}
