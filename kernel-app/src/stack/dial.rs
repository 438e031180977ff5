//! One outgoing connection: name resolution (RFC 1035), then the handshake, within one deadline.
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
use super::dials::{Dial, DialState, Query};
use super::flow::Flow;
use super::limits::{HALF_OPEN_MAX, PEER_KEEP_ALIVE};
use super::member::Role;
use super::neighbours::Cause;
use super::time::{stack_duration, stack_time};
use crate::network::{Event, Unreachable};
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
}

impl<D: FrameDevice> SmoltcpNetwork<D> {
    /// Moves every dial on; a finished one becomes an opening socket or an event.
    pub(super) fn poll_dials(&mut self, now: Instant, events: &mut Vec<Event>) {
        let mut position = 0;
        while position < self.dials.dials.len() {
            let progress = self.advance(position, now);
            let dial = &mut self.dials.dials[position];
            match progress {
                Progress::Pending(state) => {
                    dial.state = state;
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
        let progress = match dial.state {
            DialState::Start => self.resolve(position, now),
            DialState::Resolving(query) => self.check_query(position, query, now),
            DialState::Connecting(index) => self.check_handshake(index, now),
        };
        match progress {
            Progress::Pending(state) if self.dials.dials[position].deadline <= now => {
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
        // What the query is known by comes from an interface of its own: see `seeded_interface`.
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
                if let Some(IpAddress::Ipv4(address)) = addresses.first() {
                    return self.handshake(position, *address, now);
                }
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

    fn handshake(&mut self, position: usize, address: Ipv4Addr, now: Instant) -> Progress {
        self.dials.dials[position].state = DialState::Start;
        let port = self.dials.dials[position].port;
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
        let begun = self.link.with_interface(Some(own), number, stack_time(now), |interface| {
            socket.connect(interface.context(), remote, local_port)
        });
        if begun.is_err() {
            self.pool.release(index);
            return Progress::Failed(Unreachable::NameNotFound);
        }
        member.role = Role::Dialing;
        member.path_mtu = self.paths.mtu(address, now);
        self.pool.carry(index, flow);
        self.seek(address, Cause::Own, now);
        Progress::Pending(DialState::Connecting(index))
    }

    fn check_handshake(&mut self, index: usize, now: Instant) -> Progress {
        let socket = self.pool.members[index].socket();
        let remote = socket.remote_endpoint();
        match socket.state() {
            tcp::State::SynSent | tcp::State::SynReceived => {
                if let Some(IpEndpoint { addr: IpAddress::Ipv4(address), .. }) = remote {
                    self.seek(address, Cause::Own, now);
                }
                Progress::Pending(DialState::Connecting(index))
            }
            tcp::State::Closed | tcp::State::TimeWait => Progress::Failed(Unreachable::Refused),
            _ => Progress::Done(index),
        }
    }

    /// Frees what a failed dial holds.
    fn give_up(&mut self, position: usize) {
        match self.dials.dials[position].state {
            DialState::Start => {}
            DialState::Resolving(query) => {
                self.others.get_mut::<dns::Socket>(self.address.resolver).cancel_query(query.handle);
            }
            DialState::Connecting(index) => {
                self.pool.members[index].forget_neighbour();
                self.pool.members[index].abort();
                self.pool.finish(index);
            }
        }
    }
}
