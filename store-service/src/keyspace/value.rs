//! A key's value and what it takes in memory. Does not change values.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use indexmap::IndexMap;

use super::SecretHash;

/// A list's elements.
pub(super) type List = VecDeque<Box<[u8]>>;
/// A hash's fields.
pub(super) type Hash = IndexMap<Box<[u8]>, Box<[u8]>, SecretHash>;

/// What an allocation takes beyond its bytes, rounding and bookkeeping together.
const ALLOCATION_BYTES: usize = 16;
/// What a key takes beyond its name and value: 104 and 10 in the tables, of which there are two, one
/// twice as large, while they grow.
pub(super) const KEY_BYTES: usize = 352 + 2 * ALLOCATION_BYTES;
/// What an element takes beyond its bytes: 16 in the list, of which there are two, one twice as large,
/// while it grows.
pub(super) const ELEMENT_BYTES: usize = 3 * 16 + ALLOCATION_BYTES;
/// What a field takes beyond its name and value: 40 and 10 in the tables; the larger one grows alone.
pub(super) const FIELD_BYTES: usize = 112 + 2 * ALLOCATION_BYTES;

/// What a key holds.
#[derive(Debug)]
pub(super) enum Value {
    /// Bytes.
    String(Box<[u8]>),
    /// Never empty: the key goes with the last element.
    List(List),
    /// Never empty: the key goes with the last field.
    Hash(Hash),
}

impl Value {
    /// Memory of the value, without [`KEY_BYTES`].
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::String(bytes) => ALLOCATION_BYTES + bytes.len(),
            Self::List(list) => list.iter().map(|element| element_bytes(element)).sum(),
            Self::Hash(hash) => hash.iter().map(|(field, value)| field_bytes(field, value)).sum(),
        }
    }
}

/// Memory of an element of a list.
pub(super) fn element_bytes(element: &[u8]) -> usize {
    ELEMENT_BYTES + element.len()
}

/// Memory of a field of a hash.
pub(super) fn field_bytes(field: &[u8], value: &[u8]) -> usize {
    FIELD_BYTES + field.len() + value.len()
}
