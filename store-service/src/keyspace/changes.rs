//! Changes during a snapshot.
//!
//! A snapshot is written in pieces, and the data changes in between. If data changes that is already written, the
//! change is written as a command between the pieces. Executing everything in order then gives the data at the end of
//! the snapshot. Data that is not written yet needs no command. Without a snapshot, nothing is written.

use wire::Buffer;

use super::Keyspace;
use super::cursor::{Cursor, Place};
use super::taking::Taking;
use super::value::{Content as _, Value, Weight, key_weight};

/// Most bytes of changes between two pieces. Clients are held long before; but one transaction may move much.
const CHANGES_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A change could not be told, so the snapshot is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotFailed;

impl Keyspace {
    /// Begins a snapshot; one that is under way ends.
    pub fn begin_snapshot(&mut self) {
        let changes = Buffer::new(CHANGES_BYTES_MAX);
        self.taking =
            Some(Taking { cursor: Cursor::default(), complete: false, changes, growth: 0, failed: false });
    }

    /// Ends the snapshot that is under way, if one is.
    pub fn end_snapshot(&mut self) {
        self.taking = None;
    }

    /// Takes the changes since the last piece.
    ///
    /// # Errors
    /// When one of them could not be told, or no snapshot is under way.
    pub fn take_changes(&mut self) -> Result<Buffer, SnapshotFailed> {
        let taking = self.taking.as_mut().filter(|taking| !taking.failed).ok_or(SnapshotFailed)?;
        Ok(core::mem::replace(&mut taking.changes, Buffer::new(CHANGES_BYTES_MAX)))
    }

    /// Writes the next piece, behind the changes that were taken; whether it was the last.
    pub fn write_piece(&mut self, out: &mut Buffer) -> bool {
        let Some(mut taking) = self.taking.take() else { return true };
        taking.complete = taking.complete || self.write_commands(&mut taking.cursor, out);
        self.taking.insert(taking).complete
    }

    /// Bytes of the changes since the last piece.
    pub fn changes_bytes(&self) -> usize {
        self.taking.as_ref().map_or(0, |taking| taking.changes.len())
    }

    /// By how many bytes the snapshot under way has become longer than the data were at its beginning, at most.
    pub fn snapshot_growth(&self) -> usize {
        self.taking.as_ref().map_or(0, |taking| taking.growth)
    }

    /// The elements of a list that are written are those of the pages before this one.
    #[inline]
    pub(super) fn written_before(&self, key: &[u8]) -> i64 {
        self.taking.as_ref().map_or(i64::MIN, |taking| taking.written_before(key))
    }

    /// Tells a change of what is written.
    pub(super) fn tell<'a>(&mut self, name: &[u8], args: impl ExactSizeIterator<Item = &'a [u8]>) {
        if let Some(taking) = &mut self.taking {
            taking.tell(name, args);
        }
    }

    /// Tells that a key holds another value, whatever it held, or is gone.
    pub(super) fn tell_whole(&mut self, key: &[u8], value: Option<&[u8]>) {
        let Some(taking) = &mut self.taking else { return };
        if taking.has_passed(key) {
            taking.leave(key);
            match value {
                Some(value) => taking.tell(b"SET", [key, value].into_iter()),
                None => taking.tell(b"DEL", [key].into_iter()),
            }
        }
    }

    /// Tells that nothing is left.
    pub(super) fn tell_cleared(&mut self) {
        if let Some(taking) = &mut self.taking {
            taking.cursor.place = None;
            taking.tell(b"FLUSHALL", [].into_iter());
        }
    }

    /// Tells a change of a hash's fields that is the same when it is carried out twice; to be called before it. A small
    /// hash of which a part is written begins again, for the sake of the order of its fields.
    pub(super) fn tell_fields<'a>(
        &mut self,
        name: &[u8],
        key: &[u8],
        args: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        let Some(taking) = &mut self.taking else { return };
        if !taking.is_written(key) {
            return;
        }
        let value = self.entries.get(key);
        match value {
            Some(Value::Hash(hash)) if taking.is_at(key) && hash.ordered().is_some() => {
                taking.growth += value.map_or(0, |value| value.weight().snapshot) + key_weight(key).snapshot;
                taking.cursor.place = Some(Place::Start);
                taking.tell(b"DEL", [key].into_iter());
            }
            _ => {
                if let Some(Place::Position(_, passed)) = &mut taking.cursor.place {
                    // Those that it counted may be others now.
                    *passed = 0;
                }
                taking.tell(name, args);
            }
        }
    }

    /// Counts what is written in addition, if a value has become longer.
    pub(super) fn note_growth(&mut self, before: Weight, after: Weight) {
        if let Some(taking) = &mut self.taking {
            taking.growth += after.snapshot.saturating_sub(before.snapshot);
        }
    }
}
