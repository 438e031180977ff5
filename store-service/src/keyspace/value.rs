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

/// What a key holds as commands change it: a value of one type, or any value.
pub(super) trait Content {
    /// The content of a value, if it is of this type.
    fn of(value: &mut Value) -> Option<&mut Self>;

    /// What it takes, without its key.
    fn weight(&self) -> Weight;

    /// Whether nothing is left in it, so that its key must go.
    fn is_empty(&self) -> bool;
}

impl Content for Value {
    fn of(value: &mut Value) -> Option<&mut Self> {
        Some(value)
    }

    fn weight(&self) -> Weight {
        match self {
            Self::String(bytes) => {
                Weight { memory: allocation_bytes(bytes.len()), snapshot: write::bulk_bytes(bytes.len()) }
            }
            Self::List(list) => list.weight(),
            Self::Hash(hash) => hash.weight(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::String(_) => false,
            Self::List(list) => Content::is_empty(&**list),
            Self::Hash(hash) => Content::is_empty(&**hash),
        }
    }
}

impl Content for Sequence {
    fn of(value: &mut Value) -> Option<&mut Self> {
        if let Value::List(list) = value { Some(list) } else { None }
    }

    fn weight(&self) -> Weight {
        boxed_weight::<Self>(self.memory(), self.snapshot_bytes())
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Content for Fields {
    fn of(value: &mut Value) -> Option<&mut Self> {
        if let Value::Hash(hash) = value { Some(hash) } else { None }
    }

    fn weight(&self) -> Weight {
        boxed_weight::<Self>(self.memory(), self.snapshot_bytes())
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a value takes that is in a box, with this memory of its own and this in a snapshot.
fn boxed_weight<T>(memory: usize, snapshot: usize) -> Weight {
    Weight { memory: allocation_bytes(size_of::<T>()) + memory, snapshot }
}

/// What a key takes without its value.
pub(super) fn key_weight(key: &[u8]) -> Weight {
    Weight {
        memory: KEY_BYTES + allocation_bytes(key.len()),
        snapshot: KEY_SNAPSHOT_BYTES + write::bulk_bytes(key.len()),
    }
}
