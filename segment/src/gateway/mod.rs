//! The gateway of the segment. It relays TCP connections from the host's clients to stations, and from stations to
//! the few servers outside that they may use; each relay connects smoltcp with a stream of the host.
//!
//! It opens no stream of the host itself. `kernel-app`'s stack on this crate's device would almost do, but it closes
//! both directions at once, and a relay must pass on one end without the other.

mod device;
mod relay;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use kernel_app::stack::stack_time;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use wire::Instant;

use crate::fabric::Fabric;
use crate::layout::{GATEWAY, GATEWAY_HARDWARE, PREFIX_BITS, STATIONS_MAX, address, hardware_address};
use crate::sample;
use device::GatewayDevice;
use relay::{Fate, Relay};
pub use stream::{News, Stream};

/// Most connections that are relayed at a time; more wait in their ports' backlogs.
pub const RELAYS_MAX: usize = 1024;
/// First port of connections that the gateway begins (RFC 6335 section 6).
const PORT_FIRST: u16 = 49_152;
/// How many there are.
const PORT_COUNT: usize = (u16::MAX - PORT_FIRST) as usize + 1;
/// How long after a frame the sockets are asked for their next timer, which is late by this much at most.
const TIMERS_ASKED_AFTER: Duration = Duration::from_millis(10);
/// How often smoltcp gets a neighbour's address again; it forgets addresses after a minute.
const NEIGHBOUR_TOLD_EVERY: Duration = Duration::from_secs(20);
/// Sockets that are kept for the next connections.
const SPARES_MAX: usize = 256;

/// A segment from a station for the gateway.
#[derive(Clone, Copy, Debug)]
pub struct TcpSegment<'a> {
    /// Index of the station.
    pub from: usize,
    /// The station's TCP port.
    pub station_port: u16,
    /// Port of the gateway.
    pub own_port: u16,
    /// Whether it asks for a connection.
    pub opens: bool,
    /// The whole Ethernet frame.
    pub frame: &'a [u8],
}

/// Whether a port is one of connections that the gateway begins.
pub fn is_relay_port(port: u16) -> bool {
    port >= PORT_FIRST
}

/// The relays, by their ports.
pub struct Gateway<S> {
    interface: Interface,
    relays: Vec<Option<Relay<S>>>,
    free: Vec<usize>,
    /// Relays that the gateway has begun, by its port less [`PORT_FIRST`].
    by_port: Vec<Option<u16>>,
    /// Relays that stations have begun, by station, its port and the host's.
    by_flow: HashMap<(usize, u16, u16), usize>,
    next_port: usize,
    touched: Vec<usize>,
    /// Relays that wait for room on the way to their station.
    stalled: Vec<usize>,
    spares: Vec<SocketSet<'static>>,
    /// For segments of no connection, which smoltcp answers with a reset.
    nobody: SocketSet<'static>,
    /// When each station's address was last told.
    told: [Option<Instant>; STATIONS_MAX],
    /// When timers want attention; none while no relay is open.
    timers_at: Option<Instant>,
}

impl<S: Stream> Gateway<S> {
    /// Without connections; `seed` must be unpredictable.
    pub fn new(fabric: &mut Fabric, seed: u64) -> Self {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(GATEWAY_HARDWARE)));
        config.random_seed = seed;
        let mut device = GatewayDevice { frame: None, fabric, to: 0 };
        let mut interface = Interface::new(config, &mut device, stack_time(Instant::ZERO));
        interface.update_ip_addrs(|addresses| {
            // One address always fits an empty list.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(GATEWAY), PREFIX_BITS));
        });
        Self {
            interface,
            relays: Vec::new(),
            free: Vec::new(),
            by_port: vec![None; PORT_COUNT],
            by_flow: HashMap::new(),
            next_port: usize::try_from(seed % PORT_COUNT as u64).unwrap_or(0),
            touched: Vec::new(),
            stalled: Vec::new(),
            spares: Vec::new(),
            nobody: SocketSet::new(Vec::new()),
            told: [None; STATIONS_MAX],
            timers_at: None,
        }
    }

    /// Whether another connection can be relayed.
    pub fn has_room(&self) -> bool {
        self.len() < RELAYS_MAX
    }

    /// How many connections are relayed.
    pub fn len(&self) -> usize {
        self.relays.len() - self.free.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number that the next relay will have; it names its stream in [`Gateway::note`].
    pub fn next_index(&self) -> usize {
        self.free.last().copied().unwrap_or(self.relays.len())
    }

    /// Relays a stream of the host to a port of a station. The caller has seen that there is room.
    pub fn dial(&mut self, station: usize, port: u16, stream: S) {
        let own_port = self.free_port();
        let mut set = self.spares.pop().unwrap_or_else(relay::new_set);
        let remote = (IpAddress::Ipv4(address(station)), port);
        let socket = relay::socket(&mut set);
        // Cannot fail: the socket is closed, and neither port nor address is 0.
        if socket.connect(self.interface.context(), remote, own_port).is_ok() {
            let index = self.add(Relay::new(set, stream, station, (own_port, port), None));
            self.by_port[usize::from(own_port - PORT_FIRST)] = u16::try_from(index).ok();
        }
    }

    /// A segment has come; `connect` makes the stream to the server outside that a port of the gateway
    /// stands for, as the relay of this index.
    pub fn receive(
        &mut self,
        segment: TcpSegment<'_>,
        fabric: &mut Fabric,
        connect: &mut dyn FnMut(u16, usize) -> Option<S>,
    ) {
        let flow = (segment.from, segment.station_port, segment.own_port);
        if let Some(index) = self.find(flow) {
            if self.relays[index].as_ref().is_some_and(Relay::is_connecting) {
                return;
            }
            return self.ingest(Some(index), segment, fabric);
        }
        if segment.opens && !is_relay_port(segment.own_port) && self.has_room() {
            let Some(stream) = connect(segment.own_port, self.next_index()) else {
                return self.ingest(None, segment, fabric);
            };
            let set = self.spares.pop().unwrap_or_else(relay::new_set);
            let ports = (segment.own_port, segment.station_port);
            let index = self.add(Relay::new(set, stream, segment.from, ports, Some(segment.frame.to_vec())));
            self.by_flow.insert(flow, index);
            return;
        }
        self.ingest(None, segment, fabric);
    }

    /// There is news of a relay's stream.
    pub fn note(&mut self, index: usize, news: News) {
        if let Some(Some(relay)) = self.relays.get_mut(index) {
            relay.note(news);
            self.touch(index);
        }
    }

    /// A station's machine is gone, and all connections with it.
    pub fn lose(&mut self, station: usize) {
        for index in 0..self.relays.len() {
            if let Some(relay) = self.relays[index].as_mut().filter(|relay| relay.station == station) {
                relay.lose();
                self.touch(index);
            }
        }
    }

    /// Moves bytes and segments of all relays that something has happened to.
    pub fn pump(&mut self, fabric: &mut Fabric) {
        self.tick(fabric.now);
        self.wake_stalled(fabric);
        while let Some(index) = self.touched.pop() {
            let Some(mut relay) = self.relays[index].take() else { continue };
            relay.is_touched = false;
            let fate = self.progress(&mut relay, fabric);
            self.relays[index] = Some(relay);
            match fate {
                Fate::Open => {}
                Fate::Stalled => self.stalled.push(index),
                Fate::Over => self.remove(index),
            }
        }
    }

    /// When [`Gateway::pump`] is to be called next even if nothing happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers_at
    }

    fn progress(&mut self, relay: &mut Relay<S>, fabric: &mut Fabric) -> Fate {
        self.tell_neighbour(relay.station, fabric);
        let time = stack_time(fabric.now);
        let station = relay.station;
        let waiting = relay.connect(|set, syn| {
            let mut device = GatewayDevice { frame: Some(syn), fabric, to: station };
            self.interface.poll_ingress_single(time, &mut device, set.unwrap_or(&mut self.nobody));
        });
        if let Some(fate) = waiting {
            return fate;
        }
        relay.exchange();
        let mut device = GatewayDevice { frame: None, fabric, to: relay.station };
        while self.interface.poll_egress(time, &mut device, &mut relay.set)
            != smoltcp::iface::PollResult::None
        {}
        self.timers_at =
            Some(self.timers_at.map_or(fabric.now, |at| at.min(fabric.now + TIMERS_ASKED_AFTER)));
        relay.fate(fabric.is_busy(relay.station))
    }

    /// Hands a frame to smoltcp.
    fn ingest(&mut self, index: Option<usize>, segment: TcpSegment<'_>, fabric: &mut Fabric) {
        self.tell_neighbour(segment.from, fabric);
        let relay = index.and_then(|index| self.relays[index].as_mut());
        let set = relay.map_or(&mut self.nobody, |relay| &mut relay.set);
        let time = stack_time(fabric.now);
        let mut device = GatewayDevice { frame: Some(segment.frame), fabric, to: segment.from };
        self.interface.poll_ingress_single(time, &mut device, set);
        if let Some(index) = index {
            self.touch(index);
        }
    }

    /// Stations' addresses are known from the plan; smoltcp takes them from an ARP reply.
    fn tell_neighbour(&mut self, station: usize, fabric: &mut Fabric) {
        let now = fabric.now;
        if self.told[station].is_some_and(|told| now < told + NEIGHBOUR_TOLD_EVERY) {
            return;
        }
        self.told[station] = Some(now);
        let reply = sample::arp((hardware_address(station), address(station)), GATEWAY, false);
        let mut device = GatewayDevice { frame: Some(&reply), fabric, to: station };
        self.interface.poll_ingress_single(stack_time(now), &mut device, &mut self.nobody);
    }

    fn find(&self, flow: (usize, u16, u16)) -> Option<usize> {
        let (station, station_port, own_port) = flow;
        match own_port.checked_sub(PORT_FIRST) {
            None => self.by_flow.get(&flow).copied(),
            Some(place) => {
                let index = usize::from(self.by_port[usize::from(place)]?);
                let relay = self.relays[index].as_ref()?;
                (relay.station == station && relay.ports.1 == station_port).then_some(index)
            }
        }
    }

    fn add(&mut self, relay: Relay<S>) -> usize {
        let index = self.free.pop().unwrap_or(self.relays.len());
        if index == self.relays.len() {
            self.relays.push(None);
        }
        self.relays[index] = Some(relay);
        self.touch(index);
        index
    }

    fn remove(&mut self, index: usize) {
        let Some(relay) = self.relays[index].take() else { return };
        let (own_port, station_port) = relay.ports;
        match own_port.checked_sub(PORT_FIRST) {
            None => drop(self.by_flow.remove(&(relay.station, station_port, own_port))),
            Some(place) => self.by_port[usize::from(place)] = None,
        }
        if self.spares.len() < SPARES_MAX {
            self.spares.push(relay.into_set());
        }
        self.free.push(index);
    }

    fn touch(&mut self, index: usize) {
        if let Some(relay) = &mut self.relays[index]
            && !std::mem::replace(&mut relay.is_touched, true)
        {
            self.touched.push(index);
        }
    }

    fn wake_stalled(&mut self, fabric: &Fabric) {
        for place in (0..self.stalled.len()).rev() {
            let index = self.stalled[place];
            let station = self.relays[index].as_ref().map(|relay| relay.station);
            if station.is_none_or(|station| !fabric.is_busy(station)) {
                self.stalled.swap_remove(place);
                self.touch(index);
            }
        }
    }

    /// Finds the relays whose timers have passed, and the next time that one will.
    fn tick(&mut self, now: Instant) {
        if self.timers_at.is_none_or(|at| at > now) {
            return;
        }
        let mut earliest = None;
        for index in 0..self.relays.len() {
            let Some(relay) = &mut self.relays[index] else { continue };
            let at = self.interface.poll_at(stack_time(now), &relay.set);
            let Some(at) = at.map(|at| Instant::from_micros(at.total_micros().try_into().unwrap_or(0)))
            else {
                continue;
            };
            if at <= now {
                self.touch(index);
            } else {
                earliest = Some(earliest.map_or(at, |earlier: Instant| earlier.min(at)));
            }
        }
        self.timers_at = earliest;
    }

    /// The next port that no relay has: there are more of them than relays.
    fn free_port(&mut self) -> u16 {
        loop {
            self.next_port = (self.next_port + 1) % PORT_COUNT;
            if self.by_port[self.next_port].is_none() {
                return PORT_FIRST + self.next_port as u16;
            }
        }
    }
}
