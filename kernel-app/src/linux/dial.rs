//! Outgoing connections until they are open: names, addresses in turn, and the time limit. While one is open, its name
//! is looked up now and then.
//!
//! The runtime decides when to dial; an open connection belongs to the network.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::string::{String, ToString as _};
use std::sync::Arc;
use std::vec::Vec;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token, Waker};

use super::resolver::{Question, Resolver};
use super::socket::tune_peer;
use crate::network::{Event, NAME_ADDRESSES_MAX, NAME_VALID_MIN, Unreachable};
use wire::Instant;

/// How long a dial may take, the name's resolution and all addresses together: operators are to hear of a server
/// that does not answer within 2 s.
pub(super) const DIAL_MAX: Duration = Duration::from_millis(1_800);
/// How long the addresses of a name are taken to be valid: `getaddrinfo` does not tell it.
pub(super) const NAME_VALID_UNTOLD: Duration = Duration::from_secs(30);
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
    host: String,
    port: u16,
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
    /// As long as other addresses are left, until then.
    Connecting(TcpStream, Instant),
    Failed(Unreachable),
    /// Connected to this address, found by its name, which is looked up again then.
    Reached(IpAddr, Instant),
    /// Connected to this address, and its name is being looked up.
    Checking(IpAddr),
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
        (dial.host, dial.port) = (host.to_string(), port);
        if let Ok(address) = host.parse::<IpAddr>() {
            dial.addresses.push(SocketAddr::new(address, port));
            dial.state = dial.next_attempt(index, registry, Unreachable::Refused, now);
        } else {
            let is_asked = self.ask(index);
            self.dials[index].state =
                if is_asked { DialState::Resolving } else { DialState::Failed(Unreachable::NoRoom) };
        }
    }

    /// Takes the resolver's answers: starts connecting to what they name, or compares it to what is connected.
    pub fn take_answers(&mut self, registry: &Registry, now: Instant, events: &mut Vec<Event>) {
        while let Some(answer) = self.resolver.as_ref().and_then(Resolver::answer) {
            let dial = &mut self.dials[answer.asker];
            dial.asked = false;
            match dial.state {
                DialState::Resolving => {
                    dial.addresses = answer.addresses;
                    dial.addresses.reverse();
                    dial.state = dial.next_attempt(answer.asker, registry, Unreachable::NameNotFound, now);
                }
                DialState::Checking(address) => events.extend(dial.check(address, &answer.addresses, now)),
                _ => {}
            }
        }
    }

    /// Looks at a dial that epoll has news of.
    pub fn progress(&mut self, index: usize, registry: &Registry, now: Instant) -> Option<Made> {
        let dial = self.dials.get_mut(index)?;
        let (stream, until) = match core::mem::replace(&mut dial.state, DialState::Idle) {
            DialState::Connecting(stream, until) => (stream, until),
            other => {
                dial.state = other;
                return None;
            }
        };
        match is_connected(&stream) {
            Ok(true) => {
                if dial.host.parse::<IpAddr>().is_err()
                    && let Ok(address) = stream.peer_addr()
                {
                    dial.state = DialState::Reached(address.ip(), now + NAME_VALID_UNTOLD);
                }
                return Some(Made { stream, service: dial.service, peer: dial.peer });
            }
            Ok(false) => dial.state = DialState::Connecting(stream, until),
            Err(error) => dial.state = dial.next_attempt(index, registry, reason_of(&error), now),
        }
        None
    }

    /// Leaves addresses that do not answer, looks names up whose answers are old, and reports the dials that have
    /// failed, by now also for want of an answer.
    pub fn settle(&mut self, now: Instant, registry: &Registry, events: &mut Vec<Event>) {
        for index in 0..self.dials.len() {
            let dial = &mut self.dials[index];
            let reason = match dial.state {
                DialState::Failed(reason) => reason,
                DialState::Resolving | DialState::Connecting(..) if dial.deadline <= now => {
                    Unreachable::TimedOut
                }
                DialState::Connecting(_, until) if until <= now && !dial.addresses.is_empty() => {
                    dial.state = dial.next_attempt(index, registry, Unreachable::TimedOut, now);
                    continue;
                }
                DialState::Reached(address, at) if at <= now => {
                    let later = DialState::Reached(address, now + NAME_VALID_MIN);
                    self.dials[index].state =
                        if self.ask(index) { DialState::Checking(address) } else { later };
                    continue;
                }
                _ => continue,
            };
            let dial = &mut self.dials[index];
            dial.state = DialState::Idle;
            events.push(Event::Unreachable { service: dial.service, peer: dial.peer, reason });
        }
    }

    /// When [`settle`](Self::settle) has something to do.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let due = |dial: &Dial| match dial.state {
            DialState::Idle | DialState::Checking(_) => None,
            DialState::Failed(_) => Some(now),
            DialState::Resolving => Some(dial.deadline),
            DialState::Connecting(_, until) => Some(until.min(dial.deadline)),
            DialState::Reached(_, at) => Some(at),
        };
        self.dials.iter().filter_map(due).min()
    }

    fn slot(&mut self, service: usize, peer: usize) -> usize {
        let found = self.dials.iter().position(|dial| dial.service == service && dial.peer == peer);
        found.unwrap_or_else(|| {
            let (state, deadline) = (DialState::Idle, Instant::ZERO);
            let (host, addresses) = (String::new(), Vec::new());
            self.dials.push(Dial { service, peer, host, port: 0, state, deadline, asked: false, addresses });
            self.dials.len() - 1
        })
    }

    /// Has the name of a dial looked up, unless that is under way; whether there was room for it.
    fn ask(&mut self, asker: usize) -> bool {
        let Dial { host, port, asked, .. } = &self.dials[asker];
        if *asked {
            return true;
        }
        if self.resolver.is_none() {
            self.resolver = Resolver::start(self.waker.clone()).ok();
        }
        let question = Question { asker, host: host.clone(), port: *port };
        let is_asked = self.resolver.as_ref().is_some_and(|resolver| resolver.ask(question));
        self.dials[asker].asked = is_asked;
        is_asked
    }
}

impl Dial {
    /// Tries the next address, and the ones after it as long as they fail at once. Each has its share of the time that
    /// is left.
    fn next_attempt(
        &mut self,
        index: usize,
        registry: &Registry,
        mut reason: Unreachable,
        now: Instant,
    ) -> DialState {
        while let Some(address) = self.addresses.pop() {
            match connect(address, index, registry) {
                Ok(stream) => {
                    let share = self.deadline.since(now) / (self.addresses.len() as u32 + 1);
                    return DialState::Connecting(stream, now + share);
                }
                Err(error) => reason = reason_of(&error),
            }
        }
        DialState::Failed(reason)
    }

    /// Compares the addresses of a name to the one that is connected. A name that has none now may have it again.
    fn check(&mut self, address: IpAddr, found: &[SocketAddr], now: Instant) -> Option<Event> {
        // Of many addresses only some were taken.
        let is_there = found.len() >= NAME_ADDRESSES_MAX || found.iter().any(|found| found.ip() == address);
        if !is_there && !found.is_empty() {
            self.state = DialState::Idle;
            return Some(Event::Moved { service: self.service, peer: self.peer });
        }
        let valid_for = if is_there { NAME_VALID_UNTOLD } else { NAME_VALID_MIN };
        self.state = DialState::Reached(address, now + valid_for);
        None
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_moved_when_its_name_has_only_other_addresses() {
        let (now, own) = (Instant::from_millis(1_000), IpAddr::from([192, 0, 2, 1]));
        let others = |count: u8| (0..count).map(|last| SocketAddr::from(([192, 0, 2, 100 + last], 6379)));
        let with_own = others(2).chain([SocketAddr::new(own, 6379)]).collect::<Vec<_>>();
        for (found, next) in [
            (with_own, Some(NAME_VALID_UNTOLD)),
            (Vec::new(), Some(NAME_VALID_MIN)),
            (others(8).collect(), Some(NAME_VALID_UNTOLD)),
            (others(7).collect(), None),
        ] {
            let mut dial = Dial {
                service: 2,
                peer: 1,
                host: "store".to_string(),
                port: 6379,
                state: DialState::Checking(own),
                deadline: now,
                asked: false,
                addresses: Vec::new(),
            };
            let event = dial.check(own, &found, now);
            match (dial.state, next) {
                (DialState::Reached(address, at), Some(next)) => {
                    assert_eq!((address, at, event), (own, now + next, None), "{found:?}");
                }
                (DialState::Idle, None) => assert_eq!(event, Some(Event::Moved { service: 2, peer: 1 })),
                (state, _) => panic!("{found:?}: {state:?}"),
            }
        }
    }
}
