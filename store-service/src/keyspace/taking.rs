//! A running snapshot: its position, and the changes to data that it already contains.

use wire::Buffer;
use wire::resp::{COMMAND_BYTES_MAX, write};

use super::cursor::{Cursor, Place};

/// A snapshot under way.
#[derive(Debug)]
pub(super) struct Taking {
    pub(super) cursor: Cursor,
    /// All keys are written.
    pub(super) complete: bool,
    /// Commands for what is written and has changed since the last piece.
    pub(super) changes: Buffer,
    /// By how much the snapshot has become longer since it was begun, at most.
    pub(super) growth: usize,
    /// A change could not be told: what is written is of no use.
    pub(super) failed: bool,
}

impl Taking {
    /// Whether a string at this key would not be written any more.
    pub(super) fn has_passed(&self, key: &[u8]) -> bool {
        self.complete
            || self.cursor.past_strings
            || self.cursor.key.as_deref().is_some_and(|last| key <= last)
    }

    /// Whether a list or a hash is written, or a part of it.
    pub(super) fn is_written(&self, key: &[u8]) -> bool {
        match self.cursor.key.as_deref() {
            _ if self.complete => true,
            _ if !self.cursor.past_strings => false,
            None => false,
            Some(last) if last == key => self.cursor.place != Some(Place::Start),
            Some(last) => key < last,
        }
    }

    /// Whether a key is the one of which a part is written.
    pub(super) fn is_at(&self, key: &[u8]) -> bool {
        self.cursor.place.is_some() && self.cursor.key.as_deref() == Some(key)
    }

    #[inline(never)]
    pub(super) fn written_before(&self, key: &[u8]) -> i64 {
        match self.cursor.place {
            _ if !self.is_written(key) => i64::MIN,
            Some(Place::Page(page)) if self.is_at(key) => page,
            _ => i64::MAX,
        }
    }

    /// All of a key counts as written.
    pub(super) fn leave(&mut self, key: &[u8]) {
        if self.is_at(key) {
            self.cursor.place = None;
        }
    }

    pub(super) fn tell<'a>(&mut self, name: &[u8], mut args: impl ExactSizeIterator<Item = &'a [u8]>) {
        let start = self.changes.len();
        let out = &mut self.changes;
        let written = write::array(out, 1 + args.len()).is_ok()
            && write::bulk(out, name).is_ok()
            && args.all(|argument| write::bulk(out, argument).is_ok());
        let bytes = self.changes.len() - start;
        self.growth += bytes;
        // A key's name may be too long for another command than the one that came.
        self.failed |= !written || bytes > COMMAND_BYTES_MAX;
    }
}
