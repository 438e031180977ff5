//! Transfer of bytes between sockets and the connection table, and the closing of connections.
//!
//! It knows nothing about services or protocols.

use alloc::vec::Vec;

use smoltcp::socket::tcp;

use super::SmoltcpNetwork;
use super::device::FrameDevice;
use super::limits::{CLOSING_MAX, EGRESS_ROUNDS_MAX, LINGER};
use super::member::{Closing, Role};
use crate::connections::{ConnectionId, Connections, Ending};
use crate::network::Event;
use crate::service::Origin;
use wire::Instant;

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
            if all && matches!(role, Role::Open(_) | Role::Closing(..)) {
                self.suspect_path(index, now);
            }
            match role {
                Role::Opening { service, origin, deadline } if now < deadline => {
                    self.scan_opening(index, service, origin, connections, events);
                }
                Role::Opening { .. } => self.pool.release(index),
                Role::Open(id) => self.scan_open(index, id, connections, events),
                Role::Closing(id, closing) => self.scan_closing(index, id, closing, now, events),
                Role::Absent | Role::Spare | Role::Dialing | Role::Finished => {}
            }
        }
        self.make_room(now, connections, events);
    }

    /// Ends connections until there will be room for the next ones: first those that are over but for the
    /// client's own end, then those that are missed least.
    fn make_room(&mut self, now: Instant, connections: &mut Connections, events: &mut Vec<Event>) {
        for _ in 0..self.pool.shortage(now) {
            if let Some((index, id)) = self.pool.nearly_over(now) {
                events.push(Event::Closed(id));
                self.pool.finish(index);
            } else if !connections.make_room() {
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
            self.pool.members[index].abort();
            return self.pool.finish(index);
        };
        if let Some(connection) = connections.get_untouched(id) {
            connection.peer_address = socket.remote_endpoint().map(|endpoint| endpoint.addr.into());
        }
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
        let member = &mut self.pool.members[index];
        let (socket, streams) = member.parts();
        let Some(connection) = connections.get_untouched(id) else { return };
        let ended = !socket.may_recv() && !connection.input_ended && socket.recv_queue() == 0;
        let freed = !connection.output.is_empty() && socket.can_send();
        let over = !socket.is_open();
        connection.peer_ended |= has_peer_ended(socket.state());
        if socket.can_recv() || ended || freed {
            let input_bytes = connection.input.len();
            connections.relieve_memory();
            connections.allow(id, input_bytes + socket.recv_queue());
            if let Some(connection) = connections.get_untouched(id) {
                let received = streams.receive(socket, &mut connection.input);
                let ended = ended || (!socket.may_recv() && socket.recv_queue() == 0);
                let sent = streams.send(socket, &mut connection.output);
                let news = received > 0 || sent > 0 || (ended && !connection.input_ended);
                connection.input_ended |= ended;
                if news {
                    events.push(Event::Ready(id));
                }
            }
        }
        // An ACK may have made way for more than one segment.
        let queued = socket.send_queue();
        member.want_rounds(queued);
        if over {
            events.push(Event::Closed(id));
            self.pool.finish(index);
        }
    }

    fn scan_closing(
        &mut self,
        index: usize,
        id: ConnectionId,
        closing: Closing,
        now: Instant,
        events: &mut Vec<Event>,
    ) {
        let member = &mut self.pool.members[index];
        let (socket, streams) = member.parts();
        streams.discard_input(socket);
        let (state, queued) = (socket.state(), socket.send_queue());
        if now >= closing.until {
            member.abort();
        }
        if !member.socket().is_open() {
            events.push(Event::Closed(id));
            return self.pool.finish(index);
        }
        member.want_rounds(queued);
        if !closing.is_acknowledged && state == tcp::State::FinWait2 {
            // From here on it is the other side's turn.
            let closing = Closing { until: now + LINGER, is_acknowledged: true, ..closing };
            member.role = Role::Closing(id, closing);
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
        let member = &mut self.pool.members[index];
        let Some(connection) = connections.get_untouched(id) else { return };
        let (socket, streams) = member.parts();
        streams.send(socket, &mut connection.output);
        let (queued, ending) = (socket.send_queue(), connection.ending());
        let mut rounds = usize::from(ending != Ending::Open);
        // The service made room for input that waits in the socket.
        let mut again = ending == Ending::Open && socket.can_recv() && connection.input.space() > 0;
        match ending {
            Ending::Open => {}
            Ending::Graceful if !connection.output.is_empty() => rounds = EGRESS_ROUNDS_MAX,
            Ending::Graceful => socket.close(),
            Ending::Abort => member.abort(),
        }
        if ending == Ending::Abort || (ending == Ending::Graceful && connection.output.is_empty()) {
            // An aborted socket is over without another packet.
            again = ending == Ending::Abort;
            let closing = Closing { since: now, until: now + CLOSING_MAX, is_acknowledged: false };
            member.role = Role::Closing(id, closing);
        }
        member.rounds = member.rounds.max(rounds);
        member.want_rounds(queued);
        member.again |= again;
        if member.rounds > 0 || again {
            self.pool.touch(index);
        }
    }
}

/// Whether the other side's FIN or reset has come, also when data before it are still to be taken.
fn has_peer_ended(state: tcp::State) -> bool {
    use tcp::State::{CloseWait, Closed, Closing, LastAck, TimeWait};
    matches!(state, CloseWait | Closing | LastAck | TimeWait | Closed)
}
