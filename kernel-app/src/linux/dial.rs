//! Outgoing connections until they are open: names, addresses in turn, and the time limit.
//!
//! The runtime decides when to dial; an open connection belongs to the network.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::string::ToString as _;
use std::sync::Arc;
use std::vec::Vec;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token, Waker};

use super::resolver::{Question, Resolver};
use super::socket::tune_peer;
use crate::network::{Event, Unreachable};
use wire::Instant;

/// How long a dial may take, the name's resolution and all addresses together: operators are to hear of a server
/// that does not answer within 2 s.
pub(super) const DIAL_MAX: Duration = Duration::from_millis(1_800);
/// The first token of dials; a dial's own is this plus its index.
pub(super) const FIRST_TOKEN: usize = 1 << 16;

/// The dials of a node: one for each peer that was ever dialled.
#[derive(Debug)]
pub(super) struct Dials {
    dials: Vec<Dial>,
    waker: Arc<Waker>,
    /// Started by the first name: most nodes are given addresses.
    resolver: Option<Resolver>,
}

#[derive(Debug)]
struct Dial {
    service: usize,
    peer: usize,
    state: DialState,
    deadline: Instant,
    /// A question is with the resolver, perhaps for an earlier attempt that timed out.
    asked: bool,
    /// Addresses still to try, the next one last.
    addresses: Vec<SocketAddr>,
}

#[derive(Debug)]
enum DialState {
    Idle,
    Resolving,
    Connecting(TcpStream),
    Failed(Unreachable),
}

/// A connection that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub stream: TcpStream,
    pub service: usize,
    pub peer: usize,
}

impl Dials {
    /// None yet.
    pub fn new(waker: Arc<Waker>) -> Self {
        Self { dials: Vec::new(), waker, resolver: None }
    }

    /// Starts a dial; the outcome comes out of [`progress`](Self::progress) or [`settle`](Self::settle).
    pub fn start(
        &mut self,
        target: (&str, u16),
        service: usize,
        peer: usize,
        now: Instant,
        registry: &Registry,
    ) {
        let index = self.slot(service, peer);
        let (host, port) = target;
        let dial = &mut self.dials[index];
        dial.deadline = now + DIAL_MAX;
        dial.addresses.clear();
        if let Ok(address) = host.parse::<IpAddr>() {
            dial.addresses.push(SocketAddr::new(address, port));
            dial.state = dial.next_attempt(index, registry, Unreachable::Refused);
        } else {
            self.dials[index].state = self.resolve(index, host, port);
        }
    }

    /// Takes the resolver's answers and starts connecting to what they name.
    pub fn take_answers(&mut self, registry: &Registry) {
        while let Some(answer) = self.resolver.as_ref().and_then(Resolver::answer) {
            let dial = &mut self.dials[answer.asker];
            dial.asked = false;
            if matches!(dial.state, DialState::Resolving) {
                dial.addresses = answer.addresses;
                dial.addresses.reverse();
                dial.state = dial.next_attempt(answer.asker, registry, Unreachable::NameNotFound);
            }
        }
    }

    /// Looks at a dial that epoll has news of.
    pub fn progress(&mut self, index: usize, registry: &Registry) -> Option<Made> {
        let dial = self.dials.get_mut(index)?;
        let DialState::Connecting(stream) = core::mem::replace(&mut dial.state, DialState::Idle) else {
            return None;
        };
        match is_connected(&stream) {
            Ok(true) => return Some(Made { stream, service: dial.service, peer: dial.peer }),
            Ok(false) => dial.state = DialState::Connecting(stream),
            Err(error) => dial.state = dial.next_attempt(index, registry, reason_of(&error)),
        }
        None
    }

    /// Reports the dials that have failed, by now also for want of an answer.
    pub fn settle(&mut self, now: Instant, events: &mut Vec<Event>) {
        for dial in &mut self.dials {
            let reason = match dial.state {
                DialState::Failed(reason) => reason,
                DialState::Resolving | DialState::Connecting(_) if dial.deadline <= now => {
                    Unreachable::TimedOut
                }
                _ => continue,
            };
            dial.state = DialState::Idle;
            events.push(Event::Unreachable { service: dial.service, peer: dial.peer, reason });
        }
    }

    /// When [`settle`](Self::settle) has something to do.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let due = |dial: &Dial| match dial.state {
            DialState::Idle => None,
            DialState::Failed(_) => Some(now),
            DialState::Resolving | DialState::Connecting(_) => Some(dial.deadline),
        };
        self.dials.iter().filter_map(due).min()
    }

    fn slot(&mut self, service: usize, peer: usize) -> usize {
        let found = self.dials.iter().position(|dial| dial.service == service && dial.peer == peer);
        found.unwrap_or_else(|| {
            let (state, deadline) = (DialState::Idle, Instant::ZERO);
            self.dials.push(Dial { service, peer, state, deadline, asked: false, addresses: Vec::new() });
            self.dials.len() - 1
        })
    }

    fn resolve(&mut self, asker: usize, host: &str, port: u16) -> DialState {
        if !self.dials[asker].asked {
            if self.resolver.is_none() {
                self.resolver = Resolver::start(self.waker.clone()).ok();
            }
            let question = Question { asker, host: host.to_string(), port };
            if !self.resolver.as_ref().is_some_and(|resolver| resolver.ask(question)) {
                return DialState::Failed(Unreachable::NoRoom);
            }
            self.dials[asker].asked = true;
        }
        DialState::Resolving
    }
}

impl Dial {
    /// Tries the next address, and the ones after it as long as they fail at once.
    fn next_attempt(&mut self, index: usize, registry: &Registry, mut reason: Unreachable) -> DialState {
        while let Some(address) = self.addresses.pop() {
            match connect(address, index, registry) {
                Ok(stream) => return DialState::Connecting(stream),
                Err(error) => reason = reason_of(&error),
            }
        }
        DialState::Failed(reason)
    }
}

fn connect(address: SocketAddr, index: usize, registry: &Registry) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    tune_peer(&stream)?;
    registry.register(&mut stream, Token(FIRST_TOKEN + index), Interest::WRITABLE)?;
    Ok(stream)
}

/// Whether a connection is made by now.
///
/// # Errors
/// Why it will never be.
pub fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

fn reason_of(error: &io::Error) -> Unreachable {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Unreachable::Refused,
        ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => Unreachable::NoAddress,
        ErrorKind::TimedOut | ErrorKind::HostUnreachable => Unreachable::TimedOut,
        _ => Unreachable::NoRoom,
    }
}
