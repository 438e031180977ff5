//! Bytes between sockets and the connection table, and the ends of connections.
//!
//! Knows nothing of services or protocols.

use alloc::vec::Vec;

use smoltcp::socket::tcp;

use super::ingress::FrameDevice;
use super::pool::Role;
use super::{EGRESS_ROUNDS_MAX, LINGER, SEGMENT_BYTES, SmoltcpNetwork};
use crate::connections::{Connection, ConnectionId, Connections, Ending};
use crate::network::Event;
use crate::service::Origin;
use wire::{Buffer, Instant};

impl<D: FrameDevice> SmoltcpNetwork<D> {
    /// Looks at every touched socket: new connections, arrived bytes, ends. When all sockets are touched, say
    /// for their timers, none is passed over.
    pub(super) fn scan(
        &mut self,
        now: Instant,
        all: bool,
        connections: &mut Connections,
        events: &mut Vec<Event>,
    ) {
        for position in 0..self.pool.touched.len() {
            let index = self.pool.touched[position];
            let role = self.pool.members[index].role;
            match role {
                Role::Opening { service, origin, deadline } if now < deadline => {
                    self.scan_opening(index, service, origin, connections, events);
                }
                Role::Opening { .. } => self.pool.release(index),
                Role::Open(id)
                    if !all && is_answered(self.pool.members[index].socket(), connections.get(id)) =>
                {
                    self.pool.members[index].rounds = 0;
                }
                Role::Open(id) => self.scan_open(index, id, connections, events),
                Role::Closing(id, deadline) => self.scan_closing(index, id, deadline, now, events),
                Role::Absent | Role::Spare | Role::Dialing | Role::Finished => {}
            }
        }
        self.make_room(connections);
    }

    /// Ends connections until there will be room for the next ones: first those that are over but for the
    /// client's own end, then those that are missed least.
    fn make_room(&mut self, connections: &mut Connections) {
        let mut wanted = self.pool.shortage();
        for position in 0..self.pool.in_use.len() {
            if wanted == 0 {
                return;
            }
            let index = self.pool.in_use[position];
            let member = &mut self.pool.members[index];
            if matches!(member.role, Role::Closing(..)) && member.socket().state() == tcp::State::FinWait2 {
                member.socket().abort();
                member.again = true;
                self.pool.touch(index);
                wanted -= 1;
            }
        }
        for _ in 0..wanted {
            if !connections.make_room() {
                return;
            }
        }
    }

    fn scan_opening(
        &mut self,
        index: usize,
        service: usize,
        origin: Origin,
        connections: &mut Connections,
        events: &mut Vec<Event>,
    ) {
        let socket = self.pool.members[index].socket();
        match socket.state() {
            tcp::State::SynReceived => return,
            // A reset during the handshake sends the socket back to where it was.
            tcp::State::Listen => return self.pool.release(index),
            tcp::State::Closed | tcp::State::TimeWait => return self.pool.finish(index),
            _ => {}
        }
        let Some(id) = connections.open(service, origin) else {
            socket.abort();
            return self.pool.finish(index);
        };
        self.pool.attach(index, id);
        events.push(Event::Opened(id));
        self.scan_open(index, id, connections, events);
    }

    fn scan_open(
        &mut self,
        index: usize,
        id: ConnectionId,
        connections: &mut Connections,
        events: &mut Vec<Event>,
    ) {
        let socket = self.pool.members[index].socket();
        let Some(connection) = connections.get(id) else { return };
        let ended = !socket.may_recv() && !connection.input_ended && socket.recv_queue() == 0;
        let freed = !connection.output.is_empty() && socket.can_send();
        let over = !socket.is_open();
        let input_bytes = connection.input.len();
        if socket.can_recv() || ended || freed {
            connections.relieve_memory();
            connections.allow(id, input_bytes + socket.recv_queue());
        }
        if (socket.can_recv() || ended || freed)
            && let Some(connection) = connections.get_untouched(id)
        {
            let received = receive(socket, &mut connection.input);
            let ended = ended || (!socket.may_recv() && socket.recv_queue() == 0);
            let sent = send(socket, &mut connection.output);
            let news = received > 0 || sent > 0 || (ended && !connection.input_ended);
            connection.input_ended |= ended;
            if news {
                events.push(Event::Ready(id));
            }
        }
        if over {
            events.push(Event::Closed(id));
            self.pool.finish(index);
        }
    }

    fn scan_closing(
        &mut self,
        index: usize,
        id: ConnectionId,
        deadline: Instant,
        now: Instant,
        events: &mut Vec<Event>,
    ) {
        let socket = self.pool.members[index].socket();
        discard_input(socket);
        if now >= deadline {
            socket.abort();
        }
        if !socket.is_open() {
            events.push(Event::Closed(id));
            self.pool.finish(index);
        }
    }

    /// Sends what services have written and acts on the ends they asked for.
    pub(super) fn flush_touched(&mut self, now: Instant, connections: &mut Connections) {
        while let Some(id) = connections.take_touched() {
            let Some(index) = self.pool.carrier(id) else { continue };
            if matches!(self.pool.members[index].role, Role::Open(_)) {
                self.flush_open(index, id, now, connections);
            }
        }
    }

    fn flush_open(&mut self, index: usize, id: ConnectionId, now: Instant, connections: &mut Connections) {
        let socket = self.pool.members[index].socket();
        let Some(connection) = connections.get_untouched(id) else { return };
        send(socket, &mut connection.output);
        let (queued, ending) = (socket.send_queue(), connection.ending());
        let mut rounds = queued.div_ceil(SEGMENT_BYTES);
        // The service made room for input that waits in the socket.
        let mut again = ending == Ending::Open && socket.can_recv() && connection.input.space() > 0;
        match ending {
            Ending::Open => {}
            Ending::Graceful if !connection.output.is_empty() => rounds = EGRESS_ROUNDS_MAX,
            Ending::Graceful => socket.close(),
            Ending::Abort => socket.abort(),
        }
        if ending == Ending::Abort || (ending == Ending::Graceful && connection.output.is_empty()) {
            // An aborted socket is over without another packet.
            again = ending == Ending::Abort;
            rounds = rounds.max(1);
            self.pool.members[index].role = Role::Closing(id, now + LINGER);
        }
        if rounds > 0 || again {
            self.pool.touch(index);
            let member = &mut self.pool.members[index];
            member.rounds = member.rounds.max(rounds.min(EGRESS_ROUNDS_MAX));
            member.again |= again;
        }
    }
}

/// Whether nothing came for an open connection but an ACK of all that was sent.
fn is_answered(socket: &tcp::Socket<'_>, connection: Option<&Connection>) -> bool {
    socket.state() == tcp::State::Established
        && !socket.can_recv()
        && socket.send_queue() == 0
        && connection.is_some_and(|connection| connection.output.is_empty())
}

/// Moves received bytes into `input` as far as it has room; how many.
fn receive(socket: &mut tcp::Socket<'_>, input: &mut Buffer) -> usize {
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
    total
}

/// Moves bytes from `output` into the socket as far as it has room; how many.
fn send(socket: &mut tcp::Socket<'_>, output: &mut Buffer) -> usize {
    if output.is_empty() || !socket.can_send() {
        return 0;
    }
    let count = socket.send_slice(output.as_slice()).unwrap_or(0);
    output.consume(count);
    count
}

fn discard_input(socket: &mut tcp::Socket<'_>) {
    while socket.can_recv() {
        if socket.recv(|bytes| (bytes.len(), ())).is_err() {
            return;
        }
    }
}
