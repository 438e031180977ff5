//! Transfer of bytes between sockets and the connection table, and the closing of connections.
//!
//! It knows nothing about services or protocols.

use std::vec::Vec;

use super::network::{DRAIN_MAX, LinuxNetwork};
use super::socket::{Lost, Phase, Rest, Socket};
use crate::connections::{Connection, ConnectionId, Connections, Ending};
use crate::network::Event;
use wire::Instant;

/// What becomes of a socket after it was looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It waits for epoll's news.
    Rests,
    /// It must be looked at again in the next `poll`.
    HasMore,
    /// Our FIN is sent; the other side's must come soon.
    Drains(Instant),
    /// It is to be closed.
    Over,
}

impl From<Lost> for Fate {
    fn from(_: Lost) -> Self {
        Self::Over
    }
}

impl LinuxNetwork {
    /// Looks at every socket that has news, reads, and goes on sending.
    pub(super) fn progress_queued(
        &mut self,
        now: Instant,
        connections: &mut Connections,
        events: &mut Vec<Event>,
    ) {
        // What is queued meanwhile has its turn in the next poll.
        let mut due = core::mem::replace(&mut self.queue, core::mem::take(&mut self.queue_spare));
        for index in due.drain(..) {
            let Some(Some(socket)) = self.sockets.get_mut(index) else { continue };
            socket.queued = false;
            let fate = match connections.get_untouched(socket.id) {
                Some(connection) => progress(socket, connection, now, &mut self.scratch, events),
                None => Fate::Over,
            };
            self.settle(index, fate);
        }
        self.queue_spare = due;
    }

    /// Sends what a service has written and acts on the end that it asked for.
    pub(super) fn flush_one(&mut self, id: ConnectionId, now: Instant, connections: &mut Connections) {
        // Ends of memory pipes are touched too, and have no socket.
        let Some(Some(socket)) = self.sockets.get_mut(id.index()) else { return };
        let Some(connection) = connections.get_untouched(id).filter(|_| socket.id == id) else { return };
        let fate = match (socket.phase, connection.ending()) {
            (_, Ending::Abort) => reset(socket),
            (Phase::Draining(_), _) => Fate::Rests,
            (Phase::Open, Ending::Graceful) => close(socket, connection, now),
            (Phase::Open, Ending::Open) => flush(socket, connection),
        };
        self.settle(id.index(), fate);
    }

    /// Closes the sockets whose other side has not closed in time.
    pub(super) fn end_slow_drains(&mut self, now: Instant) {
        if self.drain_check_at.is_none_or(|at| at > now) {
            return;
        }
        self.drain_check_at = None;
        for index in 0..self.sockets.len() {
            match self.sockets[index].as_ref().map(|socket| socket.phase) {
                Some(Phase::Draining(until)) if until <= now => self.finish(index),
                Some(Phase::Draining(until)) => self.check_drains_at(until),
                Some(Phase::Open) | None => {}
            }
        }
    }

    fn check_drains_at(&mut self, at: Instant) {
        self.drain_check_at = Some(self.drain_check_at.map_or(at, |earlier| earlier.min(at)));
    }

    fn settle(&mut self, index: usize, fate: Fate) {
        match fate {
            Fate::Rests => {}
            Fate::HasMore => self.enqueue(index),
            Fate::Drains(until) => {
                self.check_drains_at(until);
                self.enqueue(index);
            }
            Fate::Over => self.finish(index),
        }
    }
}

/// Receives and goes on sending; the service hears of it.
fn progress(
    socket: &mut Socket,
    connection: &mut Connection,
    now: Instant,
    scratch: &mut [u8],
    events: &mut Vec<Event>,
) -> Fate {
    match (socket.phase, connection.ending()) {
        (_, Ending::Abort) => reset(socket),
        (Phase::Draining(_), _) => drain(socket, scratch),
        (Phase::Open, Ending::Graceful) => close(socket, connection, now),
        (Phase::Open, Ending::Open) => {
            connection.peer_ended |= socket.is_read_closed();
            let (count, rest) = socket.receive(&mut connection.input, scratch);
            let sent = socket.send(&mut connection.output);
            let ended = rest == Ok(Rest::Nothing) && !core::mem::replace(&mut connection.input_ended, true);
            if socket.take_space_came_free() || count > 0 || ended {
                events.push(Event::Ready(socket.id));
            }
            if rest.is_ok() && sent.is_ok() { Fate::Rests } else { Fate::Over }
        }
    }
}

fn flush(socket: &mut Socket, connection: &mut Connection) -> Fate {
    if socket.send(&mut connection.output).is_err() {
        return Fate::Over;
    }
    // Input that waits in the kernel is not announced twice.
    let can_receive = socket.is_readable() && connection.input.space() > 0;
    if can_receive || socket.has_news() { Fate::HasMore } else { Fate::Rests }
}

/// Sends the rest of the output and then FIN. No timer is needed before that: a reader that stands
/// still is lost after [`RESPONSE_TIMEOUT`](super::socket::RESPONSE_TIMEOUT), and its service may abort
/// it earlier.
fn close(socket: &mut Socket, connection: &mut Connection, now: Instant) -> Fate {
    match socket.send(&mut connection.output) {
        Err(lost) => lost.into(),
        Ok(()) if !connection.output.is_empty() => Fate::Rests,
        Ok(()) if connection.input_ended => Fate::Over,
        Ok(()) => {
            let until = now + DRAIN_MAX;
            socket.end_output(until).map_or_else(Fate::from, |()| Fate::Drains(until))
        }
    }
}

fn drain(socket: &mut Socket, scratch: &mut [u8]) -> Fate {
    match socket.discard(scratch) {
        Ok(true) | Err(Lost) => Fate::Over,
        Ok(false) if socket.is_readable() => Fate::HasMore,
        Ok(false) => Fate::Rests,
    }
}

fn reset(socket: &mut Socket) -> Fate {
    socket.reset_on_close();
    Fate::Over
}
