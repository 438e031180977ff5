//! The kernel's TCP sockets behind the [`Network`] interface, with epoll through mio.
//!
//! It knows nothing about services or protocols, and waits only in [`Network::wait`]. `intake` accepts connections;
//! `transfer` moves their bytes and closes them.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::boxed::Box;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::string::ToString as _;
use std::sync::Arc;
use std::vec::Vec;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Protocol, SockFilter, SockRef, Type};

use super::dial::Dials;
use super::socket::{READ_BYTES, Socket, tune};
use crate::connections::{CONNECTIONS_MAX, ConnectionId, Connections};
use crate::network::{Event, ListenError, Network};
use crate::service::Origin;
use wire::Instant;

/// Connections that the kernel completes while the loop is busy or has no room; the kernel may allow fewer
/// (`net.core.somaxconn`).
pub const BACKLOG: i32 = 4096;
/// Connections that are accepted on one port before services get their turn.
pub const ACCEPTS_PER_TURN_MAX: usize = 256;
/// Sockets with news that are looked at in one turn.
pub const EVENTS_PER_TURN_MAX: usize = 1024;
/// How long the other side may take to close after our FIN.
pub const DRAIN_MAX: Duration = Duration::from_secs(1);
/// Wait after the kernel refused an accept for want of files or memory, unless a socket closes before.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// How often it is asked whether somebody may make room for a connection that waits.
pub const ROOM_RETRY: Duration = Duration::from_millis(50);
/// How often the log says that the kernel refused an accept.
pub const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The instruction of a socket filter that keeps this number of bytes of a packet; 0 drops the packet.
const BPF_RETURN: u16 = 0x06;

/// Tokens of sockets are their connections' indices, below `dial::FIRST_TOKEN`.
pub(super) const FIRST_LISTENER: usize = 1 << 17;
pub(super) const WAKER: Token = Token(1 << 18);
pub(super) const STOP: Token = Token((1 << 18) + 1);

/// A port that accepts connections.
#[derive(Debug)]
pub(super) struct Port {
    pub listener: TcpListener,
    pub service: usize,
    pub origin: Origin,
    /// Connections may be waiting.
    pub waiting: bool,
}

/// The sockets of a process.
#[derive(Debug)]
pub struct LinuxNetwork {
    pub(super) poll: Poll,
    pub(super) news: Events,
    /// `news` was filled by `wait` and not yet looked at.
    has_news: bool,
    address: IpAddr,
    pub(super) ports: Vec<Port>,
    /// By [`ConnectionId::index`].
    pub(super) sockets: Vec<Option<Socket>>,
    pub(super) dials: Dials,
    /// Sockets to look at in the next `poll`, by index; each at most once.
    pub(super) queue: Vec<usize>,
    /// The queue's allocation while its content is worked on.
    pub(super) queue_spare: Vec<usize>,
    /// Connections that ended and are still to be reported.
    pub(super) over: Vec<ConnectionId>,
    /// When accepting may go on after the kernel refused.
    pub(super) accept_at: Option<Instant>,
    /// When the log may say again that the kernel refused.
    pub(super) accept_log_at: Option<Instant>,
    /// Accepted while the table was full, with the index of its port.
    pub(super) held: Option<(TcpStream, usize)>,
    /// Connections wait and the table has room.
    accept_due: bool,
    /// When the first of the draining sockets may have taken too long.
    pub(super) drain_check_at: Option<Instant>,
    pub(super) scratch: Box<[u8]>,
    /// No more connections are wanted but those that wait already.
    pub(super) is_closing: bool,
    stop: Option<mio::net::UnixStream>,
    pub(super) must_stop: bool,
    waker: Arc<Waker>,
}

impl LinuxNetwork {
    /// A network that will listen on `address`.
    ///
    /// # Errors
    /// When the process may not have an epoll descriptor.
    pub fn new(address: IpAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            news: Events::with_capacity(EVENTS_PER_TURN_MAX),
            has_news: false,
            address,
            ports: Vec::new(),
            sockets: Vec::new(),
            dials: Dials::new(waker.clone()),
            queue: Vec::new(),
            queue_spare: Vec::new(),
            over: Vec::new(),
            accept_at: None,
            accept_log_at: None,
            held: None,
            accept_due: false,
            drain_check_at: None,
            scratch: std::vec![0; READ_BYTES].into_boxed_slice(),
            is_closing: false,
            stop: None,
            must_stop: false,
            waker,
        })
    }

    /// Ends a wait, and asks for the loop's end, whenever something comes on `stream`.
    ///
    /// # Errors
    /// When the system refuses the stream.
    pub fn stop_on(&mut self, stream: UnixStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::UnixStream::from_std(stream);
        self.poll.registry().register(&mut stream, STOP, Interest::READABLE)?;
        self.stop = Some(stream);
        Ok(())
    }

    /// Ends a wait of this network, from any thread.
    pub(super) fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// Whether the loop has been asked to end since this was last called.
    pub fn take_stop(&mut self) -> bool {
        core::mem::take(&mut self.must_stop)
    }

    /// Empties the stream of orders, or nothing later would be news.
    pub(super) fn note_stop(&mut self) {
        self.must_stop = true;
        let Some(stop) = &mut self.stop else { return };
        let mut orders = [0; 16];
        while io::Read::read(stop, &mut orders).is_ok_and(|length| length > 0) {}
    }

    fn bind(&self, port: u16) -> io::Result<TcpListener> {
        let address = SocketAddr::new(self.address, port);
        let socket = socket2::Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        // A port whose last connections are in TIME-WAIT is free enough.
        socket.set_reuse_address(true)?;
        tune(&SockRef::from(&socket))?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from_std(socket.into()))
    }

    /// Asks epoll, and remembers what it says.
    fn collect(&mut self, timeout: Option<Duration>) {
        match self.poll.poll(&mut self.news, timeout) {
            Ok(()) => self.has_news = true,
            // A signal came in between; its byte on the stop stream is next.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("epoll fails: {error}"),
        }
    }

    /// Looks at this socket in the next `poll`.
    pub(super) fn enqueue(&mut self, index: usize) {
        if let Some(Some(socket)) = self.sockets.get_mut(index)
            && !core::mem::replace(&mut socket.queued, true)
        {
            self.queue.push(index);
        }
    }

    /// Closes a socket; the events of this or the next `poll` say so.
    pub(super) fn finish(&mut self, index: usize) {
        if let Some(socket) = self.sockets.get_mut(index).and_then(Option::take) {
            self.over.push(socket.id);
            // What accepting lacked may be there now.
            self.accept_at = None;
        }
    }
}

impl Network for LinuxNetwork {
    fn listen(&mut self, port: u16, service: usize, origin: Origin) -> Result<(), ListenError> {
        let failed = |error: io::Error| ListenError { port, reason: reason_of(&error) };
        let mut listener = self.bind(port).map_err(failed)?;
        let token = Token(FIRST_LISTENER + self.ports.len());
        self.poll.registry().register(&mut listener, token, Interest::READABLE).map_err(failed)?;
        self.ports.push(Port { listener, service, origin, waiting: false });
        Ok(())
    }

    fn stop_listening(&mut self) {
        // What asks from now on is not answered until the ports are closed, and then refused. So none is lost
        // between the last accept and the close.
        let nothing = [SockFilter::new(BPF_RETURN, 0, 0, 0)];
        for port in &mut self.ports {
            if let Err(error) = SockRef::from(&port.listener).attach_filter(&nothing) {
                log::warn!("new connections may be reset: {error}");
            }
            port.waiting = true;
        }
        self.is_closing = true;
    }

    fn connect(&mut self, host: &str, port: u16, service: usize, peer: usize, now: Instant) {
        self.dials.start((host, port), service, peer, now, self.poll.registry());
    }

    fn poll(&mut self, now: Instant, connections: &mut Connections, events: &mut Vec<Event>) {
        if !self.has_news {
            self.collect(Some(Duration::ZERO));
        }
        if core::mem::take(&mut self.has_news) {
            self.take_news(now, connections, events);
        }
        self.accept(now, connections, events);
        self.progress_queued(now, connections, events);
        self.end_slow_drains(now);
        self.dials.settle(now, self.poll.registry(), events);
        for id in self.over.drain(..) {
            // Services hear of it last in this turn, and are not to act for who is gone before that.
            if let Some(connection) = connections.get_untouched(id) {
                connection.peer_ended = true;
            }
            events.push(Event::Closed(id));
        }
    }

    fn flush(&mut self, now: Instant, connections: &mut Connections) {
        while let Some(id) = connections.take_touched() {
            self.flush_one(id, now, connections);
        }
        let may_accept = connections.len() < CONNECTIONS_MAX;
        self.accept_due = may_accept && (self.held.is_some() || self.ports.iter().any(|port| port.waiting));
    }

    fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        // Nobody sleeps on an end that was asked for.
        if self.must_stop || !self.queue.is_empty() || !self.over.is_empty() {
            return Some(now);
        }
        let accept = self.accept_due.then(|| self.accept_at.unwrap_or(now));
        let accept = accept.or_else(|| self.held.as_ref().map(|_| now + ROOM_RETRY));
        Instant::earliest([accept, self.drain_check_at, self.dials.next_deadline(now)])
    }

    fn wait(&mut self, now: Instant, deadline: Option<Instant>) {
        // The turn before may have read the order to stop; nothing else would end this wait.
        if !self.must_stop && deadline.is_none_or(|deadline| deadline > now) {
            self.collect(deadline.map(|deadline| deadline - now));
        }
    }
}

/// The system's words for an error, without the number.
fn reason_of(error: &io::Error) -> std::string::String {
    match error.kind() {
        ErrorKind::AddrInUse => "another program listens there".to_string(),
        ErrorKind::PermissionDenied => "this user may not".to_string(),
        _ => error.to_string(),
    }
}
