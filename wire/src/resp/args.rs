//! The arguments of a request: slices of bytes that belong to another buffer.
//!
//! The exception is [`ArgsBuffer`], a copy of requests that must outlive their input (`MULTI`).

use alloc::vec::Vec;
use core::ops::Index;

/// Where one argument lies in its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// `start..end`, both below 4 GiB: what holds them is bounded far below.
    pub(super) const fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A request's arguments in order; the first is the command's name.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    pub(super) const fn new(bytes: &'a [u8], spans: &'a [Span]) -> Self {
        Self { bytes, spans }
    }

    /// How many there are, the name included; zero for a blank line or an empty array.
    pub const fn len(self) -> usize {
        self.spans.len()
    }

    /// Whether there is not even a name; such requests are passed over without a reply.
    pub const fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `index`.
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| span.of(self.bytes))
    }

    /// The arguments from the one at `index` on; none beyond the end.
    #[inline]
    pub fn starting_at(self, index: usize) -> Self {
        Self { spans: self.spans.get(index..).unwrap_or_default(), ..self }
    }

    /// All arguments, the name first.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone {
        self.spans.iter().map(move |span| span.of(self.bytes))
    }
}

/// The argument at an index; panics beyond the end, so check the count first.
impl Index<usize> for Args<'_> {
    type Output = [u8];

    fn index(&self, index: usize) -> &[u8] {
        self.spans[index].of(self.bytes)
    }
}

/// Copies of requests, in order, in storage that is used again after [`ArgsBuffer::clear`].
#[derive(Debug, Default)]
pub struct ArgsBuffer {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    /// Where each request's spans end.
    ends: Vec<usize>,
}

impl ArgsBuffer {
    /// Nothing copied yet.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), spans: Vec::new(), ends: Vec::new() }
    }

    /// Appends a copy of a request. The caller bounds [`ArgsBuffer::len`] and [`ArgsBuffer::bytes`].
    pub fn push<'a>(&mut self, args: impl IntoIterator<Item = &'a [u8]>) {
        for argument in args {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(argument);
            self.spans.push(Span::new(start, self.bytes.len()));
        }
        self.ends.push(self.spans.len());
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all arguments, with what it takes to find them.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<Span>()
    }

    /// Bytes that are allocated, in use or not.
    pub fn storage_bytes(&self) -> usize {
        let Self { bytes, spans, ends } = self;
        bytes.capacity() + spans.capacity() * size_of::<Span>() + ends.capacity() * size_of::<usize>()
    }

    /// The request at `index`.
    pub fn get(&self, index: usize) -> Option<Args<'_>> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(Args::new(&self.bytes, &self.spans[start..end]))
    }

    /// Drops the copies and keeps the storage.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_outlive_their_input_and_keep_apart() {
        let mut copies = ArgsBuffer::new();
        {
            let input = b"GETkeyPING".to_vec();
            copies.push(Args::new(&input, &[Span::new(0, 3), Span::new(3, 6)]).iter());
            copies.push(Args::new(&input, &[Span::new(6, 10)]).iter());
        }
        let first = copies.get(0).expect("pushed");
        assert_eq!((first.len(), &first[0], &first[1]), (2, &b"GET"[..], &b"key"[..]));
        let second = copies.get(1).expect("pushed");
        assert_eq!((second.len(), second.get(0), second.get(1)), (1, Some(&b"PING"[..]), None));
        assert!(copies.get(2).is_none());
        copies.clear();
        assert!(copies.is_empty() && copies.bytes() == 0);
    }
}
