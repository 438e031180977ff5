//! Incoming events: epoll's readiness, accepted connections, and dials that succeeded.
//!
//! `transfer` moves the bytes.

use std::io::{self, ErrorKind};
use std::vec::Vec;

use mio::net::TcpStream;
use mio::{Events, Interest, Token};

use super::dial;
use super::network::{
    ACCEPT_LOG_INTERVAL, ACCEPT_RETRY, ACCEPTS_PER_TURN_MAX, FIRST_LISTENER, LinuxNetwork, STOP, WAKER,
};
use super::socket::{Phase, Socket};
use crate::connections::{CONNECTIONS_MAX, Connections};
use crate::network::{Event, Unreachable};
use crate::service::Origin;
use wire::Instant;

/// How a new socket stands with epoll.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Not,
    AsDial,
}

impl LinuxNetwork {
    /// Sorts what epoll said: sockets with news go to the queue.
    pub(super) fn take_news(&mut self, now: Instant, connections: &mut Connections, events: &mut Vec<Event>) {
        let news = core::mem::replace(&mut self.news, Events::with_capacity(0));
        for event in &news {
            match event.token() {
                WAKER => self.dials.take_answers(self.poll.registry(), now, events),
                STOP => self.note_stop(),
                Token(token) if token >= FIRST_LISTENER => {
                    if let Some(port) = self.ports.get_mut(token - FIRST_LISTENER) {
                        port.waiting = true;
                    }
                }
                Token(token) if token >= dial::FIRST_TOKEN => {
                    self.dial_news(token - dial::FIRST_TOKEN, now, connections, events);
                }
                Token(index) => self.socket_news(index, event),
            }
        }
        self.news = news;
    }

    fn socket_news(&mut self, index: usize, event: &mio::event::Event) {
        let Some(Some(socket)) = self.sockets.get_mut(index) else { return };
        socket.note(event);
        self.enqueue(index);
    }

    fn dial_news(
        &mut self,
        index: usize,
        now: Instant,
        connections: &mut Connections,
        events: &mut Vec<Event>,
    ) {
        let Some(made) = self.dials.progress(index, self.poll.registry(), now) else { return };
        let (service, peer) = (made.service, made.peer);
        let owner = (service, Origin::Peer(peer));
        if self.adopt(made.stream, Known::AsDial, owner, connections, events).is_none() {
            self.make_room(connections);
            events.push(Event::Unreachable { service, peer, reason: Unreachable::NoRoom });
        }
    }

    /// Gives a new socket its place in the table and with epoll; none when there is none, which
    /// closes the socket.
    fn adopt(
        &mut self,
        mut stream: TcpStream,
        known: Known,
        (service, origin): (usize, Origin),
        connections: &mut Connections,
        events: &mut Vec<Event>,
    ) -> Option<()> {
        let id = connections.open(service, origin)?;
        if let Some(connection) = connections.get_untouched(id) {
            connection.peer_address = stream.peer_addr().ok().map(|address| address.ip().to_canonical());
        }
        let (token, interest) = (Token(id.index()), Interest::READABLE | Interest::WRITABLE);
        let registry = self.poll.registry();
        let registered = match known {
            Known::Not => registry.register(&mut stream, token, interest),
            Known::AsDial => registry.reregister(&mut stream, token, interest),
        };
        if registered.is_err() {
            connections.remove(id);
            return None;
        }
        if self.sockets.len() <= id.index() {
            self.sockets.resize_with(id.index() + 1, || None);
        }
        self.sockets[id.index()] = Some(Socket::new(stream, id));
        events.push(Event::Opened(id));
        // What a client sends first is often there already.
        self.enqueue(id.index());
        Some(())
    }

    /// Accepts from every port where connections wait, as long as the table has room.
    pub(super) fn accept(&mut self, now: Instant, connections: &mut Connections, events: &mut Vec<Event>) {
        if self.accept_at.is_some_and(|at| at > now) {
            return;
        }
        self.accept_at = None;
        if let Err(error) = self.accept_all(connections, events) {
            if self.accept_log_at.is_none_or(|at| at <= now) {
                log::warn!("cannot accept all connections: {error}; trying again");
                self.accept_log_at = Some(now + ACCEPT_LOG_INTERVAL);
            }
            self.accept_at = Some(now + ACCEPT_RETRY);
            self.make_room(connections);
        }
        if self.is_closing && self.held.is_none() && self.ports.iter().all(|port| !port.waiting) {
            self.ports.clear();
        }
    }

    /// Errors are those that will be met again, such as too many open files.
    fn accept_all(&mut self, connections: &mut Connections, events: &mut Vec<Event>) -> io::Result<()> {
        if let Some((stream, port)) = self.held.take() {
            self.admit(stream, port, connections, events)?;
        }
        for index in 0..self.ports.len() {
            for _ in 0..ACCEPTS_PER_TURN_MAX {
                if self.held.is_some() || !self.ports[index].waiting {
                    break;
                }
                match self.ports[index].listener.accept() {
                    Ok((stream, _)) => self.admit(stream, index, connections, events)?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => self.ports[index].waiting = false,
                    Err(error) if concerns_one_connection(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Gives an accepted socket its place, or holds it until another has made room; those behind it wait in the
    /// kernel's backlog. So nobody is sent away for want of a place.
    fn admit(
        &mut self,
        stream: TcpStream,
        port: usize,
        connections: &mut Connections,
        events: &mut Vec<Event>,
    ) -> io::Result<()> {
        if connections.len() >= CONNECTIONS_MAX {
            self.held = Some((stream, port));
            self.make_room(connections);
            return Ok(());
        }
        let owner = (self.ports[port].service, self.ports[port].origin);
        let adopted = self.adopt(stream, Known::Not, owner, connections, events);
        adopted.ok_or_else(|| io::Error::from(ErrorKind::OutOfMemory))
    }

    /// Ends a connection that is over but for the client's own end, whose answer the kernel delivers all the same;
    /// or else the one that is missed least, if one may go.
    fn make_room(&mut self, connections: &mut Connections) {
        let draining = |socket: &Option<Socket>| match socket.as_ref()?.phase {
            Phase::Draining(until) => Some(until),
            Phase::Open => None,
        };
        let sockets = self.sockets.iter().enumerate();
        match sockets.filter_map(|(index, socket)| Some((draining(socket)?, index))).min() {
            Some((_, index)) => self.finish(index),
            None => {
                connections.make_room();
            }
        }
    }
}

/// Whether an error of `accept` is only that of the connection that would have been accepted:
/// accept(2) hands over network errors that were pending on it.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::TimedOut
    )
}
