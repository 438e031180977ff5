//! The commands on lists. Waiting for an element is not their business.

use alloc::boxed::Box;
use core::ops::Range;

use wire::Buffer;
use wire::resp::{Args, parse_integer, write};

use super::Keyspace;
use super::value::{List, Value, element_bytes};
use crate::failure::Failure;

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The head.
    Left,
    /// The tail.
    Right,
}

impl End {
    /// The end that `LEFT` or `RIGHT` names, in any case.
    ///
    /// # Errors
    /// [`Failure::Syntax`] for another word.
    pub fn parse(word: &[u8]) -> Result<Self, Failure> {
        if word.eq_ignore_ascii_case(b"LEFT") {
            Ok(Self::Left)
        } else if word.eq_ignore_ascii_case(b"RIGHT") {
            Ok(Self::Right)
        } else {
            Err(Failure::Syntax)
        }
    }

    /// The word for it, as `LMOVE` takes it.
    pub fn word(self) -> &'static [u8] {
        match self {
            Self::Left => b"LEFT",
            Self::Right => b"RIGHT",
        }
    }

    /// The name of the command that takes an element from it.
    pub fn pop(self) -> &'static [u8] {
        match self {
            Self::Left => b"LPOP",
            Self::Right => b"RPOP",
        }
    }

    fn peek(self, list: &List) -> Option<&[u8]> {
        match self {
            Self::Left => list.front(),
            Self::Right => list.back(),
        }
        .map(AsRef::as_ref)
    }

    fn take(self, list: &mut List) -> Option<Box<[u8]>> {
        match self {
            Self::Left => list.pop_front(),
            Self::Right => list.pop_back(),
        }
    }

    fn put(self, list: &mut List, element: Box<[u8]>) {
        match self {
            Self::Left => list.push_front(element),
            Self::Right => list.push_back(element),
        }
    }
}

impl Keyspace {
    /// Takes the element at `end` of the list at `key` and writes it; `false` and nothing written when
    /// there is no list.
    ///
    /// # Errors
    /// When the key holds another type, or the element does not fit into `out`; nothing has changed.
    pub fn pop_one(&mut self, key: &[u8], end: End, out: &mut Buffer) -> Result<bool, Failure> {
        let Some(list) = self.list_mut(key)? else { return Ok(false) };
        let Some(element) = end.peek(list) else { return Ok(false) };
        write::bulk(out, element)?;
        self.take(key, end);
        self.changes += 1;
        Ok(true)
    }

    /// Takes the element at `from` of the list at `source`, adds it at `to` of the one at `destination`,
    /// and writes it; `false` when there is no list at `source`.
    ///
    /// # Errors
    /// When a key holds another type, or the element does not fit into `out`; nothing has changed.
    pub fn move_one(
        &mut self,
        source: &[u8],
        destination: &[u8],
        (from, to): (End, End),
        out: &mut Buffer,
    ) -> Result<bool, Failure> {
        let Some(element) = self.list(source)?.and_then(|list| from.peek(list)) else { return Ok(false) };
        self.list(destination)?;
        write::bulk(out, element)?;
        if let Some(element) = self.take(source, from) {
            self.put(destination, to, element);
        }
        self.changes += 1;
        Ok(true)
    }

    pub(super) fn push(&mut self, args: Args<'_>, end: End, out: &mut Buffer) -> Result<(), Failure> {
        let key = &args[1];
        let mut elements = args.iter().skip(2);
        if self.list_mut(key)?.is_none()
            && let Some(first) = elements.next()
        {
            self.put(key, end, first.into());
        }
        let Some(list) = self.list_mut(key)? else { return Err(Failure::Syntax) };
        let mut added = 0;
        for element in elements {
            added += element_bytes(element);
            end.put(list, element.into());
        }
        let length = list.len();
        self.bytes += added;
        self.changes += 1;
        Ok(write::length(out, length)?)
    }

    pub(super) fn pop(&mut self, args: Args<'_>, end: End, out: &mut Buffer) -> Result<(), Failure> {
        let key = &args[1];
        if args.len() > 3 {
            return Err(Failure::Arguments);
        }
        let Some(count) = args.get(2) else {
            return match self.pop_one(key, end, out)? {
                true => Ok(()),
                false => Ok(write::null(out)?),
            };
        };
        let count = parse_integer(count).and_then(|count| usize::try_from(count).ok());
        self.pop_many(key, end, count.ok_or(Failure::NotPositive)?, out)
    }

    /// Writes the elements before it takes them: what does not fit into the reply must not be lost.
    fn pop_many(&mut self, key: &[u8], end: End, count: usize, out: &mut Buffer) -> Result<(), Failure> {
        let Some(list) = self.list(key)? else { return Ok(write::null_array(out)?) };
        let count = count.min(list.len());
        write::array(out, count)?;
        match end {
            End::Left => list.iter().take(count).try_for_each(|element| write::bulk(out, element))?,
            End::Right => list.iter().rev().take(count).try_for_each(|element| write::bulk(out, element))?,
        }
        for _ in 0..count {
            self.take(key, end);
        }
        self.changes += u64::from(count > 0);
        Ok(())
    }

    pub(super) fn llen(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        Ok(write::length(out, self.list(&args[1])?.map_or(0, List::len))?)
    }

    pub(super) fn lrange(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let start = parse_integer(&args[2]).ok_or(Failure::NotAnInteger)?;
        let stop = parse_integer(&args[3]).ok_or(Failure::NotAnInteger)?;
        let Some(list) = self.list(&args[1])? else { return Ok(write::array(out, 0)?) };
        let range = range(list.len(), start, stop);
        write::array(out, range.len())?;
        list.range(range).try_for_each(|element| Ok(write::bulk(out, element)?))
    }

    pub(super) fn lrem(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let (key, element) = (&args[1], &args[3]);
        let count = parse_integer(&args[2]).ok_or(Failure::NotAnInteger)?;
        let Some(list) = self.list_mut(key)? else { return Ok(write::length(out, 0)?) };
        let removed = remove_equal(list, count, element);
        let empty = list.is_empty();
        self.bytes -= removed * element_bytes(element);
        if empty {
            self.remove(key);
        }
        self.changes += u64::from(removed > 0);
        Ok(write::length(out, removed)?)
    }

    pub(super) fn lmove(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let ends = (End::parse(&args[3])?, End::parse(&args[4])?);
        match self.move_one(&args[1], &args[2], ends, out)? {
            true => Ok(()),
            false => Ok(write::null(out)?),
        }
    }

    fn list(&self, key: &[u8]) -> Result<Option<&List>, Failure> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(_) => Err(Failure::WrongType),
        }
    }

    fn list_mut(&mut self, key: &[u8]) -> Result<Option<&mut List>, Failure> {
        match self.entries.get_mut(key) {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(_) => Err(Failure::WrongType),
        }
    }

    /// Takes an element, and the key with its last one.
    fn take(&mut self, key: &[u8], end: End) -> Option<Box<[u8]>> {
        let Some(Value::List(list)) = self.entries.get_mut(key) else { return None };
        let element = end.take(list)?;
        let empty = list.is_empty();
        self.bytes -= element_bytes(&element);
        if empty {
            self.remove(key);
        }
        Some(element)
    }

    /// Adds an element, and the key with its first one; the key holds a list or nothing.
    fn put(&mut self, key: &[u8], end: End, element: Box<[u8]>) {
        match self.entries.get_mut(key) {
            Some(Value::List(list)) => {
                self.bytes += element_bytes(&element);
                end.put(list, element);
            }
            _ => {
                self.add(key, Value::List(List::from([element])));
            }
        }
    }
}

/// The positions from `start` to `stop`, both included; negative ones count from the end.
fn range(len: usize, start: i64, stop: i64) -> Range<usize> {
    let absolute = |position: i64| match usize::try_from(position) {
        Ok(position) => Some(position),
        Err(_) => len.checked_sub(usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let start = absolute(start).unwrap_or(0);
    let end = absolute(stop).map_or(0, |stop| stop.saturating_add(1).min(len));
    if start < end { start..end } else { 0..0 }
}

/// Removes the first `count` elements equal to `element`, the last ones when negative, all when zero.
fn remove_equal(list: &mut List, count: i64, element: &[u8]) -> usize {
    if let 1 | -1 = count {
        return usize::from(remove_one(list, count < 0, element));
    }
    let mut skip = 0;
    let mut left = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count == 0 {
        left = usize::MAX;
    } else if count < 0 {
        let equal = list.iter().filter(|other| ***other == *element).count();
        skip = equal.saturating_sub(left);
    }
    let before = list.len();
    list.retain(|other| {
        let equal = **other == *element;
        if !equal || left == 0 {
            return true;
        }
        if skip > 0 {
            skip -= 1;
            return true;
        }
        left -= 1;
        false
    });
    before - list.len()
}

/// Removes the first or last element equal to `element`; little is moved when it is near an end.
fn remove_one(list: &mut List, last: bool, element: &[u8]) -> bool {
    let mut elements = list.iter();
    let position = if last {
        elements.rposition(|other| **other == *element)
    } else {
        elements.position(|other| **other == *element)
    };
    position.is_some_and(|position| list.remove(position).is_some())
}
