//! Frames in a byte stream, as in QEMU's `stream` network: each frame follows its length in four bytes, big-endian.
//! One read or write can carry many frames.
//!
//! It knows no socket: the caller passes in a reader and a writer.

use std::io::{self, ErrorKind, Read, Write};

use crate::frame::FRAME_BYTES_MAX;

/// Bytes of the length before a frame.
const LENGTH_BYTES: usize = 4;
/// Bytes that are read at once; a longer frame is none that QEMU sends.
const READ_BYTES: usize = 128 * 1024;
/// Most bytes that wait for a station; a frame on top of them is lost, as in any switch.
pub const QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// Above this number of bytes, senders that can wait do so.
pub const QUEUE_BYTES_BUSY: usize = 256 * 1024;

/// Frames that come in.
#[derive(Debug)]
pub struct FrameReader {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

/// What a read has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Bytes.
    Some {
        /// There was room for more of them.
        is_drained: bool,
    },
    /// Nothing for now.
    Nothing,
    /// The end of the stream.
    End,
}

/// The stream is none of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFrame;

impl Default for FrameReader {
    fn default() -> Self {
        Self { bytes: vec![0; READ_BYTES].into(), start: 0, end: 0 }
    }
}

impl FrameReader {
    /// Reads once, as much as there is room for.
    ///
    /// # Errors
    /// The stream's own.
    pub fn fill(&mut self, stream: &mut impl Read) -> io::Result<Filled> {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        match stream.read(&mut self.bytes[self.end..]) {
            Ok(0) => Ok(Filled::End),
            Ok(count) => {
                self.end += count;
                Ok(Filled::Some { is_drained: self.end < self.bytes.len() })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Filled::Nothing),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Filled::Some { is_drained: false }),
            Err(error) => Err(error),
        }
    }

    /// Takes the next whole frame. One that is longer than Ethernet has them is skipped.
    ///
    /// # Errors
    /// When a length is beyond all frames.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, NoFrame> {
        loop {
            let Some((length, rest)) = self.bytes[self.start..self.end].split_first_chunk::<LENGTH_BYTES>()
            else {
                return Ok(None);
            };
            let length = u32::from_be_bytes(*length) as usize;
            if length > READ_BYTES - LENGTH_BYTES {
                return Err(NoFrame);
            }
            if rest.len() < length {
                return Ok(None);
            }
            let begin = self.start + LENGTH_BYTES;
            self.start = begin + length;
            if length <= FRAME_BYTES_MAX {
                return Ok(Some(&self.bytes[begin..begin + length]));
            }
        }
    }
}

/// Frames that go out.
#[derive(Debug, Default)]
pub struct FrameQueue {
    bytes: Vec<u8>,
    sent: usize,
}

impl FrameQueue {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a frame; false when it is lost because too much waits.
    pub fn push(&mut self, frame: &[u8]) -> bool {
        let fits = self.len() + frame.len() <= QUEUE_BYTES_MAX;
        if fits {
            self.bytes.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            self.bytes.extend_from_slice(frame);
        }
        fits
    }

    /// Adds a frame of this length, written in place.
    pub fn write<R>(&mut self, length: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
        self.bytes.extend_from_slice(&(length as u32).to_be_bytes());
        let start = self.bytes.len();
        self.bytes.resize(start + length, 0);
        write(&mut self.bytes[start..])
    }

    /// The last frame added, `length` bytes long.
    pub fn last(&self, length: usize) -> &[u8] {
        &self.bytes[self.bytes.len() - length..]
    }

    /// Takes that frame away again.
    pub fn undo(&mut self, length: usize) {
        self.bytes.truncate(self.bytes.len() - length - LENGTH_BYTES);
    }

    /// Writes what waits; true when all of it went.
    ///
    /// # Errors
    /// The stream's own.
    pub fn flush(&mut self, stream: &mut impl Write) -> io::Result<bool> {
        while self.sent < self.bytes.len() {
            match stream.write(&self.bytes[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.bytes.drain(..self.sent);
                    self.sent = 0;
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.clear();
        Ok(true)
    }

    /// Hands on what waits, frame by frame, until one is not taken; whether all were.
    ///
    /// # Errors
    /// What `take` says.
    pub fn take<E>(&mut self, mut take: impl FnMut(&[u8]) -> Result<bool, E>) -> Result<bool, E> {
        while let Some((length, rest)) = self.bytes[self.sent..].split_first_chunk::<LENGTH_BYTES>() {
            let length = u32::from_be_bytes(*length) as usize;
            if !take(&rest[..length])? {
                self.bytes.drain(..self.sent);
                self.sent = 0;
                return Ok(false);
            }
            self.sent += LENGTH_BYTES + length;
        }
        self.clear();
        Ok(true)
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_whatever_the_pieces() {
        let frames: Vec<Vec<u8>> = (0..40_u8).map(|number| vec![number; usize::from(number) * 37]).collect();
        let mut queue = FrameQueue::default();
        assert!(frames.iter().all(|frame| queue.push(frame)));
        let mut stream = Vec::new();
        assert!(queue.flush(&mut stream).expect("memory takes all") && queue.is_empty());
        for piece in [1, 3, 1000, stream.len()] {
            let (mut reader, mut found) = (FrameReader::default(), Vec::new());
            for mut part in stream.chunks(piece) {
                assert!(matches!(reader.fill(&mut part).expect("readable"), Filled::Some { .. }));
                while let Some(frame) = reader.next_frame().expect("frames") {
                    found.push(frame.to_vec());
                }
            }
            assert_eq!(found, frames, "{piece}");
        }
    }

    #[test]
    fn an_oversized_frame_is_skipped_and_an_impossible_length_ends_the_stream() {
        let (mut queue, mut stream) = (FrameQueue::default(), Vec::new());
        queue.push(&[1; FRAME_BYTES_MAX + 1]);
        queue.push(b"next");
        queue.flush(&mut stream).expect("memory takes all");
        stream.extend_from_slice(&[0xff; 4]);
        let mut reader = FrameReader::default();
        reader.fill(&mut stream.as_slice()).expect("readable");
        assert_eq!(reader.next_frame(), Ok(Some(b"next".as_slice())));
        assert_eq!(reader.next_frame(), Err(NoFrame));
    }

    #[test]
    fn a_queue_is_bounded_and_a_frame_can_be_taken_back() {
        let mut queue = FrameQueue::default();
        queue.write(3, |bytes| bytes.copy_from_slice(b"abc"));
        assert_eq!(queue.last(3), b"abc");
        queue.undo(3);
        assert!(queue.is_empty());
        while queue.push(&[0; FRAME_BYTES_MAX]) {}
        assert!(queue.len() <= QUEUE_BYTES_MAX + 8 * 1024);
    }
}
