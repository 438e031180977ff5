//! The pool of TCP sockets, and the purpose of each.
//!
//! The pool moves no bytes and opens no connections; it only says which socket may be used for what, and which
//! sockets need attention.

use alloc::string::ToString;
use alloc::vec::Vec;

use smoltcp::socket::tcp;

use super::flow::{Flow, Flows};
use super::limits::{
    DIAL_SOCKETS, HALF_OPEN_DIVISOR, HALF_OPEN_FRESH, HALF_OPEN_MAX, IDLE_KEEP_ALIVE, LEAVING_MAX, LINGER,
    ROOM_WANTED, SPARE_SOCKETS_KEPT, SYN_CACHE_PER_SOCKET, TRIM_INTERVAL,
};
use super::member::{Member, Role};
use super::routes::Routes;
use super::syn_cache::SynCache;
use super::time::stack_duration;
use crate::connections::{CONNECTIONS_MAX, ConnectionId};
use crate::network::ListenError;
use crate::service::Origin;
use crate::usage::Usage;
use wire::Instant;

/// A port that accepts connections.
#[derive(Debug)]
struct Port {
    number: u16,
    service: usize,
    origin: Origin,
}

/// All TCP sockets of the node.
#[derive(Debug)]
pub(super) struct Pool {
    pub members: Vec<Member>,
    ports: Vec<Port>,
    /// Which member carries which connection, from its first segment to its last.
    pub flows: Flows,
    /// Ways for connections that begin.
    pub routes: Routes,
    /// Handshakes that had to make room.
    pub syn_cache: SynCache,
    spare: Vec<usize>,
    absent: Vec<usize>,
    /// Fewest spare sockets since the pool was last trimmed, and when it will be again.
    spare_least: usize,
    trim_at: Instant,
    sockets_max: usize,
    /// Whether there is no memory for more sockets. Asked for each: one turn may bring hundreds of SYNs.
    pub is_memory_short: fn() -> bool,
    /// Those that are neither spare nor absent.
    pub in_use: Vec<usize>,
    /// Those of them that something has happened to since the last egress.
    pub touched: Vec<usize>,
    finished: Vec<usize>,
    /// Pool index by [`ConnectionId::index`].
    by_connection: Vec<Option<usize>>,
}

impl Pool {
    /// A pool with this maximum number of sockets; `seed` must be unpredictable.
    pub fn new(sockets_max: usize, seed: [u64; 2]) -> Self {
        Self {
            members: Vec::with_capacity(sockets_max),
            ports: Vec::new(),
            flows: Flows::new(seed),
            routes: Routes::default(),
            syn_cache: SynCache::new(SYN_CACHE_PER_SOCKET * sockets_max),
            spare: Vec::new(),
            absent: Vec::new(),
            spare_least: 0,
            trim_at: Instant::ZERO,
            sockets_max,
            is_memory_short: || false,
            in_use: Vec::with_capacity(sockets_max),
            touched: Vec::new(),
            finished: Vec::new(),
            by_connection: Vec::new(),
        }
    }

    /// Opens a port.
    pub fn listen(&mut self, number: u16, service: usize, origin: Origin) -> Result<(), ListenError> {
        if number == 0 || self.port_index(number).is_some() {
            let reason = "the port is zero or already listened on".to_string();
            return Err(ListenError { port: number, reason });
        }
        self.ports.push(Port { number, service, origin });
        Ok(())
    }

    /// Closes all ports: who asks for a connection is refused.
    pub fn close_ports(&mut self) {
        self.ports.clear();
    }

    /// The port with this number, if it is open.
    pub fn port_index(&self, number: u16) -> Option<usize> {
        self.ports.iter().position(|port| port.number == number)
    }

    /// A free socket that listens on a port; none when there is no room for another connection.
    pub fn listen_once(&mut self, port: usize, now: Instant) -> Option<usize> {
        let number = self.ports[port].number;
        if self.room() == 0 {
            self.forget_half_open(now);
        }
        let index = self.take(self.sockets_max - DIAL_SOCKETS)?;
        let socket = self.members[index].socket();
        socket.set_keep_alive(Some(stack_duration(IDLE_KEEP_ALIVE)));
        // Cannot fail: the socket is closed, and the port is not 0.
        if socket.listen(number).is_err() {
            self.release(index);
            return None;
        }
        Some(index)
    }

    /// What the frame was that a socket listened for: a SYN that it has answered, or none after all.
    pub fn heard(&mut self, index: usize, port: usize, flow: Flow, now: Instant) {
        let Port { service, origin, .. } = self.ports[port];
        if self.members[index].socket().state() != tcp::State::SynReceived {
            return self.release(index);
        }
        self.members[index].role = Role::Opening { service, origin, deadline: now + HALF_OPEN_MAX };
        self.carry(index, flow);
    }

    /// From now on a flow's segments are for this socket.
    pub fn carry(&mut self, index: usize, flow: Flow) {
        self.members[index].flow = Some(flow);
        self.flows.insert(flow, index);
        self.touch(index);
    }

    /// A closed socket for a dial; none when there are no more.
    pub fn take_for_dial(&mut self) -> Option<usize> {
        self.take(self.sockets_max)
    }

    /// A free socket, if need be a new one as long as fewer than `taken_max` are in use.
    fn take(&mut self, taken_max: usize) -> Option<usize> {
        if self.in_use.len() >= taken_max {
            return None;
        }
        let index = match self.spare.pop() {
            Some(index) => index,
            None if (self.is_memory_short)() => return None,
            None => self.grow(),
        };
        self.spare_least = self.spare_least.min(self.spare.len());
        self.members[index].position = self.in_use.len();
        self.in_use.push(index);
        Some(index)
    }

    fn grow(&mut self) -> usize {
        match self.absent.pop() {
            Some(index) => {
                self.members[index] = Member::new();
                index
            }
            None => {
                self.members.push(Member::new());
                self.members.len() - 1
            }
        }
    }

    /// Gives back the memory of sockets that nobody has needed for a while.
    pub fn trim(&mut self, now: Instant) {
        if now < self.trim_at {
            return;
        }
        let excess = self.spare_least.saturating_sub(SPARE_SOCKETS_KEPT);
        for index in self.spare.drain(..excess) {
            self.members[index].vacate();
            self.absent.push(index);
        }
        self.syn_cache.trim(now);
        self.spare_least = self.spare.len();
        self.trim_at = now + TRIM_INTERVAL;
    }

    /// Notes that something happened to a socket, so that this turn looks at it and sends what it has.
    pub fn touch(&mut self, index: usize) {
        let member = &mut self.members[index];
        member.rounds = member.rounds.max(1);
        if !core::mem::replace(&mut member.is_touched, true) {
            self.touched.push(index);
        }
    }

    /// The same for all sockets in use.
    pub fn touch_all(&mut self) {
        for position in 0..self.in_use.len() {
            self.touch(self.in_use[position]);
        }
    }

    /// Takes a touched socket off the list once its segments are sent; those that want another look stay.
    pub fn settle(&mut self) {
        let Self { touched, members, .. } = self;
        touched.retain(|index| {
            let member = &mut members[*index];
            member.is_touched = core::mem::take(&mut member.again);
            member.rounds = usize::from(member.is_touched);
            member.is_touched
        });
    }

    /// How much of what is bounded here is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        report(Usage::new("sockets", self.members.len(), self.sockets_max));
        report(Usage::new("sockets in use", self.in_use.len() + self.spare.len(), self.members.len()));
        report(Usage::new("flows", self.flows.len(), self.in_use.len()));
        report(self.syn_cache.usage());
    }

    /// How many more connections can be accepted.
    pub fn room(&self) -> usize {
        let allowed = self.sockets_max - DIAL_SOCKETS;
        let present = self.in_use.len() + self.spare.len();
        let allowed = if (self.is_memory_short)() { allowed.min(present) } else { allowed };
        allowed.saturating_sub(self.in_use.len())
    }

    /// How many connections must end so that the next burst finds room.
    pub fn shortage(&self, now: Instant) -> usize {
        let free = self.room() + self.finished.len();
        if self.ports.is_empty() || free >= ROOM_WANTED {
            return 0;
        }
        // Where handshakes take more than their part, it is they that must make room.
        ROOM_WANTED.saturating_sub(free + self.leaving(now) + self.half_open_excess())
    }

    /// Connections that have been told to end, and whose sockets will be free in a moment.
    fn leaving(&self, now: Instant) -> usize {
        let is_leaving = |index: &&usize| match self.members[**index].role {
            Role::Closing(_, closing) => now.since(closing.since) < LEAVING_MAX,
            _ => false,
        };
        self.in_use.iter().filter(is_leaving).count()
    }

    /// Whether those for whom there is no room may wait for it: handshakes that nobody finishes must not be what
    /// they wait for.
    pub fn may_wait(&self) -> bool {
        !(self.is_memory_short)() && self.half_open_excess() == 0
    }

    /// How many more handshakes there are than their part of the sockets.
    fn half_open_excess(&self) -> usize {
        self.half_open().count().saturating_sub(self.sockets_max / HALF_OPEN_DIVISOR)
    }

    /// A connection that is over for its service and has had its time to end, as far as others want its socket: less
    /// of it when the other side has all and needs only to end its own stream.
    pub fn nearly_over(&self, now: Instant) -> Option<(usize, ConnectionId)> {
        self.in_use.iter().find_map(|index| {
            let Role::Closing(id, closing) = self.members[*index].role else { return None };
            let stays = if closing.is_acknowledged { LEAVING_MAX } else { LINGER };
            (now.since(closing.since) >= stays).then_some((*index, id))
        })
    }

    /// Handshakes that the other side has begun, with their deadlines.
    fn half_open(&self) -> impl Iterator<Item = (Instant, usize)> {
        self.in_use.iter().filter_map(|index| match self.members[*index].role {
            Role::Opening { origin: Origin::Accepted(_), deadline, .. } => Some((deadline, *index)),
            _ => None,
        })
    }

    /// Ends the handshake that has been waited for longest, without a word: whoever asks for connections
    /// and never answers (RFC 4987) must not keep out those who do. Who answers yet is let in again.
    fn forget_half_open(&mut self, now: Instant) {
        if let Some((deadline, index)) = self.half_open().min()
            && deadline <= now + (HALF_OPEN_MAX - HALF_OPEN_FRESH)
        {
            if let Some(handshake) = self.members[index].handshake(now) {
                self.syn_cache.push(handshake);
            }
            self.release(index);
        }
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
        self.touch(index);
    }

    /// Frees finished sockets after an egress.
    pub fn recycle_finished(&mut self) {
        while let Some(index) = self.finished.pop() {
            self.release(index);
        }
    }

    /// Makes a socket free.
    pub fn release(&mut self, index: usize) {
        let member = &mut self.members[index];
        if !matches!(member.role, Role::Spare | Role::Finished) {
            member.forget_neighbour();
        }
        member.role = Role::Spare;
        member.again = false;
        member.forget();
        let position = member.position;
        if let Some(flow) = member.flow.take() {
            self.flows.remove(flow, index);
        }
        self.in_use.swap_remove(position);
        if let Some(moved) = self.in_use.get(position) {
            self.members[*moved].position = position;
        }
        self.spare.push(index);
    }

    /// When the first handshake or close has taken too long.
    pub fn earliest_deadline(&self) -> Option<Instant> {
        let deadline = |index: &usize| match self.members[*index].role {
            Role::Closing(_, closing) => Some(closing.until),
            Role::Opening { deadline, .. } => Some(deadline),
            _ => None,
        };
        self.in_use.iter().filter_map(deadline).min()
    }
}
