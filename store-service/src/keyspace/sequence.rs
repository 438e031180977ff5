//! A list's elements, in pages that are added and removed at either end.
//!
//! No element has a separate allocation, and no table must be copied to grow: a list takes the memory of its
//! elements, plus a fixed share, plus one page.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::OccupiedEntry;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Unbounded};

use wire::resp::write;

use super::allocation::tree_bytes;
use super::end::End;
use super::page::{Header, PAGE_BYTES, Page, Record};

/// A page with less is put together with the one behind it, if both fit into this much.
const PAGE_BYTES_SPARSE: usize = PAGE_BYTES / 2;

/// A tree of pages.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// By numbers that only say which is before which.
    pages: BTreeMap<i64, Page>,
    len: usize,
    /// What the pages take.
    pages_bytes: usize,
    snapshot_bytes: usize,
}

/// How many elements were taken away,
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Removed {
    pub all: usize,
    /// and how many of them from pages that a snapshot has.
    pub written: usize,
}

/// Where an element lies, as long as nothing changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    page: i64,
    at: usize,
    end: usize,
}

impl Sequence {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What it takes in memory.
    pub(super) fn memory(&self) -> usize {
        self.pages_bytes + tree_bytes(self.pages.len())
    }

    /// What its elements take as bulk strings.
    pub(super) fn snapshot_bytes(&self) -> usize {
        self.snapshot_bytes
    }

    pub(super) fn front(&self) -> Option<&[u8]> {
        Some(self.pages.first_key_value()?.1.first()?.body)
    }

    pub(super) fn back(&self) -> Option<&[u8]> {
        Some(self.pages.last_key_value()?.1.last()?.body)
    }

    /// Adds an element, which is these parts together, behind the others; the number of its page.
    pub(super) fn push_back(&mut self, parts: &[&[u8]]) -> i64 {
        let header = self.count_in(parts);
        let Self { pages, pages_bytes, .. } = self;
        let (number, page) = match pages.last_entry() {
            Some(last) if !last.get().is_full_for(header) => (*last.key(), last.into_mut()),
            _ => begin_page(pages, pages_bytes, End::Right, header),
        };
        let before = page.memory();
        page.push_back(header, parts);
        *pages_bytes = *pages_bytes + page.memory() - before;
        number
    }

    /// Adds an element before the others; the number of its page.
    pub(super) fn push_front(&mut self, parts: &[&[u8]]) -> i64 {
        let header = self.count_in(parts);
        let Self { pages, pages_bytes, .. } = self;
        let (number, page) = match pages.first_entry() {
            Some(first) if !first.get().is_full_for(header) => (*first.key(), first.into_mut()),
            _ => begin_page(pages, pages_bytes, End::Left, header),
        };
        let before = page.memory();
        page.push_front(header, parts);
        *pages_bytes = *pages_bytes + page.memory() - before;
        number
    }

    /// Takes the first element away, which there is; the number of its page.
    pub(super) fn pop_front(&mut self) -> i64 {
        self.pop(BTreeMap::first_entry, Page::first)
    }

    /// Takes the last element away, which there is; the number of its page.
    pub(super) fn pop_back(&mut self) -> i64 {
        self.pop(BTreeMap::last_entry, Page::last)
    }

    fn pop(
        &mut self,
        end_of_pages: impl FnOnce(&mut BTreeMap<i64, Page>) -> Option<OccupiedEntry<'_, i64, Page>>,
        end_of_page: impl FnOnce(&Page) -> Option<Record<'_>>,
    ) -> i64 {
        let alone = self.pages.len() == 1;
        let Some(mut entry) = end_of_pages(&mut self.pages) else { return i64::MAX };
        let number = *entry.key();
        let page = entry.get_mut();
        let before = page.memory();
        let Some(Record { at, end, body }) = end_of_page(page) else { return i64::MAX };
        self.snapshot_bytes -= write::bulk_bytes(body.len());
        self.len -= 1;
        page.remove(at, end);
        if alone {
            page.give_back();
        }
        self.pages_bytes -= before;
        if page.count() == 0 {
            entry.remove();
        } else {
            self.pages_bytes += page.memory();
        }
        number
    }

    /// The elements in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.pages.values().flat_map(|page| page.records().map(|record| record.body))
    }

    /// The elements in order from the one at `index` on.
    pub(super) fn iter_from(&self, mut index: usize) -> impl Iterator<Item = &[u8]> {
        let first = self.pages.iter().find_map(|(number, page)| {
            let is_in = index < page.count();
            index -= if is_in { 0 } else { page.count() };
            is_in.then_some(*number)
        });
        let pages = first.into_iter().flat_map(|number| self.pages.range(number..));
        pages.flat_map(|(_, page)| page.records().map(|record| record.body)).skip(index)
    }

    /// The elements from the last one to the first.
    pub(super) fn iter_back(&self) -> impl Iterator<Item = &[u8]> {
        self.pages.values().rev().flat_map(|page| {
            let bodies: Vec<_> = page.records().map(|record| record.body).collect();
            bodies.into_iter().rev()
        })
    }

    /// The elements with their places in order.
    pub(super) fn places(&self) -> impl Iterator<Item = (Place, &[u8])> {
        self.pages.iter().flat_map(|(number, page)| {
            page.records()
                .map(|record| (Place { page: *number, at: record.at, end: record.end }, record.body))
        })
    }

    /// The pages from this one on, with their numbers.
    pub(super) fn pages_from(&self, number: i64) -> impl Iterator<Item = (i64, &Page)> {
        self.pages.range(number..).map(|(number, page)| (*number, page))
    }

    /// Takes away elements that are equal to this one, so many at most, those that are nearest to an end; how
    /// many there were. Pages before the one of this number and those from there on are not mixed.
    pub(super) fn remove_equal(&mut self, element: &[u8], most: usize, from: End, border: i64) -> Removed {
        let (mut removed, mut behind, mut passed) = (0, None, None);
        let mut written = 0;
        while removed < most {
            let pages = (passed.map_or(Unbounded, Excluded), behind.map_or(Unbounded, Excluded));
            let mut pages = self.pages.range(pages);
            let next = if from == End::Left { pages.next() } else { pages.next_back() };
            let Some(number) = next.map(|(number, _)| *number) else { break };
            let before = removed;
            while removed < most
                && let Some(place) = self.find_in(number, element, from)
            {
                self.take_out(place);
                removed += 1;
            }
            written += if number < border { removed - before } else { 0 };
            // A page that has become sparse is put together with one that was passed before.
            match from {
                End::Left => {
                    let joined = removed > before && passed.is_some_and(|passed| self.join(passed, border));
                    passed = if joined { passed } else { Some(number) };
                }
                End::Right => {
                    if removed > before {
                        self.join(number, border);
                    }
                    behind = Some(number);
                }
            }
        }
        Removed { all: removed, written }
    }

    fn find_in(&self, number: i64, element: &[u8], from: End) -> Option<Place> {
        let mut equal = self.pages.get(&number)?.records().filter(|record| record.body == element);
        let record = if from == End::Left { equal.next() } else { equal.last() }?;
        Some(Place { page: number, at: record.at, end: record.end })
    }

    /// Takes an element away.
    pub(super) fn remove(&mut self, place: Place) {
        self.take_out(place);
        self.join(place.page, i64::MIN);
    }

    fn take_out(&mut self, place: Place) {
        let Some(page) = self.pages.get_mut(&place.page) else { return };
        let before = page.memory();
        self.snapshot_bytes -= write::bulk_bytes(page.body_bytes(place.at));
        self.len -= 1;
        page.remove(place.at, place.end);
        page.give_back();
        self.pages_bytes = self.pages_bytes + page.memory() - before;
        if page.count() == 0 {
            self.pages.remove(&place.page);
        }
    }

    /// Puts another element in the place of one.
    pub(super) fn replace(&mut self, place: Place, parts: &[&[u8]]) {
        let Some(page) = self.pages.get_mut(&place.page) else { return };
        let before = page.memory();
        let old = page.body_bytes(place.at);
        let new: usize = parts.iter().map(|part| part.len()).sum();
        page.replace(place.at, place.end, parts);
        self.pages_bytes = self.pages_bytes + page.memory() - before;
        self.snapshot_bytes = self.snapshot_bytes + write::bulk_bytes(new) - write::bulk_bytes(old);
    }

    /// Puts a page and the one behind it together, if both are sparse and on the same side of the border; whether it
    /// has.
    fn join(&mut self, number: i64, border: i64) -> bool {
        let mut pages = self.pages.range(number..);
        let (Some((first, page)), Some((behind, next))) = (pages.next(), pages.next()) else { return false };
        let is_border = *first < border && border <= *behind;
        if *first != number || is_border || page.len() + next.len() > PAGE_BYTES_SPARSE {
            return false;
        }
        let behind = *behind;
        let Some(next) = self.pages.remove(&behind) else { return false };
        let Some(page) = self.pages.get_mut(&number) else { return false };
        let before = page.memory() + next.memory();
        page.append(&next);
        page.give_back();
        self.pages_bytes = self.pages_bytes + page.memory() - before;
        true
    }

    /// Counts an element in; the header of its record.
    fn count_in(&mut self, parts: &[&[u8]]) -> Header {
        let header = Header::of(parts);
        self.len += 1;
        self.snapshot_bytes += write::bulk_bytes(header.body_bytes());
        header
    }

    /// Memory, and bytes as bulk strings, counted anew.
    #[cfg(test)]
    pub(super) fn recount(&self) -> (usize, usize) {
        let pages: usize = self.pages.values().map(Page::memory).sum();
        let snapshot = self.iter().map(|element| write::bulk_bytes(element.len())).sum();
        (pages + tree_bytes(self.pages.len()), snapshot)
    }
}

/// Adds a page at an end, for an element with this header and, in a list that has pages, for others of its size. The
/// one that was there gives back what it does not need.
#[inline(never)]
fn begin_page<'a>(
    pages: &'a mut BTreeMap<i64, Page>,
    pages_bytes: &mut usize,
    end: End,
    header: Header,
) -> (i64, &'a mut Page) {
    let (step, old) = match end {
        End::Left => (-1, pages.first_entry()),
        End::Right => (1, pages.last_entry()),
    };
    let (number, bytes) = old.map_or((0, 0), |mut old| {
        let before = old.get().memory();
        old.get_mut().fit();
        *pages_bytes = *pages_bytes + old.get().memory() - before;
        (*old.key() + step, PAGE_BYTES)
    });
    let page = Page::with_capacity(header.record_bytes().max(bytes));
    *pages_bytes += page.memory();
    (number, pages.entry(number).or_insert(page))
}
