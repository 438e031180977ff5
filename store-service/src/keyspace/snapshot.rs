//! The whole keyspace as the fewest commands that make it, piece by piece.
//!
//! Lists and hashes are written as `KEY <command> <key>` and any number of `ADD <item>...`, which only the
//! log knows: so the name of a key is written once, however long it is, and a snapshot never takes more
//! than [`Keyspace::snapshot_bytes`].
//!
//! Strings come before lists and hashes: where the end of a snapshot is lost, as somebody has accepted, a counter is never
//! behind what was numbered by it. Otherwise keys come in their order, and the fields of a large hash in that of their positions, which no change disturbs:
//! what is there all the time is written, and whatever is not written when it changes is written as it is later.
//! The same does not hold inside of a list, or of a small hash, of which only a part is written.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Unbounded};

use wire::Buffer;
use wire::resp::{ARGS_MAX, COMMAND_BYTES_MAX, write};

use super::Keyspace;
use super::fields::{Item, Position};
use super::sequence::Sequence;
use super::value::Value;

/// Begins a list or a hash.
pub const BEGIN: &[u8] = b"KEY";
/// Adds to the one that was begun last.
pub const ADD: &[u8] = b"ADD";
/// What `ADD` takes beyond its items: the array's header and the name.
const ADD_BYTES: usize = b"*1024\r\n".len() + b"$3\r\nADD\r\n".len();

/// How far a snapshot has come.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    /// All strings are written.
    past_strings: bool,
    /// The last key that was begun.
    key: Option<Box<[u8]>>,
    /// How far that one has come; none when it is complete.
    place: Option<Place>,
}

/// Where the next item of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In this page of a list or a small hash, behind so many others.
    Page(i64, usize),
    /// At this position of a large hash, behind so many others.
    Position(Position, usize),
}

impl Keyspace {
    /// Writes the commands from `cursor` on, as many as fit, each whole; says whether all is written.
    ///
    /// `out` must have room for [`COMMAND_BYTES_MAX`] when it is empty.
    pub fn write_commands(&self, cursor: &mut Cursor, out: &mut Buffer) -> bool {
        loop {
            if let Some((key, place)) = cursor.key.as_ref().zip(cursor.place)
                && let Some(value) = self.entries.get(key)
            {
                cursor.place = value.write_items(place, out);
                if cursor.place.is_some() {
                    return false;
                }
            }
            let behind = cursor.key.as_deref().map_or(Unbounded, Excluded);
            let is_due = |value: &Value| matches!(value, Value::String(_)) != cursor.past_strings;
            let next = self.entries.range::<[u8], _>((behind, Unbounded)).find(|(_, value)| is_due(value));
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
            (cursor.key, cursor.place) = (Some(key.clone()), Some(Place::Page(i64::MIN, 0)));
        }
    }
}

impl Value {
    /// Writes items from a place on, as far as there is room; the place of the next one, if that was not all.
    fn write_items(&self, place: Place, out: &mut Buffer) -> Option<Place> {
        match (self, place) {
            (Self::String(_), _) => None,
            (Self::List(list), place) => {
                write_items(out, pages_from(list, place).map(|(at, element)| (at, [element, b""], 1)))
            }
            (Self::Hash(hash), place) => match (hash.ordered(), hash.hashed(), place) {
                (Some(items), _, place) => {
                    let items = pages_from(items, place);
                    write_items(out, items.filter_map(|(at, body)| Some((at, pair(Item::read(body)?), 2))))
                }
                (_, Some(buckets), Place::Position(from, passed)) => {
                    let items = with_places(from, buckets.from(from)).skip(passed);
                    write_items(out, items.map(|(at, item)| (at, pair(item), 2)))
                }
                // It was small when it was begun: what is written twice is the same.
                (_, Some(_), Place::Page(..)) => self.write_items(Place::Position(0, 0), out),
                (None, None, _) => None,
            },
        }
    }
}

fn pair(item: Item<'_>) -> [&[u8]; 2] {
    [item.field, item.value]
}

/// Fields with their places: at their positions, behind so many others that have the same.
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

fn pages_from(items: &Sequence, place: Place) -> impl Iterator<Item = (Place, &[u8])> {
    let (page, passed) = if let Place::Page(page, passed) = place { (page, passed) } else { (i64::MIN, 0) };
    items.items_from(page).map(|((page, at), body)| (Place::Page(page, at), body)).skip(passed)
}

/// Writes items, each of so many of its parts, as far as there is room; the place of the next one, if that was
/// not all.
fn write_items<'a>(
    out: &mut Buffer,
    items: impl Iterator<Item = (Place, [&'a [u8]; 2], usize)>,
) -> Option<Place> {
    let mut items = items.peekable();
    let mut gathered: Vec<&[u8]> = Vec::new();
    loop {
        gathered.clear();
        gathered.push(ADD);
        let mut left = out.space().min(COMMAND_BYTES_MAX).saturating_sub(ADD_BYTES);
        let mut fits = |parts: &[&[u8]]| {
            let bytes = parts.iter().map(|part| write::bulk_bytes(part.len())).sum();
            left.checked_sub(bytes).map(|rest| left = rest).is_some()
        };
        while gathered.len() + 2 <= ARGS_MAX
            && let Some((_, parts, count)) = items.next_if(|(_, parts, count)| fits(&parts[..*count]))
        {
            gathered.extend_from_slice(&parts[..count]);
        }
        let place = items.peek().map(|(place, ..)| *place);
        if gathered.len() == 1 || write::write_command(out, &gathered).is_err() {
            return place;
        }
    }
}
