//! A snapshot: the whole keyspace as a minimal sequence of commands, in pieces.
//!
//! Lists and hashes are written as `KEY <command> <key>` and any number of `ADD <item>...`, which only the log knows.
//! So the name of a key is written once, however long it is, and a snapshot never takes more than
//! [`Keyspace::snapshot_bytes`].
//!
//! Strings come before lists and hashes. So if the end of a snapshot is lost and the operator accepts that, a counter
//! is never behind the data that was numbered with it. Otherwise keys come in their order, the elements of a list in
//! the order of their pages, and the fields of a large hash in the order of their positions. So the data may change
//! between two pieces: changes to written data are added as commands (`changes.rs`), and data that is not written yet
//! is written later in its new state.

use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Unbounded};

use wire::Buffer;
use wire::resp::{ARGS_MAX, COMMAND_BYTES_MAX, write};

use super::Keyspace;
use super::cursor::{Cursor, Place};
use super::item::{Item, Position};
use super::page::PAGE_BYTES;
use super::sequence::Sequence;
use super::value::Value;

/// Begins a list or a hash.
pub const BEGIN: &[u8] = b"KEY";
/// Adds to the one that was begun last.
pub const ADD: &[u8] = b"ADD";
/// What `ADD` takes beyond its items: the array's header and the name.
const ADD_BYTES: usize = b"*1024\r\n".len() + b"$3\r\nADD\r\n".len();
/// How many commands a page's elements may be spread over beside the one that is begun.
const PAGE_COMMANDS: usize = PAGE_BYTES / (ARGS_MAX - 1) + 1;

impl Keyspace {
    /// Writes the commands from `cursor` on, as many as fit, each whole; says whether all is written.
    ///
    /// `out` must have room for [`COMMAND_BYTES_MAX`] when it is empty.
    pub fn write_commands(&self, cursor: &mut Cursor, out: &mut Buffer) -> bool {
        loop {
            let begun = cursor.key.as_ref().zip(cursor.place);
            let begun = begun.and_then(|(key, place)| Some((place, (&**key, self.entries.get(key)?))));
            let next = match begun {
                Some((Place::Start, again)) => Some(again),
                Some((place, (_, value))) => {
                    cursor.place = value.write_items(place, out);
                    if cursor.place.is_some() {
                        return false;
                    }
                    self.behind(cursor)
                }
                None => self.behind(cursor),
            };
            let Some((key, value)) = next else {
                if cursor.past_strings {
                    return true;
                }
                *cursor = Cursor { past_strings: true, ..Cursor::default() };
                continue;
            };
            let command: &[&[u8]] = match value {
                Value::String(bytes) => &[b"SET", key, bytes],
                Value::List(_) => &[BEGIN, b"RPUSH", key],
                Value::Hash(_) => &[BEGIN, b"HSET", key],
            };
            if write::write_command(out, command).is_err() {
                return false;
            }
            (cursor.key, cursor.place) = (Some(key.into()), Some(Place::Page(i64::MIN)));
        }
    }

    fn behind(&self, cursor: &Cursor) -> Option<(&[u8], &Value)> {
        let behind = cursor.key.as_deref().map_or(Unbounded, Excluded);
        let is_due = |value: &Value| matches!(value, Value::String(_)) != cursor.past_strings;
        let mut behind = self.entries.range::<[u8], _>((behind, Unbounded));
        behind.find(|(_, value)| is_due(value)).map(|(key, value)| (&**key, value))
    }
}

impl Value {
    /// Writes items from a place on, as far as there is room; the place of the next one, if that was not all.
    fn write_items(&self, place: Place, out: &mut Buffer) -> Option<Place> {
        let hash = match self {
            Self::String(_) => return None,
            Self::List(list) => {
                return write_pages(out, list, if let Place::Page(page) = place { page } else { i64::MIN });
            }
            Self::Hash(hash) => hash,
        };
        match (hash.ordered(), hash.hashed(), place) {
            (Some(fields), _, place) => {
                let passed = if let Place::Field(passed) = place { passed } else { 0 };
                let fields = fields.iter().enumerate().skip(passed);
                write_fields(out, fields.filter_map(|(at, body)| Some((Place::Field(at), Item::read(body)?))))
            }
            (_, Some(buckets), Place::Position(from, passed)) => {
                write_fields(out, with_places(from, buckets.from(from)).skip(passed))
            }
            (_, Some(buckets), _) => write_fields(out, with_places(0, buckets.from(0))),
            (None, None, _) => None,
        }
    }
}

fn pair(item: Item<'_>) -> [&[u8]; 2] {
    [item.field, item.value]
}

/// Fields with their places: a position, and the number of fields before them with the same position.
fn with_places<'a>(
    from: Position,
    items: impl Iterator<Item = Item<'a>>,
) -> impl Iterator<Item = (Place, Item<'a>)> {
    items.scan((from, 0), |(position, passed), item| {
        *passed = if item.position == *position { *passed + 1 } else { 1 };
        *position = item.position;
        Some((Place::Position(item.position, *passed - 1), item))
    })
}

/// Writes fields as far as there is room; the place of the next one.
fn write_fields<'a>(out: &mut Buffer, items: impl Iterator<Item = (Place, Item<'a>)>) -> Option<Place> {
    let mut adder = Adder::new(out);
    for (place, item) in items {
        if !adder.add(&pair(item)) {
            return adder.stop_at(place);
        }
    }
    adder.end()
}

/// Writes whole pages of a list as far as there is room; the place of the next one.
fn write_pages(out: &mut Buffer, list: &Sequence, from: i64) -> Option<Place> {
    let mut adder = Adder::new(out);
    for (number, page) in list.pages_from(from) {
        if !adder.has_room_for(page.records().map(|record| write::bulk_bytes(record.body.len())).sum()) {
            return adder.stop_at(Place::Page(number));
        }
        for record in page.records() {
            adder.add(&[record.body]);
        }
    }
    adder.end()
}

fn bytes_of(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| write::bulk_bytes(part.len())).sum()
}

/// Gathers items into `ADD` commands.
struct Adder<'out, 'a> {
    out: &'out mut Buffer,
    /// The next command.
    gathered: Vec<&'a [u8]>,
    /// Bytes of its items.
    bytes: usize,
}

impl<'out, 'a> Adder<'out, 'a> {
    fn new(out: &'out mut Buffer) -> Self {
        Self { out, gathered: Vec::from([ADD]), bytes: 0 }
    }

    /// Whether items of this total size have room, however they are split over commands.
    fn has_room_for(&self, bytes: usize) -> bool {
        self.bytes + bytes + (1 + PAGE_COMMANDS) * ADD_BYTES <= self.out.space()
    }

    /// Adds an item; `false` when it has no room.
    fn add(&mut self, parts: &[&'a [u8]]) -> bool {
        let bytes = bytes_of(parts);
        let full = self.gathered.len() + 2 > ARGS_MAX || self.bytes + bytes + ADD_BYTES > COMMAND_BYTES_MAX;
        if full {
            self.write();
        }
        let fits = self.bytes + bytes + ADD_BYTES <= self.out.space();
        if fits {
            self.gathered.extend_from_slice(parts);
            self.bytes += bytes;
        }
        fits
    }

    fn write(&mut self) {
        if self.gathered.len() > 1 {
            // Only what has room was gathered.
            let _ = write::write_command(self.out, &self.gathered);
        }
        self.gathered.truncate(1);
        self.bytes = 0;
    }

    fn stop_at(mut self, place: Place) -> Option<Place> {
        self.write();
        Some(place)
    }

    fn end(mut self) -> Option<Place> {
        self.write();
        None
    }
}
