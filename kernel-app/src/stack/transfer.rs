//! Bytes between sockets and the connection table, and the ends of connections.
//!
//! Knows nothing of services or protocols.

use alloc::vec::Vec;

use smoltcp::phy::Device;
use smoltcp::socket::tcp;

use super::pool::{Member, Role, forget};
use super::{EGRESS_ROUNDS_MAX, LINGER, SEGMENT_BYTES, SmoltcpNetwork};
use crate::connections::{ConnectionId, Connections, Ending};
use crate::network::Event;
use crate::service::Origin;
use wire::{Buffer, Instant};

impl<D: Device> SmoltcpNetwork<D> {
    /// Looks at every socket in use: new connections, arrived bytes, ends.
    pub(super) fn scan(&mut self, now: Instant, connections: &mut Connections, events: &mut Vec<Event>) {
        for position in 0..self.pool.in_use.len() {
            let index = self.pool.in_use[position];
            match self.pool.members[index].role {
                Role::Opening { service, origin, deadline } => {
                    self.scan_opening(index, (service, origin), now >= deadline, connections, events);
                }
                Role::Open(id) => self.scan_open(index, id, connections, events),
                Role::Closing(id, deadline) => self.scan_closing(index, id, deadline, now, events),
                Role::Absent | Role::Spare | Role::Listening | Role::Dialing | Role::Finished => {}
            }
        }
        self.make_room(connections);
    }

    /// Ends connections until there will be as many free sockets as backlogs lack: first those that are
    /// over but for the client's own end, then those that are missed least, then any unfinished handshake.
    fn make_room(&mut self, connections: &mut Connections) {
        let mut wanted = self.pool.shortage();
        for &index in &self.pool.in_use {
            if wanted == 0 {
                return;
            }
            let Member { handle, role: Role::Closing(..) } = self.pool.members[index] else { continue };
            let socket = self.sockets.get_mut::<tcp::Socket>(handle);
            if socket.state() == tcp::State::FinWait2 {
                socket.abort();
                self.scan_due = true;
                wanted -= 1;
            }
        }
        while wanted > 0 {
            let Some(id) = connections.longest_idle() else {
                return self.pool.give_up_handshakes(wanted, 0, &mut self.sockets);
            };
            connections.abort(id);
            wanted -= 1;
        }
    }

    fn scan_opening(
        &mut self,
        index: usize,
        (service, origin): (usize, Origin),
        is_overdue: bool,
        connections: &mut Connections,
        events: &mut Vec<Event>,
    ) {
        let socket = self.sockets.get_mut::<tcp::Socket>(self.pool.members[index].handle);
        match socket.state() {
            tcp::State::SynReceived if is_overdue => {
                // Without a reset: the address may be forged.
                socket.abort();
                forget(socket);
                return self.pool.finish(index);
            }
            tcp::State::SynReceived => return,
            // A reset during the handshake sends the socket back to where it was.
            tcp::State::Listen => {
                socket.close();
                return self.pool.finish(index);
            }
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
        let socket = self.sockets.get_mut::<tcp::Socket>(self.pool.members[index].handle);
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
        let socket = self.sockets.get_mut::<tcp::Socket>(self.pool.members[index].handle);
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
        let socket = self.sockets.get_mut::<tcp::Socket>(self.pool.members[index].handle);
        let Some(connection) = connections.get_untouched(id) else { return };
        send(socket, &mut connection.output);
        let (queued, ending) = (socket.send_queue(), connection.ending());
        match ending {
            Ending::Open => {
                // The service made room for input that waits in the socket.
                self.scan_due |= socket.can_recv() && connection.input.space() > 0;
                return self.want_egress(queued.div_ceil(SEGMENT_BYTES));
            }
            Ending::Graceful if !connection.output.is_empty() => return self.want_egress(EGRESS_ROUNDS_MAX),
            Ending::Graceful => socket.close(),
            Ending::Abort => socket.abort(),
        }
        self.pool.members[index].role = Role::Closing(id, now + LINGER);
        self.want_egress(queued.div_ceil(SEGMENT_BYTES).max(1));
        // An aborted socket is over without another packet.
        self.scan_due |= ending == Ending::Abort;
    }
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
