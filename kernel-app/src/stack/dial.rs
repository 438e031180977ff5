//! One outgoing connection: name resolution (RFC 1035), then a handshake with one address of the name after the other,
//! within one deadline; and the name of an open connection, which may come to lead elsewhere.
//!
//! It makes one attempt; the runtime retries.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use smoltcp::socket::dns::{self, GetQueryResultError};
use smoltcp::socket::tcp;
use smoltcp::wire::{DnsQueryType, IpAddress, IpEndpoint};

use super::SmoltcpNetwork;
use super::device::FrameDevice;
use super::dials::{DIAL_TIMEOUT, Dial, DialState, Query};
use super::flow::Flow;
use super::limits::{HALF_OPEN_MAX, PEER_KEEP_ALIVE};
use super::member::Role;
use super::neighbours::Cause;
use super::time::{stack_duration, stack_time};
use crate::network::{Event, NAME_ADDRESSES_MAX, NAME_VALID_MIN, Unreachable};
use crate::service::Origin;
use wire::Instant;

/// How long one of several name servers may take before the next one is asked: all of three have their turn.
const SERVER_PATIENCE: Duration = Duration::from_millis(500);

/// What a look at a dial found.
enum Progress {
    Pending(DialState),
    /// The handshake of this pool member is done.
    Done(usize),
    Failed(Unreachable),
    /// The name of an open connection leads elsewhere.
    Moved,
}

impl<D: FrameDevice> SmoltcpNetwork<D> {
    /// Moves every dial on; a finished one becomes an opening socket or an event.
    pub(super) fn poll_dials(&mut self, now: Instant, events: &mut Vec<Event>) {
        let mut position = 0;
        while position < self.dials.dials.len() {
            let progress = self.advance(position, now);
            let dial = &mut self.dials.dials[position];
            let (service, peer) = (dial.service, dial.peer);
            let next = match progress {
                Progress::Pending(state) => Some(state),
                Progress::Done(index) => {
                    let (origin, deadline) = (Origin::Peer(peer), now + HALF_OPEN_MAX);
                    let member = &mut self.pool.members[index];
                    member.role = Role::Opening { service, origin, deadline };
                    let is_named = dial.host.parse::<Ipv4Addr>().is_err();
                    dial.reached = member.flow.map(Flow::remote);
                    is_named.then_some(DialState::Valid(now + dial.valid_for))
                }
                // The connection is as good as it was: the name may be there again later.
                Progress::Failed(_) if dial.reached.is_some() => {
                    self.free(position);
                    Some(DialState::Valid(now + NAME_VALID_MIN))
                }
                Progress::Failed(reason) => {
                    events.push(Event::Unreachable { service, peer, reason });
                    self.free(position);
                    None
                }
                Progress::Moved => {
                    events.push(Event::Moved { service, peer });
                    None
                }
            };
            match next {
                Some(state) => {
                    self.dials.dials[position].state = state;
                    position += 1;
                }
                None => {
                    self.dials.dials.swap_remove(position);
                }
            }
        }
    }

    /// The name of the connection to this peer is of no more interest: it is dialled anew.
    pub(super) fn forget_reached(&mut self, service: usize, peer: usize) {
        if let Some(position) = self.dials.reached(service, peer) {
            self.free(position);
            self.dials.dials.swap_remove(position);
        }
    }

    fn advance(&mut self, position: usize, now: Instant) -> Progress {
        let dial = &mut self.dials.dials[position];
        let progress = match dial.state {
            DialState::Start => self.resolve(position, now),
            DialState::Resolving(query) => self.check_query(position, query, now),
            DialState::Connecting(index, until) => self.check_handshake(position, index, until, now),
            DialState::Valid(until) if now < until => return Progress::Pending(dial.state),
            DialState::Valid(_) => {
                (dial.deadline, dial.state) = (now + DIAL_TIMEOUT, DialState::Start);
                self.resolve(position, now)
            }
        };
        match progress {
            Progress::Pending(state @ (DialState::Resolving(_) | DialState::Connecting(..)))
                if self.dials.dials[position].deadline <= now =>
            {
                // What this step took is given back with the dial.
                self.dials.dials[position].state = state;
                Progress::Failed(Unreachable::TimedOut)
            }
            progress => progress,
        }
    }

    fn resolve(&mut self, position: usize, now: Instant) -> Progress {
        if self.interface.ipv4_addr().is_none() {
            return Progress::Failed(Unreachable::NoAddress);
        }
        let host = &self.dials.dials[position].host;
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return self.handshake(position, address, now);
        }
        self.ask(position, self.address.servers().saturating_sub(1), now)
    }

    /// Asks the name server.
    fn ask(&mut self, position: usize, others: usize, now: Instant) -> Progress {
        let server = self.address.server();
        if let Some(server) = server {
            self.seek(server, Cause::Own, now);
        }
        let Dial { host, deadline, .. } = &self.dials.dials[position];
        let resolver = self.others.get_mut::<dns::Socket>(self.address.resolver);
        self.others_due = true;
        // What the query is known by comes from an interface of its own: see `numbers`.
        let mut interface = self.link.interface(self.choices.next(), stack_time(now));
        match resolver.start_query(interface.context(), host, DnsQueryType::A) {
            Ok(handle) => {
                let until = if others == 0 { *deadline } else { now + SERVER_PATIENCE };
                Progress::Pending(DialState::Resolving(Query { handle, server, until, others }))
            }
            Err(dns::StartQueryError::NoFreeSlot) => Progress::Failed(Unreachable::NoRoom),
            Err(_) => Progress::Failed(Unreachable::NameNotFound),
        }
    }

    fn check_query(&mut self, position: usize, query: Query, now: Instant) -> Progress {
        let resolver = self.others.get_mut::<dns::Socket>(self.address.resolver);
        match resolver.get_query_result(query.handle) {
            Err(GetQueryResultError::Pending) if now < query.until || query.others == 0 => {
                return Progress::Pending(DialState::Resolving(query));
            }
            Err(GetQueryResultError::Pending) => resolver.cancel_query(query.handle),
            Ok(addresses) => {
                let addresses = addresses.iter().rev().map(|IpAddress::Ipv4(address)| *address).collect();
                return self.resolved(position, addresses, now);
            }
            Err(GetQueryResultError::Failed) => {}
        }
        // The query's slot is free again.
        self.dials.dials[position].state = DialState::Start;
        if query.others == 0 {
            return Progress::Failed(Unreachable::NameNotFound);
        }
        // Another dial may have turned to the next one already.
        if self.address.server() == query.server {
            self.address.ask_next_server(&mut self.others);
        }
        self.ask(position, query.others - 1, now)
    }

    /// The name has these addresses, the first one last.
    fn resolved(&mut self, position: usize, addresses: Vec<Ipv4Addr>, now: Instant) -> Progress {
        let dial = &mut self.dials.dials[position];
        // The query's slot is free again.
        dial.state = DialState::Start;
        match dial.reached {
            // Of many addresses only some were taken.
            Some(address) if addresses.contains(&address) || addresses.len() >= NAME_ADDRESSES_MAX => {
                Progress::Pending(DialState::Valid(now + dial.valid_for))
            }
            Some(_) => Progress::Moved,
            None => {
                dial.addresses = addresses;
                self.next_handshake(position, Unreachable::NameNotFound, now)
            }
        }
    }

    /// Tries the next address, if there is one; the last one has failed for this reason.
    fn next_handshake(&mut self, position: usize, reason: Unreachable, now: Instant) -> Progress {
        match self.dials.dials[position].addresses.pop() {
            Some(address) => self.handshake(position, address, now),
            None => Progress::Failed(reason),
        }
    }

    fn handshake(&mut self, position: usize, address: Ipv4Addr, now: Instant) -> Progress {
        let dial = &mut self.dials.dials[position];
        dial.state = DialState::Start;
        let port = dial.port;
        // Each address has its share of the time that is left.
        let until = now + dial.deadline.since(now) / (dial.addresses.len() as u32 + 1);
        let is_taken = |local_port| self.pool.flows.get(Flow::new(address, port, local_port)).is_some();
        let (Some(local_port), Some(own)) = (self.choices.port(is_taken), self.address.own()) else {
            return Progress::Failed(Unreachable::NoRoom);
        };
        let Some(index) = self.pool.take_for_dial() else {
            return Progress::Failed(Unreachable::NoRoom);
        };
        let flow = Flow::new(address, port, local_port);
        let number = self.sequence_numbers.first(own.address(), flow, now);
        let member = &mut self.pool.members[index];
        member.begin(number);
        let socket = member.socket();
        socket.set_keep_alive(Some(stack_duration(PEER_KEEP_ALIVE)));
        let remote = (IpAddress::Ipv4(address), port);
        let begun = socket.connect(self.interface.context(), remote, local_port);
        if begun.is_err() || !socket.begin_with(number) {
            self.pool.release(index);
            return Progress::Failed(Unreachable::NameNotFound);
        }
        member.role = Role::Dialing;
        member.path_mtu = self.paths.mtu(address, now);
        self.pool.carry(index, flow);
        self.seek(address, Cause::Own, now);
        Progress::Pending(DialState::Connecting(index, until))
    }

    fn check_handshake(&mut self, position: usize, index: usize, until: Instant, now: Instant) -> Progress {
        let is_late = until <= now && !self.dials.dials[position].addresses.is_empty();
        let socket = self.pool.members[index].socket();
        let remote = socket.remote_endpoint();
        match socket.state() {
            tcp::State::SynSent | tcp::State::SynReceived if is_late => {
                self.free(position);
                self.next_handshake(position, Unreachable::TimedOut, now)
            }
            tcp::State::SynSent | tcp::State::SynReceived => {
                if let Some(IpEndpoint { addr: IpAddress::Ipv4(address), .. }) = remote {
                    self.seek(address, Cause::Own, now);
                }
                Progress::Pending(DialState::Connecting(index, until))
            }
            tcp::State::Closed | tcp::State::TimeWait => {
                self.free(position);
                self.next_handshake(position, Unreachable::Refused, now)
            }
            _ => Progress::Done(index),
        }
    }

    /// Frees what a dial holds.
    fn free(&mut self, position: usize) {
        match core::mem::replace(&mut self.dials.dials[position].state, DialState::Start) {
            DialState::Start | DialState::Valid(_) => {}
            DialState::Resolving(query) => {
                self.others.get_mut::<dns::Socket>(self.address.resolver).cancel_query(query.handle);
            }
            DialState::Connecting(index, _) => {
                self.pool.members[index].forget_neighbour();
                self.pool.members[index].abort();
                self.pool.finish(index);
            }
        }
    }
}
