//! A bounded byte queue whose content is always one contiguous slice.
//!
//! It is not a ring buffer, because parsers need slices. Consumed space is reclaimed by moving the rest, and only
//! when the space is needed.

use alloc::vec::Vec;
use core::fmt;

/// Bytes in arrival order, at most `limit` of them.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    limit: usize,
}

/// The buffer has no room for what was to be written, or there is no memory for it; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Bytes that were to be written.
    pub wanted: usize,
    /// Bytes that would have fitted.
    pub space: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes do not fit in the {} left", self.wanted, self.space)
    }
}

impl core::error::Error for Full {}

impl Buffer {
    /// An empty buffer for at most `limit` bytes; allocates on first use.
    pub const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, limit }
    }

    /// The queued bytes, oldest first.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// How many bytes are queued.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many more bytes fit.
    pub fn space(&self) -> usize {
        self.limit.saturating_sub(self.len())
    }

    /// Drops the oldest `count` bytes (all, when there are fewer).
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Drops the newest bytes, so that `len` of them stay.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.start + len);
    }

    /// Changes the limit; bytes beyond a lower one stay until they are consumed.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Gives back storage for more than `bytes` bytes, as far as the queued ones do not need it.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.bytes.shrink_to(bytes);
    }

    /// Bytes that are allocated, in use or not.
    pub fn storage_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Drops everything and keeps the allocation.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Appends all of `bytes`, or nothing.
    ///
    /// # Errors
    /// [`Full`] when they do not fit within the limit.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.make_room(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends the first `len` bytes of a short piece, or nothing.
    ///
    /// # Errors
    /// [`Full`] when they do not fit within the limit.
    #[inline]
    pub fn write_start(&mut self, piece: [u8; 8], len: usize) -> Result<(), Full> {
        self.make_room(len)?;
        append_start(&mut self.bytes, piece, len);
        Ok(())
    }

    /// Appends as much of `bytes` as fits and says how much that was.
    pub fn write_some(&mut self, bytes: &[u8]) -> usize {
        let mut count = bytes.len().min(self.space());
        if !self.has_storage(count) {
            count = self.bytes.capacity() - self.bytes.len();
        }
        self.bytes.extend_from_slice(&bytes[..count]);
        count
    }

    /// Space for `bytes` more, to be filled in pieces without asking the buffer about each.
    ///
    /// # Errors
    /// [`Full`] when this number of bytes does not fit within the limit.
    pub fn reserve(&mut self, bytes: usize) -> Result<Room<'_>, Full> {
        self.make_room(bytes)?;
        Ok(Room { bytes: &mut self.bytes, left: bytes })
    }

    /// Room for `count` bytes within the limit and the memory that there is.
    #[inline]
    fn make_room(&mut self, count: usize) -> Result<(), Full> {
        if count > self.space() {
            return Err(Full { wanted: count, space: self.space() });
        }
        if !self.has_storage(count) {
            return Err(Full { wanted: count, space: self.bytes.capacity() - self.bytes.len() });
        }
        Ok(())
    }

    /// Whether `count` bytes can be appended, after a look for storage if need be.
    #[inline]
    fn has_storage(&mut self, count: usize) -> bool {
        self.bytes.len() + count <= self.bytes.capacity() || self.compact_or_grow(count)
    }

    /// Moves the rest to the front, and grows the allocation when that does not help: to a power of two, so that freed
    /// storage suits the next buffer, and not beyond the limit. Says whether there was memory for it: in a heap in use
    /// for long, a piece of this size may be missing when there is enough of it.
    #[cold]
    #[inline(never)]
    fn compact_or_grow(&mut self, count: usize) -> bool {
        self.bytes.drain(..self.start);
        self.start = 0;
        let wanted = self.bytes.len() + count;
        if wanted <= self.bytes.capacity() {
            return true;
        }
        let storage = wanted.next_power_of_two().min(self.limit.max(wanted));
        self.bytes.try_reserve_exact(storage - self.bytes.len()).is_ok()
    }
}

/// Reserved space at the end of a [`Buffer`].
#[derive(Debug)]
pub struct Room<'a> {
    bytes: &'a mut Vec<u8>,
    left: usize,
}

impl Room<'_> {
    /// Appends `piece`; a piece beyond what was reserved is a mistake of the caller and is left out.
    #[inline]
    pub fn put(&mut self, piece: &[u8]) {
        debug_assert!(piece.len() <= self.left, "{} bytes in {} reserved", piece.len(), self.left);
        if let Some(left) = self.left.checked_sub(piece.len()) {
            self.left = left;
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Appends the first `len` bytes of a short piece, as [`Room::put`] does.
    #[inline]
    pub fn put_start(&mut self, piece: [u8; 8], len: usize) {
        debug_assert!(len <= self.left, "{len} bytes in {} reserved", self.left);
        if let Some(left) = self.left.checked_sub(len) {
            self.left = left;
            append_start(self.bytes, piece, len);
        }
    }
}

/// Appends the first `len` bytes of a piece. Where there is room it is copied whole, which is quicker.
#[inline]
fn append_start(bytes: &mut Vec<u8>, piece: [u8; 8], len: usize) {
    let end = bytes.len() + len;
    if bytes.capacity() - bytes.len() >= piece.len() {
        bytes.extend_from_slice(&piece);
        bytes.truncate(end);
    } else {
        bytes.extend_from_slice(&piece[..len]);
    }
}

/// Formats straight into the buffer; fails as a whole write does when there is no room.
impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_does_not_fit_writes_nothing() {
        let mut buffer = Buffer::new(4);
        buffer.write(b"abc").expect("fits");
        assert_eq!(buffer.write(b"de"), Err(Full { wanted: 2, space: 1 }));
        assert_eq!(buffer.as_slice(), b"abc");
        assert_eq!(buffer.write_some(b"de"), 1);
        assert_eq!(buffer.as_slice(), b"abcd");
    }

    #[test]
    fn without_memory_a_buffer_is_full() {
        let mut buffer = Buffer::new(usize::MAX);
        buffer.write(b"abcd").expect("fits");
        buffer.consume(1);
        let wanted = usize::MAX / 4;
        assert_eq!(buffer.reserve(wanted).err(), Some(Full { wanted, space: 1 }));
        assert_eq!(buffer.as_slice(), b"bcd");
    }

    #[test]
    fn reserved_space_is_bounded_and_may_stay_unused() {
        let mut buffer = Buffer::new(4);
        assert_eq!(buffer.reserve(5).err(), Some(Full { wanted: 5, space: 4 }));
        let mut room = buffer.reserve(4).expect("fits");
        room.put(b"ab");
        room.put(b"c");
        assert_eq!(buffer.as_slice(), b"abc");
        assert_eq!(buffer.space(), 1);
    }

    #[test]
    fn the_start_of_a_short_piece_is_appended_whatever_room_there_is() {
        for limit in 0..20 {
            let (mut buffer, mut reserved) = (Buffer::new(limit), Buffer::new(limit));
            for len in [3, 8, 1, 0, 5] {
                let before = buffer.len();
                let written = buffer.write_start(*b"12345678", len);
                assert_eq!(written.is_ok(), before + len <= limit, "{len} bytes after {before} of {limit}");
                if let Ok(mut room) = reserved.reserve(len) {
                    room.put_start(*b"12345678", len);
                }
                assert_eq!(buffer.as_slice(), reserved.as_slice());
                assert!(b"12345678".starts_with(&buffer.as_slice()[before..]));
            }
        }
    }

    #[test]
    fn consumed_space_is_used_again_without_growing() {
        let mut buffer = Buffer::new(8);
        buffer.write(b"12345678").expect("fits");
        let capacity = buffer.bytes.capacity();
        for _ in 0..100 {
            buffer.consume(3);
            buffer.write(b"abc").expect("fits");
        }
        assert_eq!(buffer.len(), 8);
        assert_eq!(buffer.bytes.capacity(), capacity);
    }
}
