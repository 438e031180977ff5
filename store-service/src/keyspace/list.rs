//! The commands on lists. The engine handles clients that wait for elements.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use wire::Buffer;
use wire::resp::{Args, Digits, parse_integer, write};

use super::Keyspace;
use super::end::End;
use super::sequence::Sequence;
use super::value::Value;
use crate::failure::Failure;

impl End {
    fn peek(self, list: &Sequence) -> Option<&[u8]> {
        match self {
            Self::Left => list.front(),
            Self::Right => list.back(),
        }
    }

    /// Takes an element, which there is; the number of its page.
    fn take(self, list: &mut Sequence) -> i64 {
        match self {
            Self::Left => list.pop_front(),
            Self::Right => list.pop_back(),
        }
    }

    /// Adds an element; the number of its page.
    #[inline]
    fn put(self, list: &mut Sequence, element: &[u8]) -> i64 {
        match self {
            Self::Left => list.push_front(&[element]),
            Self::Right => list.push_back(&[element]),
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
        let Some(element) = self.list(key)?.and_then(|list| end.peek(list)) else { return Ok(false) };
        write::bulk(out, element)?;
        self.take(key, end, 1)?;
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
        let bytes = element.len();
        write::bulk(out, element)?;
        // The reply has a copy of it, with a line's end behind.
        let end = out.len() - 2;
        let element = &out.as_slice()[end - bytes..end];
        // Added first: a list that is moved in itself never goes.
        self.put(destination, to, core::iter::once(element))?;
        self.take(source, from, 1)?;
        self.changes += 1;
        Ok(true)
    }

    pub(super) fn push(&mut self, args: Args<'_>, end: End, out: &mut Buffer) -> Result<(), Failure> {
        let length = self.put(&args[1], end, args.starting_at(2).iter())?;
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
            End::Right => list.iter_back().take(count).try_for_each(|element| write::bulk(out, element))?,
        }
        if count > 0 {
            self.take(key, end, count)?;
            self.changes += 1;
        }
        Ok(())
    }

    pub(super) fn llen(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        Ok(write::length(out, self.list(&args[1])?.map_or(0, Sequence::len))?)
    }

    pub(super) fn lrange(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let start = parse_integer(&args[2]).ok_or(Failure::NotAnInteger)?;
        let stop = parse_integer(&args[3]).ok_or(Failure::NotAnInteger)?;
        let Some(list) = self.list(&args[1])? else { return Ok(write::array(out, 0)?) };
        let range = range(list.len(), start, stop);
        write::array(out, range.len())?;
        let mut elements = list.iter_from(range.start).take(range.len());
        elements.try_for_each(|element| Ok(write::bulk(out, element)?))
    }

    pub(super) fn lrem(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let (key, element) = (&args[1], &args[3]);
        let count = parse_integer(&args[2]).ok_or(Failure::NotAnInteger)?;
        let removed = match self.list(key)? {
            None => 0,
            Some(_) => {
                let all = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
                let most = if count == 0 { usize::MAX } else { all };
                let from = if count < 0 { End::Right } else { End::Left };
                self.remove_equal(key, element, most, from)?
            }
        };
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

    /// Adds elements; returns their new number. Elements that a running snapshot has passed are recorded as changes.
    fn put<'a>(
        &mut self,
        key: &'a [u8],
        end: End,
        elements: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) -> Result<usize, Failure> {
        let written_before = self.written_before(key);
        let put = elements.clone();
        let (length, written) = self.change_list(key, |list| {
            let written = put.filter(|element| end.put(list, element) < written_before).count();
            (list.len(), written)
        })?;
        if written > 0 {
            // Each goes beyond those before it: on the right the first ones are in written pages, on the left the last.
            let skipped = if end == End::Right { 0 } else { elements.len() - written };
            let written = elements.skip(skipped).take(written);
            let args: Vec<&[u8]> = core::iter::once(key).chain(written).collect();
            self.tell(end.push(), args.into_iter());
        }
        Ok(length)
    }

    /// Removes this number of elements, which must exist.
    fn take(&mut self, key: &[u8], end: End, count: usize) -> Result<(), Failure> {
        let written_before = self.written_before(key);
        let written =
            self.change_list(key, |list| (0..count).filter(|_| end.take(list) < written_before).count())?;
        if written > 0 {
            self.tell(end.pop(), [key, Digits::of_u64(written as u64).as_bytes()].into_iter());
        }
        Ok(())
    }

    /// Removes elements equal to this one, up to a maximum, from one end; returns how many it removed.
    fn remove_equal(&mut self, key: &[u8], element: &[u8], most: usize, from: End) -> Result<usize, Failure> {
        let written_before = self.written_before(key);
        let removed = self.change_list(key, |list| list.remove_equal(element, most, from, written_before))?;
        if removed.written > 0 {
            let count = i64::try_from(removed.written).unwrap_or(i64::MAX);
            let count = Digits::new(if from == End::Left { count } else { -count });
            self.tell(b"LREM", [key, count.as_bytes(), element].into_iter());
        }
        Ok(removed.all)
    }

    fn list(&self, key: &[u8]) -> Result<Option<&Sequence>, Failure> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(_) => Err(Failure::WrongType),
        }
    }

    /// Changes the list at `key`, which is made if need be, and goes if nothing is left in it.
    fn change_list<R>(&mut self, key: &[u8], change: impl FnOnce(&mut Sequence) -> R) -> Result<R, Failure> {
        self.change(key, || Value::List(Box::default()), change)
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
