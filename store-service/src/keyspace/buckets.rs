//! The fields of a large hash, by the positions that a secret gives them (linear hashing).
//!
//! The table grows and shrinks bucket by bucket, so no change waits for a table to be copied. A bucket is a page
//! whose records are in the order of their positions. An iteration over all fields goes from the lowest position to
//! the highest. Growing and shrinking do not change this order, so an iteration can stop and continue later.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::allocation::allocation_bytes;
use super::item::{Item, Position};
use super::page::Page;

/// The table grows when its buckets have more bytes than this each,
const BUCKET_BYTES_MAX: usize = 1024;
/// and shrinks when they have less.
const BUCKET_BYTES_MIN: usize = 256;
/// Buckets that are allocated together.
const SEGMENT_BUCKETS: usize = 16;
/// How many buckets go at most when a field goes: a large one may leave many that are empty.
const JOINS_MAX: usize = 4;

/// A table of pages.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    #[expect(clippy::vec_box, reason = "to grow is to copy pointers, not buckets")]
    segments: Vec<Box<[Page; SEGMENT_BUCKETS]>>,
    /// How many buckets are in use.
    count: usize,
    fields: usize,
    /// Bytes of all records.
    bytes: usize,
    /// What the buckets take in memory.
    pages_bytes: usize,
}

/// Where a field is, or would be.
#[derive(Clone, Copy, Debug)]
struct Place {
    bucket: usize,
    at: usize,
    /// Where it ends; none when it is not there.
    end: Option<usize>,
}

impl Buckets {
    /// What it takes in memory.
    pub(super) fn memory(&self) -> usize {
        let segment = allocation_bytes(size_of::<[Page; SEGMENT_BUCKETS]>());
        let list = allocation_bytes(self.segments.capacity() * size_of::<Box<[Page; SEGMENT_BUCKETS]>>());
        self.pages_bytes + self.segments.len() * segment + list
    }

    /// The value of a field.
    pub(super) fn get(&self, position: Position, field: &[u8]) -> Option<&[u8]> {
        let page = self.page(self.bucket_of(position))?;
        let items = page.records().filter_map(|record| Item::read(record.body));
        let mut items = items.take_while(|item| item.position <= position);
        items.find(|item| item.is(position, field)).map(|item| item.value)
    }

    /// Sets a field; how long the value was that it had.
    pub(super) fn put(&mut self, position: Position, field: &[u8], value: &[u8]) -> Option<usize> {
        if self.count == 0 {
            self.add_bucket();
        }
        let place = self.find(position, field);
        let old = self.edit(place.bucket, |page| match place.end {
            None => {
                Item { position, field, value }.write(|parts| page.insert(place.at, parts));
                None
            }
            Some(end) => {
                let item = page.record(place.at).and_then(|record| Item::read(record.body));
                let old = item.map_or(0, |item| item.value.len());
                if old == value.len() {
                    page.overwrite(end - old, value);
                } else {
                    Item { position, field, value }.write(|parts| page.replace(place.at, end, parts));
                }
                Some(old)
            }
        });
        self.fields += usize::from(old.is_none());
        if self.bytes > self.count * BUCKET_BYTES_MAX && self.fields > self.count {
            self.split();
        }
        old
    }

    /// Takes a field away; how long its value was.
    pub(super) fn remove(&mut self, position: Position, field: &[u8]) -> Option<usize> {
        let Place { bucket, at, end } = self.find(position, field);
        let end = end?;
        let old = self.edit(bucket, |page| {
            let item = page.record(at).and_then(|record| Item::read(record.body));
            let old = item.map_or(0, |item| item.value.len());
            page.remove(at, end);
            page.give_back();
            old
        });
        self.fields -= 1;
        for _ in 0..JOINS_MAX {
            if self.count > 1 && self.bytes < self.count * BUCKET_BYTES_MIN {
                self.join();
            }
        }
        Some(old)
    }

    /// The fields from a position on, in the order of their positions.
    pub(super) fn from(&self, position: Position) -> impl Iterator<Item = Item<'_>> {
        let mut next = Some(position);
        let buckets = core::iter::from_fn(move || {
            let bucket = self.bucket_of(next?);
            next = self.behind(bucket);
            self.page(bucket)
        });
        let items = buckets.flat_map(|page| page.records().filter_map(|record| Item::read(record.body)));
        items.skip_while(move |item| item.position < position)
    }

    /// The lowest position behind those of a bucket, unless it has the highest.
    fn behind(&self, bucket: usize) -> Option<Position> {
        let level = self.count.checked_ilog2()?;
        let is_split = (bucket & ((1 << level) - 1)) + (1 << level) < self.count;
        let bits = level + u32::from(is_split);
        let first = Position::try_from(bucket).ok()?.reverse_bits();
        first.checked_add(1_u32.checked_shl(Position::BITS - bits).filter(|_| bits > 0)?)
    }

    fn bucket_of(&self, position: Position) -> usize {
        let mask = self.count.next_power_of_two() - 1;
        let bucket = position.reverse_bits() as usize & mask;
        if bucket < self.count { bucket } else { bucket & mask >> 1 }
    }

    fn page(&self, bucket: usize) -> Option<&Page> {
        self.segments.get(bucket / SEGMENT_BUCKETS)?.get(bucket % SEGMENT_BUCKETS)
    }

    fn find(&self, position: Position, field: &[u8]) -> Place {
        let bucket = self.bucket_of(position);
        let Some(page) = self.page(bucket) else { return Place { bucket, at: 0, end: None } };
        for record in page.records() {
            let Some(item) = Item::read(record.body) else { continue };
            if item.position > position {
                return Place { bucket, at: record.at, end: None };
            }
            if item.is(position, field) {
                return Place { bucket, at: record.at, end: Some(record.end) };
            }
        }
        Place { bucket, at: page.end(), end: None }
    }

    /// Changes a bucket, and counts what that changes.
    fn edit<R: Default>(&mut self, bucket: usize, change: impl FnOnce(&mut Page) -> R) -> R {
        let segment = self.segments.get_mut(bucket / SEGMENT_BUCKETS);
        let Some(page) = segment.and_then(|pages| pages.get_mut(bucket % SEGMENT_BUCKETS)) else {
            return R::default();
        };
        let (memory, bytes) = (page.memory(), page.len());
        let result = change(page);
        self.pages_bytes = self.pages_bytes + page.memory() - memory;
        self.bytes = self.bytes + page.len() - bytes;
        result
    }

    fn add_bucket(&mut self) {
        if self.count.is_multiple_of(SEGMENT_BUCKETS) {
            // By an eighth: what is copied is a thousandth of the fields.
            if self.segments.len() == self.segments.capacity() {
                self.segments.reserve_exact(self.segments.len() / 8 + 1);
            }
            self.segments.push(Box::default());
        }
        self.count += 1;
    }

    /// The bucket whose upper half one that is the last is.
    fn lower_half_of(bucket: usize) -> usize {
        bucket ^ bucket.checked_ilog2().map_or(0, |bit| 1 << bit)
    }

    /// Makes one bucket more, of the upper half of another.
    fn split(&mut self) {
        let new = self.count;
        self.add_bucket();
        let bit = new.ilog2();
        let is_upper = |position: Position| position.reverse_bits() >> bit & 1 == 1;
        let upper = self.edit(Self::lower_half_of(new), |page| {
            let mut records = page.records().enumerate();
            let cut = records
                .find(|(_, record)| Item::read(record.body).is_some_and(|item| is_upper(item.position)));
            let cut = cut.map(|(before, record)| (record.at, page.count() - before));
            cut.map(|(at, count)| page.split_off(at, count)).unwrap_or_default()
        });
        self.edit(new, |page| *page = upper);
    }

    /// Puts the last bucket back to the one that it was split from.
    fn join(&mut self) {
        let last = self.count - 1;
        let upper = self.edit(last, core::mem::take);
        self.edit(Self::lower_half_of(last), |page| page.append(&upper));
        self.count = last;
        if last.is_multiple_of(SEGMENT_BUCKETS) {
            self.segments.pop();
            if self.segments.capacity() > 2 * self.segments.len() + 2 {
                self.segments.shrink_to(self.segments.len() + 1);
            }
        }
    }

    /// What it takes in memory, counted anew; fields must be where they are looked for, in order.
    #[cfg(test)]
    pub(super) fn recount(&self) -> usize {
        let pages: Vec<_> = self.segments.iter().flat_map(|segment| segment.iter()).collect();
        let mut fields = 0;
        for (bucket, page) in pages.iter().enumerate() {
            let items: Vec<_> = page.records().filter_map(|record| Item::read(record.body)).collect();
            assert!(items.iter().all(|item| self.bucket_of(item.position) == bucket));
            assert!(items.is_sorted_by_key(|item| item.position) && items.len() == page.count());
            fields += items.len();
        }
        assert_eq!((fields, self.bytes), (self.fields, pages.iter().map(|page| page.len()).sum()));
        assert!(self.from(0).map(|item| item.position).is_sorted() && self.from(0).count() == fields);
        let memory: usize = pages.iter().map(|page| page.memory()).sum();
        memory + self.memory() - self.pages_bytes
    }
}
