//! One relayed connection: a TCP socket to a station, a stream of the host, and the bytes and ends of both directions
//! between them.
//!
//! Bytes go directly from the stream to the socket's buffer and back. Data that one side does not accept waits at the
//! other; this is all the flow control there is.

use std::io::{self, ErrorKind};
use std::time::Duration;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;

use super::stream::{News, Stream};

/// Receive window towards a station.
const RECEIVE_BYTES: usize = 32 * 1024;
/// Unacknowledged and unsent bytes towards a station.
const SEND_BYTES: usize = 32 * 1024;
/// How long a station may be silent, probes and all, before the connection counts as lost.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a silent connection is probed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A TCP socket and a stream of the host, with the bytes between them.
pub struct Relay<S> {
    /// A set of this one socket: smoltcp looks at all of a set for each segment.
    pub set: SocketSet<'static>,
    /// Index of the station.
    pub station: usize,
    /// Port of the gateway, and of the station.
    pub ports: (u16, u16),
    /// Whether it waits to be looked at.
    pub is_touched: bool,
    stream: S,
    readable: bool,
    writable: bool,
    /// The end of what comes is in sight: it takes another read, however short the last one was.
    closing: bool,
    /// The SYN of a station, until the server outside has taken the connection.
    knock: Option<Vec<u8>>,
    /// The station has answered.
    established: bool,
    /// The host's side has ended what it sends.
    stream_ended: bool,
    /// The station has, and the host's side has been told.
    station_ended: bool,
    is_lost: bool,
}

/// What becomes of a relay after it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on when something happens.
    Open,
    /// It goes on when there is room on the way to the station.
    Stalled,
    /// It has ended.
    Over,
}

/// The socket of a set of one.
pub fn socket<'a>(set: &'a mut SocketSet<'static>) -> &'a mut tcp::Socket<'static> {
    set.get_mut(SocketHandle::default())
}

/// A set of one new socket.
pub fn new_set() -> SocketSet<'static> {
    let mut set = SocketSet::new(Vec::with_capacity(1));
    set.add(new_socket());
    set
}

fn new_socket() -> tcp::Socket<'static> {
    let buffer = |bytes| tcp::SocketBuffer::new(vec![0; bytes]);
    let mut socket = tcp::Socket::new(buffer(RECEIVE_BYTES), buffer(SEND_BYTES));
    let span = |span: Duration| Some(smoltcp::time::Duration::from(span));
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    socket.set_timeout(span(RESPONSE_TIMEOUT));
    socket.set_keep_alive(span(KEEP_ALIVE));
    socket
}

impl<S: Stream> Relay<S> {
    /// A relay that has just begun: by the host's side, or by a station with this SYN.
    pub fn new(
        set: SocketSet<'static>,
        stream: S,
        station: usize,
        ports: (u16, u16),
        knock: Option<Vec<u8>>,
    ) -> Self {
        Self {
            set,
            station,
            ports,
            is_touched: false,
            stream,
            readable: true,
            writable: true,
            closing: false,
            knock,
            established: false,
            stream_ended: false,
            station_ended: false,
            is_lost: false,
        }
    }

    /// Whether the server outside has not taken the connection yet.
    pub fn is_connecting(&self) -> bool {
        self.knock.is_some()
    }

    /// What is known of the stream.
    pub fn note(&mut self, news: News) {
        self.readable |= news.readable;
        self.writable |= news.writable;
        self.closing |= news.closing;
    }

    /// The station is gone.
    pub fn lose(&mut self) {
        self.is_lost = true;
        socket(&mut self.set).abort();
    }

    /// Looks whether the server outside has answered: then the station's SYN is `ingest`ed, with this
    /// socket or, when there is no server, with none. Gives a fate as long as there is nothing to relay.
    pub fn connect(&mut self, ingest: impl FnOnce(Option<&mut SocketSet<'static>>, &[u8])) -> Option<Fate> {
        let syn = self.knock.as_deref()?;
        match self.stream.is_connected() {
            _ if self.is_lost => Some(Fate::Over),
            Ok(false) => Some(Fate::Open),
            Err(_) => {
                ingest(None, syn);
                Some(Fate::Over)
            }
            Ok(true) => {
                // Cannot fail: the socket is closed, and the port is not 0.
                if socket(&mut self.set).listen(self.ports.0).is_err() {
                    return Some(Fate::Over);
                }
                ingest(Some(&mut self.set), syn);
                self.knock = None;
                None
            }
        }
    }

    /// Moves bytes both ways, and the ends.
    pub fn exchange(&mut self) {
        let socket = self.set.get_mut::<tcp::Socket<'_>>(SocketHandle::default());
        self.established |= !matches!(
            socket.state(),
            tcp::State::Closed | tcp::State::Listen | tcp::State::SynSent | tcp::State::SynReceived
        );
        if !self.established {
            return;
        }
        let moved = self.feed_station().and_then(|()| self.feed_stream());
        if moved.is_err() {
            self.is_lost = true;
            self::socket(&mut self.set).abort();
        }
    }

    fn feed_station(&mut self) -> io::Result<()> {
        let socket = self.set.get_mut::<tcp::Socket<'_>>(SocketHandle::default());
        while self.readable && !self.stream_ended && socket.can_send() {
            let stream = &mut self.stream;
            let read = socket.send(|room| match stream.read(room) {
                Ok(count) => (count, Ok((count, count < room.len()))),
                Err(error) => (0, Err(error)),
            });
            match read.unwrap_or(Ok((0, false))) {
                Ok((0, _)) => {
                    self.stream_ended = true;
                    socket.close();
                }
                // epoll(7): a stream that gave less than it was asked for has no more, and tells when it has.
                Ok((_, is_drained)) => self.readable = self.closing || !is_drained,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn feed_stream(&mut self) -> io::Result<()> {
        let socket = self.set.get_mut::<tcp::Socket<'_>>(SocketHandle::default());
        while self.writable && socket.can_recv() {
            let stream = &mut self.stream;
            let written = socket.recv(|bytes| match stream.write(bytes) {
                Ok(count) => (count, Ok(())),
                Err(error) => (0, Err(error)),
            });
            match written.unwrap_or(Ok(())) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let has_ended = !socket.may_recv() && !socket.can_recv() && socket.state() != tcp::State::Closed;
        if has_ended && !self.station_ended {
            self.station_ended = true;
            self.stream.end_output()?;
        }
        Ok(())
    }

    /// What becomes of it, after its segments were sent.
    pub fn fate(&mut self, is_busy: bool) -> Fate {
        let socket = self.set.get_mut::<tcp::Socket<'_>>(SocketHandle::default());
        match socket.state() {
            // Waiting for stray segments would serve nobody: the next connection has another port.
            tcp::State::TimeWait if self.station_ended => Fate::Over,
            tcp::State::Closed if socket.remote_endpoint().is_some() => Fate::Stalled,
            tcp::State::Closed => {
                // An end of one side, or of both without a word, is an error to the other.
                if self.is_lost || !(self.station_ended && self.stream_ended) {
                    self.stream.reset_on_close();
                }
                Fate::Over
            }
            _ if is_busy => Fate::Stalled,
            _ => Fate::Open,
        }
    }

    /// The socket, ready for the next connection. The stream is closed.
    pub fn into_set(mut self) -> SocketSet<'static> {
        // A new one in the old one's place would take buffers anew; `listen` makes it forget its past.
        let socket = socket(&mut self.set);
        socket.abort();
        if socket.listen(1).is_ok() {
            socket.close();
        }
        self.set
    }
}
