//! Outgoing connections: name resolution (RFC 1035), then the handshake, within one deadline.
//!
//! Tries once; trying again is the runtime's business.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use smoltcp::socket::dns::{self, GetQueryResultError, QueryHandle};
use smoltcp::socket::tcp;
use smoltcp::wire::{DnsQueryType, IpAddress};

use super::flow::Flow;
use super::ingress::FrameDevice;
use super::pool::Role;
use super::{HALF_OPEN_MAX, PEER_KEEP_ALIVE, SmoltcpNetwork, stack_duration};
use crate::network::{Event, Unreachable};
use crate::service::Origin;
use wire::Instant;

/// How long resolving and connecting may take together: operators are to hear of a server that does not answer
/// within 2 s. A SYN that is lost is sent again after 1 s.
pub const DIAL_TIMEOUT: Duration = Duration::from_millis(1_800);
/// First local port of outgoing connections (RFC 6335 section 6).
const PORT_FIRST: u16 = 49_152;
/// How many there are.
const PORT_COUNT: u16 = u16::MAX - PORT_FIRST;

/// The dials under way.
pub(super) struct Dials {
    dials: Vec<Dial>,
    ports: u16,
}

struct Dial {
    host: String,
    port: u16,
    service: usize,
    peer: usize,
    deadline: Instant,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    Start,
    Resolving(QueryHandle),
    Connecting(usize),
}

/// What a look at a dial found.
enum Progress {
    Pending(Stage),
    /// The handshake of this pool member is done.
    Done(usize),
    Failed(Unreachable),
}

impl Dials {
    /// None under way; local ports start at a place that `seed` decides.
    pub fn new(seed: u64) -> Self {
        let ports = u16::try_from(seed % u64::from(PORT_COUNT)).unwrap_or(0);
        Self { dials: Vec::new(), ports }
    }

    pub fn start(&mut self, host: &str, port: u16, service: usize, peer: usize, now: Instant) {
        let (host, deadline) = (host.to_string(), now + DIAL_TIMEOUT);
        self.dials.push(Dial { host, port, service, peer, deadline, stage: Stage::Start });
    }

    pub fn earliest_deadline(&self) -> Option<Instant> {
        self.dials.iter().map(|dial| dial.deadline).min()
    }

    fn next_local_port(&mut self) -> u16 {
        self.ports = (self.ports + 1) % PORT_COUNT;
        PORT_FIRST + self.ports
    }
}

impl<D: FrameDevice> SmoltcpNetwork<D> {
    /// Moves every dial on; a finished one becomes an opening socket or an event.
    pub(super) fn poll_dials(&mut self, now: Instant, events: &mut Vec<Event>) {
        let mut position = 0;
        while position < self.dials.dials.len() {
            let progress = self.advance(position, now);
            let dial = &mut self.dials.dials[position];
            match progress {
                Progress::Pending(stage) => {
                    dial.stage = stage;
                    position += 1;
                    continue;
                }
                Progress::Done(index) => {
                    let (service, origin) = (dial.service, Origin::Peer(dial.peer));
                    let deadline = now + HALF_OPEN_MAX;
                    self.pool.members[index].role = Role::Opening { service, origin, deadline };
                }
                Progress::Failed(reason) => {
                    events.push(Event::Unreachable { service: dial.service, peer: dial.peer, reason });
                    self.give_up(position);
                }
            }
            self.dials.dials.swap_remove(position);
        }
    }

    fn advance(&mut self, position: usize, now: Instant) -> Progress {
        let dial = &self.dials.dials[position];
        let progress = match dial.stage {
            Stage::Start => self.resolve(position),
            Stage::Resolving(query) => self.check_query(position, query),
            Stage::Connecting(index) => self.check_handshake(index),
        };
        match progress {
            Progress::Pending(stage) if self.dials.dials[position].deadline <= now => {
                // What this step took is given back with the dial.
                self.dials.dials[position].stage = stage;
                Progress::Failed(Unreachable::TimedOut)
            }
            progress => progress,
        }
    }

    fn resolve(&mut self, position: usize) -> Progress {
        if self.interface.ipv4_addr().is_none() {
            return Progress::Failed(Unreachable::NoAddress);
        }
        let host = &self.dials.dials[position].host;
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return self.handshake(position, address);
        }
        let resolver = self.others.get_mut::<dns::Socket>(self.address.resolver);
        self.others_due = true;
        match resolver.start_query(self.interface.context(), host, DnsQueryType::A) {
            Ok(query) => Progress::Pending(Stage::Resolving(query)),
            Err(dns::StartQueryError::NoFreeSlot) => Progress::Failed(Unreachable::NoRoom),
            Err(_) => Progress::Failed(Unreachable::NameNotFound),
        }
    }

    fn check_query(&mut self, position: usize, query: QueryHandle) -> Progress {
        let resolver = self.others.get_mut::<dns::Socket>(self.address.resolver);
        match resolver.get_query_result(query) {
            Err(GetQueryResultError::Pending) => Progress::Pending(Stage::Resolving(query)),
            Err(GetQueryResultError::Failed) => self.failed(position, Unreachable::NameNotFound),
            Ok(addresses) => match addresses.first() {
                Some(IpAddress::Ipv4(address)) => self.handshake(position, *address),
                _ => self.failed(position, Unreachable::NameNotFound),
            },
        }
    }

    /// The query's slot is already free again.
    fn failed(&mut self, position: usize, reason: Unreachable) -> Progress {
        self.dials.dials[position].stage = Stage::Start;
        Progress::Failed(reason)
    }

    fn handshake(&mut self, position: usize, address: Ipv4Addr) -> Progress {
        self.dials.dials[position].stage = Stage::Start;
        let Some(index) = self.pool.take_for_dial() else {
            return Progress::Failed(Unreachable::NoRoom);
        };
        let local_port = self.dials.next_local_port();
        let dial = &self.dials.dials[position];
        let socket = self.pool.members[index].socket();
        socket.set_keep_alive(Some(stack_duration(PEER_KEEP_ALIVE)));
        let remote = (IpAddress::Ipv4(address), dial.port);
        if socket.connect(self.interface.context(), remote, local_port).is_err() {
            self.pool.release(index);
            return Progress::Failed(Unreachable::NameNotFound);
        }
        self.pool.members[index].role = Role::Dialing;
        self.pool.carry(index, Flow::new(address, dial.port, local_port));
        Progress::Pending(Stage::Connecting(index))
    }

    fn check_handshake(&mut self, index: usize) -> Progress {
        let socket = self.pool.members[index].socket();
        match socket.state() {
            tcp::State::SynSent | tcp::State::SynReceived => Progress::Pending(Stage::Connecting(index)),
            tcp::State::Closed | tcp::State::TimeWait => Progress::Failed(Unreachable::Refused),
            _ => Progress::Done(index),
        }
    }

    /// Frees what a failed dial holds.
    fn give_up(&mut self, position: usize) {
        match self.dials.dials[position].stage {
            Stage::Start => {}
            Stage::Resolving(query) => {
                self.others.get_mut::<dns::Socket>(self.address.resolver).cancel_query(query);
            }
            Stage::Connecting(index) => {
                self.pool.members[index].forget_neighbour();
                self.pool.members[index].socket().abort();
                self.pool.finish(index);
            }
        }
    }
}
