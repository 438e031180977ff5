//! The cable of one machine: a listening unix socket, and QEMU's end of it after it has connected. A restarted
//! machine connects again and has the same addresses.

use std::io;

use mio::net::UnixListener;
use mio::{Interest, Registry, Token};

use super::folder::{Folder, link_name};
use super::shared_card::SharedCard;
use super::stream_link::StreamLink;
use crate::queue::FrameQueue;

/// How frames pass between a machine and the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cable {
    /// As bytes of the socket, each after its length.
    Stream,
    /// In virtqueues that the VMM shares; the socket is for its orders (vhost-user).
    SharedMemory,
}

/// A unix socket, and the connection that QEMU has made to it.
#[derive(Debug)]
pub struct Link {
    listener: UnixListener,
    cable: Cable,
    end: Option<End>,
    /// There may be more to read.
    pub readable: bool,
}

#[derive(Debug)]
enum End {
    Stream(StreamLink),
    Card(Box<SharedCard>),
}

/// Under which tokens a link has its news.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// For the connection.
    pub connection: Token,
    /// For kicks of the first queue; those of the others follow.
    pub kicks: Token,
}

impl Link {
    pub fn new(station: &str, folder: &Folder, cable: Cable) -> io::Result<Self> {
        let listener = UnixListener::bind(folder.socket(&link_name(station)))?;
        Ok(Self { listener, cable, end: None, readable: false })
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.listener, token, Interest::READABLE)
    }

    /// Plugs in the machines that have connected, of which the last one counts; whether there was one.
    pub fn accept(&mut self, registry: &Registry, tokens: Tokens) -> bool {
        let mut is_new = false;
        // Anything but a stream means that none waits.
        while let Ok((mut stream, _)) = self.listener.accept() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            if registry.register(&mut stream, tokens.connection, interest).is_ok() {
                self.unplug(registry);
                self.end = Some(match self.cable {
                    Cable::Stream => End::Stream(StreamLink::new(stream)),
                    Cable::SharedMemory => End::Card(Box::new(SharedCard::new(stream, tokens.kicks))),
                });
                self.readable = true;
                is_new = true;
            }
        }
        is_new
    }

    /// What is known of the connection.
    pub fn note(&mut self, readable: bool, closing: bool) {
        self.readable |= readable;
        match &mut self.end {
            Some(End::Stream(stream)) => stream.closing |= closing,
            Some(End::Card(card)) => card.has_orders |= readable,
            None => {}
        }
    }

    /// Reads frames and hands them on.
    ///
    /// # Errors
    /// When the machine has gone, or what comes from it is invalid; it is unplugged then.
    pub fn read(&mut self, registry: &Registry, take: impl FnMut(&[u8])) -> io::Result<()> {
        let has_more = match &mut self.end {
            None => Ok(false),
            Some(End::Stream(stream)) => stream.read(take),
            Some(End::Card(card)) => card.read(registry, take),
        };
        self.readable = matches!(has_more, Ok(true));
        has_more.map(drop).inspect_err(|_| self.unplug(registry))
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn flush(&mut self, registry: &Registry, queue: &mut FrameQueue) -> io::Result<()> {
        let sent = match &mut self.end {
            None => {
                queue.clear();
                Ok(())
            }
            Some(End::Stream(stream)) => stream.flush(queue),
            Some(End::Card(card)) => card.flush(queue),
        };
        sent.inspect_err(|_| self.unplug(registry))
    }

    fn unplug(&mut self, registry: &Registry) {
        if let Some(End::Card(card)) = &mut self.end {
            card.stop(registry);
        }
        self.end = None;
        self.readable = false;
    }
}
