//! Frames on a connection to QEMU, each after its length.

use std::io::{self, ErrorKind};

use mio::net::UnixStream;

use crate::queue::{Filled, FrameQueue, FrameReader, NoFrame};

/// Reads of one machine before others have their turn.
const READS_PER_TURN_MAX: usize = 4;

/// A connection.
#[derive(Debug)]
pub struct StreamLink {
    stream: UnixStream,
    reader: FrameReader,
    /// The machine's end is in sight: it takes another read, however short the last one was.
    pub closing: bool,
}

impl StreamLink {
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, reader: FrameReader::default(), closing: false }
    }

    /// Reads frames and hands them on; whether there may be more.
    pub fn read(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<bool> {
        let mut has_more = true;
        for _ in 0..READS_PER_TURN_MAX {
            match self.reader.fill(&mut self.stream)? {
                Filled::Nothing => return Ok(false),
                // epoll(7): a stream that gave less than it was asked for has no more, and tells when it has.
                Filled::Some { is_drained } => has_more = self.closing || !is_drained,
                Filled::End => return Err(ErrorKind::UnexpectedEof.into()),
            }
            // Only a QEMU that is out of its guest's hands could send what is no frame.
            while let Some(frame) = self.reader.next_frame().map_err(|NoFrame| ErrorKind::InvalidData)? {
                take(frame);
            }
            if !has_more {
                break;
            }
        }
        Ok(has_more)
    }

    /// Sends what waits.
    pub fn flush(&mut self, queue: &mut FrameQueue) -> io::Result<()> {
        queue.flush(&mut self.stream).map(drop)
    }
}
