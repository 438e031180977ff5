//! The position of a snapshot, from which it continues.

use alloc::boxed::Box;

use super::item::Position;

/// How far a snapshot has come.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    /// All strings are written; what comes now are lists and hashes.
    pub(super) past_strings: bool,
    /// The last key that was begun.
    pub(super) key: Option<Box<[u8]>>,
    /// How far that one has come; none when it is complete.
    pub(super) place: Option<Place>,
}

/// Where the next item of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the first item, and the key itself must be begun again.
    Start,
    /// The first one of this page of a list, or of those behind it.
    Page(i64),
    /// After this number of fields of a small hash.
    Field(usize),
    /// At this position of a large hash, after this number of fields with the same position.
    Position(Position, usize),
}
