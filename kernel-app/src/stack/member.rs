//! One socket of the pool: its purpose, and the positions of its two streams.
//!
//! smoltcp does not reveal the sequence numbers of a connection. They are computed here from the initial number of
//! each side and the bytes that went in and out.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::{Socket, tcp};

use super::flow::{Flow, Syn};
use super::limits::{
    EGRESS_ROUNDS_MAX, HEADERS_BYTES, RECEIVE_BYTES, RESPONSE_TIMEOUT, SEGMENT_BYTES, SEGMENT_BYTES_LEAST,
    SEGMENT_BYTES_UNSAID, SEND_BYTES,
};
use super::syn_cache::Handshake;
use super::time::stack_duration;
use crate::connections::ConnectionId;
use crate::service::Origin;
use wire::{Buffer, Instant};

/// What a socket of the pool is for right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Not there: its memory was given back.
    Absent,
    /// Free.
    Spare,
    /// Received a SYN, or sent one that was answered; enters the table once the handshake is done, which
    /// must be by then.
    Opening { service: usize, origin: Origin, deadline: Instant },
    /// Sent a SYN; a dial watches over it.
    Dialing,
    /// Carries a connection of the table.
    Open(ConnectionId),
    /// Carries a connection whose service has ended it.
    Closing(ConnectionId, Closing),
    /// Over; free after the next egress has sent its last ACK or reset.
    Finished,
}

/// How far the end of a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closing {
    /// When its service ended it.
    pub since: Instant,
    /// When it is reset.
    pub until: Instant,
    /// Whether the other side has all that was sent, and knows of the end.
    pub is_acknowledged: bool,
}

/// Where the streams of a connection stand, in TCP's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Streams {
    /// Of the next byte that goes into the socket.
    pub local: u32,
    /// Of the next byte that is taken from it.
    pub remote: u32,
    /// Whether there is output that had no room in the socket.
    pub output_waits: bool,
}

impl Streams {
    /// Moves received bytes into `input` as far as it has room; how many.
    pub fn receive(&mut self, socket: &mut tcp::Socket<'_>, input: &mut Buffer) -> usize {
        let mut total = 0;
        // Twice at most: the ring gives one slice up to its wrap and one after it.
        while socket.can_recv() && input.space() > 0 {
            let taken = socket.recv(|bytes| {
                let count = input.write_some(bytes);
                (count, count)
            });
            match taken {
                Ok(count) if count > 0 => total += count,
                _ => break,
            }
        }
        self.remote = self.remote.wrapping_add(total as u32);
        total
    }

    /// Moves bytes from `output` into the socket as far as it has room; how many.
    pub fn send(&mut self, socket: &mut tcp::Socket<'_>, output: &mut Buffer) -> usize {
        let mut total = 0;
        // Twice at most: the ring has one piece of room up to its wrap and one after it.
        while !output.is_empty() && socket.can_send() {
            let taken = socket.send(|room| {
                let count = room.len().min(output.len());
                room[..count].copy_from_slice(&output.as_slice()[..count]);
                (count, count)
            });
            match taken {
                Ok(count) if count > 0 => {
                    output.consume(count);
                    total += count;
                }
                _ => break,
            }
        }
        self.local = self.local.wrapping_add(total as u32);
        self.output_waits = !output.is_empty();
        total
    }

    /// Throws away what has been received.
    pub fn discard_input(&mut self, socket: &mut tcp::Socket<'_>) {
        while socket.can_recv() {
            let Ok(count) = socket.recv(|bytes| (bytes.len(), bytes.len())) else { return };
            self.remote = self.remote.wrapping_add(count as u32);
        }
    }

    /// The number of the next byte that is to come from the other side.
    pub fn next_remote(&self, socket: &tcp::Socket<'_>) -> u32 {
        let has_ended = matches!(
            socket.state(),
            tcp::State::CloseWait | tcp::State::Closing | tcp::State::LastAck | tcp::State::TimeWait
        );
        self.remote.wrapping_add(socket.recv_queue() as u32 + u32::from(has_ended))
    }

    /// The numbers that the other side has yet to acknowledge, or may have: from the first to one after the last.
    pub fn unacknowledged(&self, socket: &tcp::Socket<'_>) -> (u32, u32) {
        // One more stands for our end.
        (self.local.wrapping_sub(socket.send_queue() as u32), self.local.wrapping_add(1))
    }
}

/// One socket and its role.
#[derive(Debug)]
pub(super) struct Member {
    /// A set of this one socket: smoltcp looks at all of a set for each segment.
    sockets: SocketSet<'static>,
    pub role: Role,
    pub flow: Option<Flow>,
    pub streams: Streams,
    /// Payload of a full segment.
    segment_bytes: usize,
    /// What the way to the other side carries, where that is known to be less than the link takes.
    pub path_mtu: Option<u16>,
    /// The way of the last segment that smoltcp has sent.
    pub route: Option<tcp::Route>,
    /// The first byte that was not acknowledged when a timer was last due, and since when.
    pub stalled: Option<(u32, Instant)>,
    /// Where it stands in the list of those in use.
    pub position: usize,
    pub is_touched: bool,
    /// Rounds of egress that it wants: one sends at most one segment.
    pub rounds: usize,
    /// It wants another look in the next turn, although no segment may have come by then.
    pub again: bool,
}

impl Member {
    pub fn new() -> Self {
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        sockets.add(new_socket());
        Self {
            sockets,
            role: Role::Spare,
            flow: None,
            streams: Streams::default(),
            segment_bytes: SEGMENT_BYTES,
            path_mtu: None,
            route: None,
            stalled: None,
            position: 0,
            is_touched: false,
            rounds: 0,
            again: false,
        }
    }

    /// The socket, for smoltcp.
    pub fn sockets_mut(&mut self) -> &mut SocketSet<'static> {
        &mut self.sockets
    }

    /// The set that contains this member's socket.
    pub fn sockets(&self) -> &SocketSet<'static> {
        &self.sockets
    }

    /// Gives the memory of its socket back.
    pub fn vacate(&mut self) {
        self.sockets = SocketSet::new(Vec::new());
        self.role = Role::Absent;
    }

    /// Forgets that the hardware address of the other side is awaited, which sticks to a socket's place in a
    /// set for up to a second.
    pub fn forget_neighbour(&mut self) {
        let socket = self.sockets.remove(SocketHandle::default());
        if let Socket::Tcp(socket) = socket {
            self.sockets.add(socket);
        }
    }

    /// The socket. A member that is absent has none.
    pub fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(SocketHandle::default())
    }

    /// The socket, and the way to the other side.
    pub fn socket_and_route(&mut self) -> (&mut tcp::Socket<'static>, Option<&tcp::Route>) {
        (self.sockets.get_mut(SocketHandle::default()), self.route.as_ref())
    }

    /// Our stream begins after this number.
    pub fn begin(&mut self, number: u32) {
        self.streams.local = number.wrapping_add(1);
    }

    /// The other side's stream begins, over a link with this MTU in bytes.
    pub fn meet(&mut self, syn: Syn, mtu: usize) {
        self.streams.remote = syn.number.wrapping_add(1);
        let told = syn.segment_bytes.filter(|bytes| *bytes != 0).map_or(SEGMENT_BYTES_UNSAID, usize::from);
        self.segment_bytes = told.max(SEGMENT_BYTES_LEAST).min(mtu - HEADERS_BYTES);
    }

    /// The handshake that it is in, for one who may come back to it.
    pub fn handshake(&self, now: Instant) -> Option<Handshake> {
        let Streams { local, remote, .. } = self.streams;
        let (local, remote) = (local.wrapping_sub(1), remote.wrapping_sub(1));
        // At most what fits the link.
        let segment_bytes = self.segment_bytes as u16;
        self.flow.map(|flow| Handshake { flow, at: now, local, remote, segment_bytes })
    }

    /// The socket, and where its streams stand.
    pub fn parts(&mut self) -> (&mut tcp::Socket<'static>, &mut Streams) {
        (self.sockets.get_mut(SocketHandle::default()), &mut self.streams)
    }

    /// Whether nothing is to be done on an open connection: all that was sent has come, and nothing else has.
    pub fn is_answered(&mut self) -> bool {
        let (is_open, output_waits) = (matches!(self.role, Role::Open(_)), self.streams.output_waits);
        let socket = self.socket();
        is_open
            && !output_waits
            && socket.state() == tcp::State::Established
            && !socket.can_recv()
            && socket.send_queue() == 0
    }

    /// Requests as many rounds as the bytes that wait in the socket need, up to what one turn sends.
    pub fn want_rounds(&mut self, queued: usize) {
        if queued > 0 {
            self.rounds = self.rounds.max(queued.div_ceil(self.segment_bytes).min(EGRESS_ROUNDS_MAX));
        }
    }

    /// Ends the connection with a reset, whose number is the one behind what was sent (RFC 9293 section 3.10.5):
    /// another would not be believed. A timer for a retransmission that is due would set that number back to the first
    /// byte that is not acknowledged. smoltcp looks at it only if the connection's own time is not up; so it is.
    pub fn abort(&mut self) {
        let socket = self.socket();
        socket.abort();
        socket.set_timeout(Some(stack_duration(Duration::ZERO)));
    }

    /// Makes the socket ready for another use, whatever its state, without a word to the other side. From
    /// TIME-WAIT too: 10 s of it would empty the pool at a few hundred connections a second. Not by `abort`,
    /// which would send a reset to the old peer with the next segment.
    pub fn forget(&mut self) {
        let socket = self.socket();
        if socket.is_open() {
            socket.abort();
        }
        // A closed socket can always listen, on any port but 0, and forgets its past by it.
        if socket.listen(1).is_ok() {
            socket.close();
        }
        socket.set_timeout(Some(stack_duration(RESPONSE_TIMEOUT)));
        self.streams = Streams::default();
        self.segment_bytes = SEGMENT_BYTES;
        (self.path_mtu, self.route, self.stalled) = (None, None, None);
    }
}

fn new_socket() -> tcp::Socket<'static> {
    let receive = tcp::SocketBuffer::new(vec![0; RECEIVE_BYTES]);
    let send = tcp::SocketBuffer::new(vec![0; SEND_BYTES]);
    let mut socket = tcp::Socket::new(receive, send);
    socket.set_nagle_enabled(false);
    // Replies follow within the same turn and carry the ACK.
    socket.set_ack_delay(None);
    socket.set_timeout(Some(stack_duration(RESPONSE_TIMEOUT)));
    socket
}
