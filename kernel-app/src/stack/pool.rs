//! The pool of TCP sockets and what each of them is for.
//!
//! Moves no bytes and makes no connections; it only says which socket may be used for what.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::{Socket, tcp};

use super::{
    BACKLOG, DIAL_SOCKETS, HANDSHAKE_TIMEOUT, HANDSHAKES_KEPT_DIVISOR, IDLE_KEEP_ALIVE, RECEIVE_BYTES,
    RESPONSE_TIMEOUT, SEND_BYTES, SPARE_SOCKETS_KEPT, TRIM_INTERVAL, stack_duration,
};
use crate::connections::{CONNECTIONS_MAX, ConnectionId};
use crate::network::ListenError;
use crate::service::Origin;
use wire::Instant;

/// What a socket of the pool is for right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Not there: its memory was given back.
    Absent,
    /// Free.
    Spare,
    /// Waits for a SYN.
    Listening,
    /// Received a SYN, or sent one that was answered; enters the table once the handshake is done, and is
    /// given up at the deadline.
    Opening { service: usize, origin: Origin, deadline: Instant },
    /// Sent a SYN; a dial watches over it.
    Dialing,
    /// Carries a connection of the table.
    Open(ConnectionId),
    /// Carries a connection whose service has ended it; reset at the deadline.
    Closing(ConnectionId, Instant),
    /// Over; free after the next egress has sent its last ACK or reset, if it has one to send.
    Finished,
}

/// A port that accepts connections.
#[derive(Debug)]
struct Port {
    number: u16,
    service: usize,
    origin: Origin,
    listening: Vec<usize>,
}

/// All TCP sockets of the node.
#[derive(Debug, Default)]
pub(super) struct Pool {
    pub members: Vec<Member>,
    ports: Vec<Port>,
    spare: Vec<usize>,
    absent: Vec<usize>,
    /// Fewest spare sockets since the pool was last trimmed, and when it will be again.
    spare_least: usize,
    trim_at: Instant,
    sockets_max: usize,
    /// Whether there is memory for more listening ones.
    pub may_grow: bool,
    /// Those that are opening, open or closing, and some that have been until the last egress: what each
    /// turn looks at.
    pub in_use: Vec<usize>,
    finished: Vec<usize>,
    /// Pool index by [`ConnectionId::index`].
    by_connection: Vec<Option<usize>>,
}

/// One socket and its role.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub handle: SocketHandle,
    pub role: Role,
}

impl Pool {
    /// A pool of at most so many sockets.
    pub fn new(sockets_max: usize) -> Self {
        let (members, in_use) = (Vec::with_capacity(sockets_max), Vec::with_capacity(sockets_max));
        Self { members, in_use, sockets_max, may_grow: true, ..Self::default() }
    }

    /// Opens a port with a full backlog of listening sockets.
    pub fn listen(
        &mut self,
        number: u16,
        service: usize,
        origin: Origin,
        sockets: &mut SocketSet<'static>,
    ) -> Result<(), ListenError> {
        let error = |reason: &str| ListenError { port: number, reason: reason.to_string() };
        if number == 0 || self.ports.iter().any(|port| port.number == number) {
            return Err(error("the port is zero or already listened on"));
        }
        self.ports.push(Port { number, service, origin, listening: Vec::new() });
        self.fill_backlog(self.ports.len() - 1, sockets);
        Ok(())
    }

    /// Replaces listening sockets that have received a SYN; if there are no more, by those of handshakes
    /// that are under way for longest.
    pub fn replace_taken_listeners(&mut self, now: Instant, sockets: &mut SocketSet<'static>) {
        let deadline = now + HANDSHAKE_TIMEOUT;
        for port in 0..self.ports.len() {
            let Self { members, in_use, .. } = self;
            let Port { service, origin, .. } = self.ports[port];
            self.ports[port].listening.retain(|index| {
                let member = &mut members[*index];
                let waits = sockets.get::<tcp::Socket>(member.handle).state() == tcp::State::Listen;
                if !waits {
                    member.role = Role::Opening { service, origin, deadline };
                    in_use.push(*index);
                }
                waits
            });
            self.fill_backlog(port, sockets);
        }
        if self.shortage() > 0 {
            self.give_up_handshakes(self.shortage(), self.sockets_max / HANDSHAKES_KEPT_DIVISOR, sockets);
        }
    }

    /// Gives up to `count` sockets of unfinished handshakes back, the oldest first, as long as more than
    /// `kept` are under way. Says nothing to the other side: its address may be forged.
    pub fn give_up_handshakes(&mut self, count: usize, kept: usize, sockets: &mut SocketSet<'static>) {
        let Self { members, in_use, spare, .. } = self;
        let unfinished = in_use.iter().filter(|index| is_unfinished(&members[**index], sockets)).count();
        let mut left = count.min(unfinished.saturating_sub(kept));
        if left == 0 {
            return;
        }
        // Those in use are in the order of their SYNs.
        in_use.retain(|index| {
            let member = &mut members[*index];
            let stays = left == 0 || !is_unfinished(member, sockets);
            if !stays {
                left -= 1;
                abandon(member, sockets);
                spare.push(*index);
            }
            stays
        });
        for port in 0..self.ports.len() {
            self.fill_backlog(port, sockets);
        }
    }

    fn fill_backlog(&mut self, port: usize, sockets: &mut SocketSet<'static>) {
        let listening_max = if self.may_grow { self.sockets_max - DIAL_SOCKETS } else { 0 };
        while self.ports[port].listening.len() < BACKLOG {
            let Some(index) = self.take(listening_max, sockets) else { return };
            let number = self.ports[port].number;
            let socket = sockets.get_mut::<tcp::Socket>(self.members[index].handle);
            socket.set_keep_alive(Some(stack_duration(IDLE_KEEP_ALIVE)));
            if socket.listen(number).is_err() {
                self.give_back(index);
                return;
            }
            self.members[index].role = Role::Listening;
            self.ports[port].listening.push(index);
        }
    }

    /// A closed socket for a dial; none when there are no more.
    pub fn take_for_dial(&mut self, sockets: &mut SocketSet<'static>) -> Option<usize> {
        self.take(self.sockets_max, sockets)
    }

    /// A free socket, if need be a new one as long as there are fewer than `sockets_max`.
    fn take(&mut self, sockets_max: usize, sockets: &mut SocketSet<'static>) -> Option<usize> {
        if self.members.len() - self.absent.len() - self.spare.len() >= sockets_max {
            return None;
        }
        if let Some(index) = self.spare.pop() {
            self.spare_least = self.spare_least.min(self.spare.len());
            return Some(index);
        }
        let member = Member { handle: sockets.add(new_socket()), role: Role::Spare };
        if let Some(index) = self.absent.pop() {
            self.members[index] = member;
            return Some(index);
        }
        self.members.push(member);
        Some(self.members.len() - 1)
    }

    /// Gives back the memory of sockets that nobody has needed for a while.
    pub fn trim(&mut self, now: Instant, sockets: &mut SocketSet<'static>) {
        if now < self.trim_at {
            return;
        }
        let excess = self.spare_least.saturating_sub(SPARE_SOCKETS_KEPT);
        for index in self.spare.drain(..excess) {
            sockets.remove(self.members[index].handle);
            self.members[index].role = Role::Absent;
            self.absent.push(index);
        }
        self.spare_least = self.spare.len();
        self.trim_at = now + TRIM_INTERVAL;
    }

    /// Notes that a dial's socket has been answered.
    pub fn begin(&mut self, index: usize, service: usize, origin: Origin, now: Instant) {
        self.members[index].role = Role::Opening { service, origin, deadline: now + HANDSHAKE_TIMEOUT };
        self.in_use.push(index);
    }

    /// Gives back a socket that was taken and never used.
    pub fn give_back(&mut self, index: usize) {
        self.members[index].role = Role::Spare;
        self.spare.push(index);
    }

    /// How many more free sockets backlogs need than there will be after the next egress.
    pub fn shortage(&self) -> usize {
        let missing: usize = self.ports.iter().map(|port| BACKLOG - port.listening.len()).sum();
        missing.saturating_sub(self.finished.len())
    }

    /// Ties a socket to a connection of the table.
    pub fn attach(&mut self, index: usize, id: ConnectionId) {
        if self.by_connection.len() <= id.index() {
            self.by_connection.resize(CONNECTIONS_MAX.min(id.index() * 2 + 8), None);
        }
        self.by_connection[id.index()] = Some(index);
        self.members[index].role = Role::Open(id);
    }

    /// The socket that carries a connection.
    pub fn carrier(&self, id: ConnectionId) -> Option<usize> {
        let index = (*self.by_connection.get(id.index())?)?;
        match self.members[index].role {
            Role::Open(carried) | Role::Closing(carried, _) if carried == id => Some(index),
            _ => None,
        }
    }

    /// Ends a socket's use; it is free once the next egress has sent its last packet.
    pub fn finish(&mut self, index: usize) {
        if let Role::Open(id) | Role::Closing(id, _) = self.members[index].role {
            self.by_connection[id.index()] = None;
        }
        self.members[index].role = Role::Finished;
        self.finished.push(index);
    }

    /// Frees finished sockets after an egress, and refills backlogs that had run dry.
    pub fn recycle_finished(&mut self, sockets: &mut SocketSet<'static>) {
        if self.finished.is_empty() {
            return;
        }
        let members = &self.members;
        self.in_use.retain(|index| members[*index].role != Role::Finished);
        while let Some(index) = self.finished.pop() {
            forget(sockets.get_mut::<tcp::Socket>(self.members[index].handle));
            self.give_back(index);
        }
        for port in 0..self.ports.len() {
            self.fill_backlog(port, sockets);
        }
    }

    /// When the first connection has taken too long to open or to close.
    pub fn earliest_deadline(&self) -> Option<Instant> {
        let deadline = |index: &usize| match self.members[*index].role {
            Role::Opening { deadline, .. } | Role::Closing(_, deadline) => Some(deadline),
            _ => None,
        };
        self.in_use.iter().filter_map(deadline).min()
    }
}

fn is_unfinished(member: &Member, sockets: &SocketSet<'_>) -> bool {
    matches!(member.role, Role::Opening { .. })
        && sockets.get::<tcp::Socket>(member.handle).state() == tcp::State::SynReceived
}

/// Ends a handshake without a word. The socket takes another place in the set, because to its old one
/// sticks that the other side's hardware address is awaited, for up to a second.
fn abandon(member: &mut Member, sockets: &mut SocketSet<'static>) {
    if let Socket::Tcp(mut socket) = sockets.remove(member.handle) {
        socket.abort();
        forget(&mut socket);
        member.handle = sockets.add(socket);
    }
    member.role = Role::Spare;
}

/// Makes a socket that is over ready for another use. From TIME-WAIT too: 10 s of it would empty the pool
/// at a few hundred connections a second. Not by `abort`, which would send a reset to the old peer.
pub(super) fn forget(socket: &mut tcp::Socket<'_>) {
    // A socket in one of these two states can always listen, on any port but 0.
    debug_assert!(!socket.is_open(), "only sockets that are over are finished");
    if socket.listen(1).is_ok() {
        socket.close();
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
