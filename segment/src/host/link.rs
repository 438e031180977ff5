//! The cable of one machine: a listening unix socket, and QEMU's end of it after it has connected. A restarted
//! machine connects again and has the same addresses.

use std::io;

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use super::folder::{Folder, link_name};
use crate::queue::{Filled, FrameQueue, FrameReader};

/// Reads of one machine before others have their turn.
const READS_PER_TURN_MAX: usize = 4;

/// A unix socket, and the connection that QEMU has made to it.
#[derive(Debug)]
pub struct Link {
    listener: UnixListener,
    stream: Option<UnixStream>,
    reader: FrameReader,
    /// There may be more to read.
    pub readable: bool,
    /// The machine's end is in sight: it takes another read, however short the last one was.
    closing: bool,
}

/// What there is to say of a link after it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// It is as it was.
    Open,
    /// The machine has gone.
    Gone,
}

impl Link {
    pub fn new(station: &str, folder: &Folder) -> io::Result<Self> {
        let listener = UnixListener::bind(folder.socket(&link_name(station)))?;
        Ok(Self { listener, stream: None, reader: FrameReader::default(), readable: false, closing: false })
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.listener, token, Interest::READABLE)
    }

    /// Plugs in the machines that have connected, of which the last one counts; whether there was one.
    pub fn accept(&mut self, registry: &Registry, token: Token) -> bool {
        let mut is_new = false;
        // Anything but a stream means that none waits.
        while let Ok((mut stream, _)) = self.listener.accept() {
            if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
                self.reader = FrameReader::default();
                self.stream = Some(stream);
                (self.readable, self.closing) = (true, false);
                is_new = true;
            }
        }
        is_new
    }

    /// What is known of the stream.
    pub fn note(&mut self, readable: bool, closing: bool) {
        self.readable |= readable;
        self.closing |= closing;
    }

    /// Reads frames and hands them on.
    pub fn read(&mut self, mut take: impl FnMut(&[u8])) -> Read {
        let Some(stream) = &mut self.stream else {
            self.readable = false;
            return Read::Open;
        };
        for _ in 0..READS_PER_TURN_MAX {
            match self.reader.fill(stream) {
                Ok(Filled::Nothing) => {
                    self.readable = false;
                    return Read::Open;
                }
                // epoll(7): a stream that gave less than it was asked for has no more, and tells when it has.
                Ok(Filled::Some { is_drained }) => self.readable = self.closing || !is_drained,
                Ok(Filled::End) | Err(_) => return self.unplug(),
            }
            loop {
                match self.reader.next_frame() {
                    Ok(Some(frame)) => take(frame),
                    Ok(None) => break,
                    // Only a QEMU that is out of its guest's hands could say this.
                    Err(_) => return self.unplug(),
                }
            }
            if !self.readable {
                break;
            }
        }
        Read::Open
    }

    /// Sends what waits.
    pub fn flush(&mut self, queue: &mut FrameQueue) -> Read {
        let Some(stream) = &mut self.stream else {
            queue.clear();
            return Read::Open;
        };
        if queue.flush(stream).is_err() { self.unplug() } else { Read::Open }
    }

    fn unplug(&mut self) -> Read {
        self.stream = None;
        self.readable = false;
        Read::Gone
    }
}
