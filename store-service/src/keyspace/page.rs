//! Records in one allocation, one after the other, so a short element takes little more than its bytes.
//!
//! A record is its length, in up to three bytes of seven bits each, and its body. The caller knows the meaning of a
//! body. Offsets from callers are those of records that the page has returned.

use alloc::vec::Vec;

use super::allocation::allocation_bytes;

/// Up to this many bytes of records are put into a page; a longer record has one to itself. With what the guest's
/// allocator adds it is a block without waste.
pub(super) const PAGE_BYTES: usize = 2048 - 16;
/// Up to this many records are put into a page, which are walked through to reach the last one.
pub(super) const PAGE_RECORDS_MAX: usize = 64;

/// One allocation of records.
#[derive(Debug, Default)]
pub(super) struct Page {
    bytes: Vec<u8>,
    /// Where the first record begins; what is before has been taken.
    start: u32,
    count: u32,
}

/// A record and where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// Where it begins in its page,
    pub at: usize,
    /// and what is behind it begins.
    pub end: usize,
    pub body: &'a [u8],
}

impl Page {
    /// An empty page with room for this number of bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), start: 0, count: 0 }
    }

    /// Bytes of the records.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start as usize
    }

    /// How many records there are.
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// What it takes in memory, in use or not.
    pub(super) fn memory(&self) -> usize {
        allocation_bytes(self.bytes.capacity())
    }

    /// Whether a record with this header is to be put into another page.
    pub(super) fn is_full_for(&self, header: Header) -> bool {
        self.len() + header.record_bytes() > PAGE_BYTES || self.count() >= PAGE_RECORDS_MAX
    }

    /// The records in order.
    pub(super) fn records(&self) -> Records<'_> {
        Records { bytes: &self.bytes, at: self.start as usize }
    }

    /// The first record.
    pub(super) fn first(&self) -> Option<Record<'_>> {
        self.records().next()
    }

    /// The last record.
    pub(super) fn last(&self) -> Option<Record<'_>> {
        self.records().last()
    }

    /// The record at `at`.
    pub(super) fn record(&self, at: usize) -> Option<Record<'_>> {
        Records { bytes: &self.bytes, at }.next()
    }

    /// Where a record behind the last one would begin.
    pub(super) fn end(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of the body of the record at `at`.
    pub(super) fn body_bytes(&self, at: usize) -> usize {
        Length::read(&self.bytes[at..]).map_or(0, |(length, _)| length)
    }

    /// Adds a record behind the others; its body is the parts together, of which the header is.
    #[inline]
    pub(super) fn push_back(&mut self, header: Header, parts: &[&[u8]]) {
        let wanted = header.record_bytes();
        if self.bytes.len() + wanted > self.bytes.capacity() {
            self.bytes.drain(..self.start as usize);
            self.start = 0;
            self.reserve(wanted);
        }
        self.bytes.extend_from_slice(header.as_bytes());
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.count += 1;
    }

    /// Adds a record before the others.
    pub(super) fn push_front(&mut self, header: Header, parts: &[&[u8]]) {
        let wanted = header.record_bytes();
        if (self.start as usize) < wanted {
            self.make_room_before(wanted);
        }
        self.start -= wanted as u32;
        self.put(self.start as usize, header.as_bytes(), parts);
        self.count += 1;
    }

    /// Moves the records so that at least this number of bytes is free before them, or more if there is room.
    fn make_room_before(&mut self, wanted: usize) {
        let live = self.len();
        if live + wanted > self.bytes.capacity() {
            self.reserve(live + wanted - self.bytes.len().min(live + wanted));
        }
        let start = self.start as usize;
        let to = self.bytes.capacity() - live;
        self.bytes.resize(self.bytes.capacity(), 0);
        self.bytes.copy_within(start..start + live, to);
        self.start = to as u32;
    }

    /// Puts a record between others, at `at`.
    pub(super) fn insert(&mut self, at: usize, parts: &[&[u8]]) {
        let header = Header::of(parts);
        self.splice(at, at, header.as_bytes(), parts);
        self.count += 1;
    }

    /// Puts another record in the place of one.
    pub(super) fn replace(&mut self, at: usize, end: usize, parts: &[&[u8]]) {
        let header = Header::of(parts);
        self.splice(at, end, header.as_bytes(), parts);
    }

    /// Writes over a part of a record that is as long.
    pub(super) fn overwrite(&mut self, at: usize, part: &[u8]) {
        self.put(at, part, &[]);
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, at: usize, end: usize) {
        if at == self.start as usize {
            self.start = end as u32;
        } else {
            self.splice(at, end, &[], &[]);
        }
        self.count -= 1;
    }

    /// Moves the records from `at` on, `count` of them, to a new page.
    pub(super) fn split_off(&mut self, at: usize, count: usize) -> Self {
        let mut other = Self::default();
        other.append_bytes(&self.bytes[at..], count);
        self.bytes.truncate(at);
        self.count -= count as u32;
        self.fit();
        other
    }

    /// Adds the records of another page.
    pub(super) fn append(&mut self, other: &Self) {
        self.append_bytes(&other.bytes[other.start as usize..], other.count());
    }

    fn append_bytes(&mut self, bytes: &[u8], count: usize) {
        if self.bytes.len() + bytes.len() > self.bytes.capacity() {
            self.bytes.drain(..self.start as usize);
            self.start = 0;
            self.reserve(bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        self.count += count as u32;
    }

    /// Gives back what is a quarter more than what is in use, but for a little.
    pub(super) fn give_back(&mut self) {
        if self.bytes.capacity() > self.len() + self.len() / 4 + 64 {
            self.fit();
        }
    }

    /// Gives back what is much more than what is in use.
    pub(super) fn fit(&mut self) {
        self.bytes.drain(..self.start as usize);
        self.start = 0;
        let wanted = if self.count == 0 { 0 } else { storage_bytes(self.bytes.len()) };
        if self.bytes.capacity() > wanted {
            self.bytes.shrink_to(wanted);
        }
    }

    /// Makes room for this number of bytes after the content.
    fn reserve(&mut self, more: usize) {
        let wanted = self.bytes.len() + more;
        if wanted > self.bytes.capacity() {
            let storage = storage_bytes(wanted);
            self.bytes.reserve_exact(storage - self.bytes.len());
        }
    }

    fn splice(&mut self, at: usize, end: usize, header: &[u8], parts: &[&[u8]]) {
        let new = parts.iter().fold(header.len(), |sum, part| sum + part.len());
        let (len, old) = (self.bytes.len(), end - at);
        if new > old {
            self.reserve(new - old);
            self.bytes.resize(len + new - old, 0);
        }
        self.bytes.copy_within(end..len, at + new);
        self.bytes.truncate(len + new - old);
        self.put(at, header, parts);
    }

    fn put(&mut self, mut at: usize, header: &[u8], parts: &[&[u8]]) {
        for part in core::iter::once(&header).chain(parts) {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
    }
}

/// Storage for this number of bytes, plus an eighth, plus the rest of the allocator's block.
fn storage_bytes(bytes: usize) -> usize {
    allocation_bytes(bytes + bytes / 8) - 16
}

/// A length as it is written: seven bits in each byte, the lowest first; the last byte is below 128.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    bytes: [u8; 4],
    count: usize,
}

impl Length {
    /// Of up to 21 bits, which is more than any record has.
    #[inline]
    pub(super) fn new(length: usize) -> Self {
        let bits = length as u32;
        // Those before the last one have this bit.
        let (word, count) = match bits {
            ..0x80 => (bits, 1),
            0x80..0x4000 => (0x80 | bits & 0x7f | bits >> 7 << 8, 2),
            _ => (0x8080 | bits & 0x7f | (bits >> 7 & 0x7f) << 8 | bits >> 14 << 16, 3),
        };
        Self { bytes: word.to_le_bytes(), count }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.count]
    }

    /// The length at the start of `bytes`, and what is behind it.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Option<(usize, &[u8])> {
        match *bytes {
            [a @ ..0x80, ref rest @ ..] => Some((a.into(), rest)),
            [a, b @ ..0x80, ref rest @ ..] => Some((usize::from(a & 0x7f) | usize::from(b) << 7, rest)),
            [a, b, c, ref rest @ ..] => {
                Some((usize::from(a & 0x7f) | usize::from(b & 0x7f) << 7 | usize::from(c) << 14, rest))
            }
            _ => None,
        }
    }
}

/// What is before a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    length: Length,
    body_bytes: usize,
}

impl Header {
    /// Of a body that is these parts together.
    #[inline]
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let body_bytes = parts.iter().map(|part| part.len()).sum();
        Self { length: Length::new(body_bytes), body_bytes }
    }

    /// Bytes of the body.
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// What the record takes.
    pub(super) fn record_bytes(&self) -> usize {
        self.length.count + self.body_bytes
    }

    fn as_bytes(&self) -> &[u8] {
        self.length.as_bytes()
    }
}

/// The records of a page.
#[derive(Clone, Debug)]
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let (length, rest) = Length::read(self.bytes.get(self.at..)?)?;
        let body = rest.get(..length)?;
        let at = self.at;
        self.at = self.bytes.len() - rest.len() + length;
        Some(Record { at, end: self.at, body })
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn bodies(page: &Page) -> Vec<&[u8]> {
        page.records().map(|record| record.body).collect()
    }

    fn push_back(page: &mut Page, parts: &[&[u8]]) {
        page.push_back(Header::of(parts), parts);
    }

    #[test]
    fn lengths_are_read_as_they_were_written() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 65_536, 2_097_151] {
            let written = Length::new(length);
            let bytes = [written.as_bytes(), b"rest"].concat();
            assert_eq!(Length::read(&bytes), Some((length, &b"rest"[..])), "{length}");
            assert!(Length::read(&bytes[..written.as_bytes().len() - 1]).is_none());
        }
    }

    #[test]
    fn records_are_added_and_taken_at_either_end_and_between() {
        let mut page = Page::default();
        push_back(&mut page, &[b"b", b"b"]);
        push_back(&mut page, &[b"d"]);
        page.push_front(Header::of(&[b"a"]), &[b"a"]);
        page.push_front(Header::of(&[&[b'x'; 300]]), &[&[b'x'; 300]]);
        assert_eq!((bodies(&page), page.count()), (vec![&[b'x'; 300][..], b"a", b"bb", b"d"], 4));
        let at = page.last().expect("four").at;
        page.insert(at, &[b"c"]);
        let first = page.first().expect("five");
        page.remove(first.at, first.end);
        let second = page.records().nth(1).expect("four");
        page.replace(second.at, second.end, &[b"BBB"]);
        assert_eq!(bodies(&page), [&b"a"[..], b"BBB", b"c", b"d"]);
        let third = page.records().nth(2).expect("four").at;
        let other = page.split_off(third, 2);
        assert_eq!((bodies(&page), bodies(&other)), (vec![&b"a"[..], b"BBB"], vec![&b"c"[..], b"d"]));
        page.append(&other);
        assert_eq!((bodies(&page), page.count()), (vec![&b"a"[..], b"BBB", b"c", b"d"], 4));
    }

    #[test]
    fn an_emptied_page_has_nothing_left() {
        let mut page = Page::default();
        for _ in 0..20 {
            push_back(&mut page, &[&[b'v'; 100]]);
        }
        let full = page.memory();
        assert!((2020..2420).contains(&full), "{full}");
        for left in (0..20).rev() {
            let first = page.first().expect("not empty");
            page.remove(first.at, first.end);
            page.give_back();
            assert!(page.memory() <= left * 101 * 5 / 4 + 160, "{} bytes for {left}", page.memory());
        }
        assert_eq!(page.memory(), 0);
    }
}
