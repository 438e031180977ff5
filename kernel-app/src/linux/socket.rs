//! One nonblocking TCP socket and its known readiness.
//!
//! epoll is edge-triggered: it reports a change once. So `readable` and `writable` stay set until the kernel returns
//! `WouldBlock`. The socket knows nothing about the connection table.

use core::time::Duration;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};

use crate::connections::{ConnectionId, OUTPUT_LOW_WATER_BYTES};
use wire::{Buffer, Instant};

/// Bytes of one read.
pub(super) const READ_BYTES: usize = 16 * 1024;
/// Reads of one closing socket in one turn.
const DISCARDS_PER_TURN_MAX: usize = 16;
/// How long sent data may stay unanswered, or a closed window shut, before a connection counts as lost.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// Silence on a connection to a peer after which it is probed, and between probes.
const PEER_KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Unanswered probes after which the peer counts as lost.
const PEER_PROBES_MAX: u32 = 3;

/// A socket that carries a connection of the table.
#[derive(Debug)]
pub(super) struct Socket {
    pub stream: TcpStream,
    pub id: ConnectionId,
    pub phase: Phase,
    /// Waits in the network's queue.
    pub queued: bool,
    readable: bool,
    writable: bool,
    /// The other side's FIN has arrived, behind whatever is still to be read.
    read_closed: bool,
    /// The connection is gone, behind whatever is still to be read.
    is_lost: bool,
    /// epoll has told nothing yet: a FIN may be there all the same.
    is_new: bool,
    /// An output drained to the low-water mark and the service does not know yet.
    space_came_free: bool,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Both directions are in use.
    Open,
    /// We sent FIN; what still comes is dropped until the other side's FIN or this time.
    Draining(Instant),
}

/// What is behind the bytes that were received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// More, now or later.
    MayCome,
    /// Nothing: the other side has ended its stream.
    Nothing,
}

/// The connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

impl Socket {
    /// A socket that may have something to read already.
    pub fn new(stream: TcpStream, id: ConnectionId) -> Self {
        Self {
            stream,
            id,
            phase: Phase::Open,
            queued: false,
            readable: true,
            writable: true,
            read_closed: false,
            is_lost: false,
            is_new: true,
            space_came_free: false,
        }
    }

    /// Notes what epoll says.
    pub fn note(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed();
        self.writable |= event.is_writable();
        self.read_closed |= event.is_read_closed();
        self.is_lost |= event.is_error();
        self.is_new = false;
    }

    /// Whether there may be something to read.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether the other side's FIN has arrived.
    pub fn is_read_closed(&self) -> bool {
        self.read_closed
    }

    /// Says once that space in the output came free.
    pub fn take_space_came_free(&mut self) -> bool {
        core::mem::take(&mut self.space_came_free)
    }

    /// Whether the service is still to be told of free space.
    pub fn has_news(&self) -> bool {
        self.space_came_free
    }

    /// Moves what has arrived into `input` as far as it has room; how many bytes, and whether that was all there is.
    /// What arrived before a reset is there in spite of it.
    pub fn receive(&mut self, input: &mut Buffer, scratch: &mut [u8]) -> (usize, Result<Rest, Lost>) {
        let mut total = 0;
        while self.readable && input.space() > 0 {
            let wanted = input.space().min(scratch.len());
            match self.read(&mut scratch[..wanted]) {
                Ok(Some(0)) => return (total, Ok(Rest::Nothing)),
                Ok(Some(count)) => total += input.write_some(&scratch[..count]),
                Ok(None) => {}
                Err(lost) => return (total, Err(lost)),
            }
        }
        (total, if self.is_lost { Err(Lost) } else { Ok(Rest::MayCome) })
    }

    /// Moves `output` into the kernel as far as it has room.
    ///
    /// # Errors
    /// [`Lost`] when the connection is.
    pub fn send(&mut self, output: &mut Buffer) -> Result<(), Lost> {
        let before = output.len();
        while self.writable && !output.is_empty() {
            match self.stream.write(output.as_slice()) {
                Ok(count) => output.consume(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Lost),
            }
        }
        self.space_came_free |= before > OUTPUT_LOW_WATER_BYTES && output.len() <= OUTPUT_LOW_WATER_BYTES;
        Ok(())
    }

    /// Sends FIN.
    ///
    /// # Errors
    /// [`Lost`] when the connection is.
    pub fn end_output(&mut self, drain_until: Instant) -> Result<(), Lost> {
        self.phase = Phase::Draining(drain_until);
        self.stream.shutdown(Shutdown::Write).map_err(|_| Lost)
    }

    /// Drops what still arrives after our FIN; says whether the other side has ended too.
    ///
    /// # Errors
    /// [`Lost`] when the connection is.
    pub fn discard(&mut self, scratch: &mut [u8]) -> Result<bool, Lost> {
        for _ in 0..DISCARDS_PER_TURN_MAX {
            if !self.readable {
                break;
            }
            if self.read(scratch)? == Some(0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes closing the socket send a reset instead of what the kernel still holds.
    pub fn reset_on_close(&self) {
        // Without it the end is merely a polite one.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// One read; `None` when nothing is there now. A short one means that nothing is left, except for
    /// a FIN that was announced, or one of which epoll had no time to tell.
    fn read(&mut self, into: &mut [u8]) -> Result<Option<usize>, Lost> {
        match self.stream.read(into) {
            Ok(count) => {
                let may_have_ended = self.read_closed || self.is_new;
                self.readable = count == into.len() || (count > 0 && may_have_ended);
                Ok(Some(count))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(_) => Err(Lost),
        }
    }
}

/// Sets what sockets of both directions have in common; accepted ones inherit it from the listener.
pub(super) fn tune(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(RESPONSE_TIMEOUT))
}

/// Sets what a connection to a peer needs besides: a peer that vanished without a word is noticed.
pub(super) fn tune_peer(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    tune(&socket)?;
    let probes = TcpKeepalive::new().with_time(PEER_KEEP_ALIVE).with_interval(PEER_KEEP_ALIVE);
    socket.set_tcp_keepalive(&probes.with_retries(PEER_PROBES_MAX))
}
