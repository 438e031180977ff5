//! The stations of the segment, their addresses, and who may reach whom: all fixed by the plan.
//!
//! The rules deny by default. Two stations may communicate if they share a network, and then only by TCP. A
//! connection may be opened only to a port that the other station exposes, or that the first station's settings refer
//! to. This module moves no frame.

use std::net::Ipv4Addr;

/// Most stations of a segment: as many neighbours as the gateway remembers.
pub const STATIONS_MAX: usize = 64;
/// The gateway, as on QEMU's user network: settings that name it fit both.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Length of the network's prefix, in bits.
pub const PREFIX_BITS: u8 = 16;
/// Address of the first station; the others follow.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 16, 1);
/// Position of the gateway on the wire; stations are numbered from 0.
pub const GATEWAY_POSITION: usize = 0xffff;
/// Hardware address of the gateway.
pub const GATEWAY_HARDWARE: [u8; 6] = hardware(GATEWAY_POSITION as u16);

/// What the plan says of a station.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Station {
    /// Its name, such as `vote-1`.
    pub name: String,
    /// Name of its service, by which others find it.
    pub service: String,
    /// The networks it is on.
    pub networks: Vec<String>,
    /// Ports that all who share a network with it may use.
    pub exposes: Vec<u16>,
    /// Services and ports that its settings tell it of.
    pub told_of: Vec<(String, u16)>,
    /// Ports of the gateway that it may use: each leads to one server outside.
    pub outgoing: Vec<u16>,
}

/// The stations and the rules between them.
#[derive(Clone, Debug)]
pub struct Layout {
    stations: Vec<Station>,
    /// Ports of the second station that the first may begin connections to, at first * count + second.
    reach: Vec<Box<[u16]>>,
    /// Whether two stations share a network.
    shared: Vec<bool>,
}

/// The Ethernet address of a position on the wire: locally administered, the simulator's.
const fn hardware(position: u16) -> [u8; 6] {
    let [high, low] = position.to_be_bytes();
    [2, 0, 0, 0, high, low]
}

/// The Ethernet address of a station.
pub fn hardware_address(station: usize) -> [u8; 6] {
    ether::hardware_address(station)
}

/// The IPv4 address of a station.
pub fn address(station: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST.to_bits() + u32::try_from(station).unwrap_or(0))
}

impl Layout {
    /// The layout of these stations, in the plan's order; those beyond [`STATIONS_MAX`] are left out.
    pub fn new(mut stations: Vec<Station>) -> Self {
        stations.truncate(STATIONS_MAX);
        let pairs = || stations.iter().flat_map(|one| stations.iter().map(move |other| (one, other)));
        let shared: Vec<bool> = pairs().map(|(one, other)| shares(one, other)).collect();
        let reach = pairs().zip(&shared).map(|((one, other), shared)| ports(one, other, *shared)).collect();
        Self { stations, reach, shared }
    }

    /// All stations, in the order of the plan.
    pub fn stations(&self) -> &[Station] {
        &self.stations
    }

    /// The stations that a name means: an instance, or all of a service.
    pub fn named(&self, name: &str) -> Vec<usize> {
        let is_meant = |station: &Station| station.name == name || station.service == name;
        (0..self.stations.len()).filter(|index| is_meant(&self.stations[*index])).collect()
    }

    /// The station with this address.
    pub fn station_at(&self, address: Ipv4Addr) -> Option<usize> {
        let index = usize::try_from(address.to_bits().checked_sub(FIRST.to_bits())?).ok()?;
        (index < self.stations.len()).then_some(index)
    }

    /// Whether two stations are on a common network.
    pub fn share_network(&self, one: usize, other: usize) -> bool {
        self.shared.get(one * self.stations.len() + other).copied().unwrap_or(false)
    }

    /// Whether a TCP segment may pass: towards a port that may be used, or back from one. A segment that
    /// opens passes only towards such a port, so nothing else can come to be.
    pub fn may_pass(&self, from: usize, to: usize, ports: (u16, u16), opens: bool) -> bool {
        let (source, destination) = ports;
        self.may_begin(from, to, destination) || (!opens && self.may_begin(to, from, source))
    }

    fn may_begin(&self, from: usize, to: usize, port: u16) -> bool {
        self.reach.get(from * self.stations.len() + to).is_some_and(|ports| ports.contains(&port))
    }
}

fn shares(one: &Station, other: &Station) -> bool {
    one.name != other.name && one.networks.iter().any(|network| other.networks.contains(network))
}

/// The ports of `other` that `one` may begin connections to.
fn ports(one: &Station, other: &Station, shared: bool) -> Box<[u16]> {
    if !shared {
        return Box::default();
    }
    let told = one.told_of.iter().filter(|(service, _)| *service == other.service).map(|(_, port)| *port);
    let mut ports: Vec<u16> = other.exposes.iter().copied().chain(told).collect();
    ports.sort_unstable();
    ports.dedup();
    ports.into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn station(service: &str, networks: &[&str], exposes: &[u16], told_of: &[(&str, u16)]) -> Station {
        Station {
            name: format!("{service}-1"),
            service: service.to_owned(),
            networks: networks.iter().map(|&name| name.to_owned()).collect(),
            exposes: exposes.to_vec(),
            told_of: told_of.iter().map(|&(service, port)| (service.to_owned(), port)).collect(),
            outgoing: Vec::new(),
        }
    }

    /// The voting application, as its description has it: store 0, worker 1, vote 2, result 3; and a
    /// service 4 on a network of its own.
    pub fn voting() -> Layout {
        let store = [("store", 6379)];
        Layout::new(vec![
            station("store", &["back"], &[6379, 8083], &[]),
            station("worker", &["back"], &[8082], &store),
            station("vote", &["front", "back"], &[], &store),
            station("result", &["front", "back"], &[], &store),
            station("stranger", &["other"], &[1], &store),
        ])
    }

    #[test]
    fn connections_begin_only_towards_exposed_ports_of_a_shared_network() {
        let layout = voting();
        let opens = |from, to, port| layout.may_pass(from, to, (50_000, port), true);
        assert!(opens(1, 0, 6379) && opens(2, 0, 6379) && opens(3, 0, 8083));
        assert!(!opens(1, 0, 22), "a port that is not exposed");
        assert!(!opens(1, 2, 8080), "published to the outside is not exposed to others");
        assert!(!opens(0, 2, 8080) && !opens(4, 0, 6379) && !opens(0, 4, 1), "no common network");
        assert!(!opens(0, 0, 6379), "not to itself through the wire");
    }

    #[test]
    fn answers_come_back_and_open_nothing() {
        let layout = voting();
        assert!(layout.may_pass(0, 1, (6379, 50_000), false));
        assert!(!layout.may_pass(0, 1, (6379, 50_000), true), "the port as a source is no way in");
        assert!(!layout.may_pass(0, 1, (7000, 50_000), false));
        assert!(!layout.may_pass(0, 4, (6379, 50_000), false));
    }

    #[test]
    fn a_setting_grants_what_it_tells_of() {
        let web = station("web", &["n"], &[], &[]);
        let told = station("told", &["n"], &[], &[("web", 80)]);
        let other = station("other", &["n"], &[], &[]);
        let layout = Layout::new(vec![web, told, other]);
        assert!(layout.may_pass(1, 0, (50_000, 80), true) && layout.may_pass(0, 1, (80, 50_000), false));
        assert!(!layout.may_pass(2, 0, (50_000, 80), true));
    }

    #[test]
    fn addresses_are_the_stations_own_and_found_again() {
        let layout = voting();
        assert_eq!(address(2), Ipv4Addr::new(10, 0, 16, 3));
        for station in 0..5 {
            assert_eq!(layout.station_at(address(station)), Some(station));
        }
        assert_eq!(layout.station_at(address(5)), None);
        assert_eq!(layout.station_at(GATEWAY), None);
        assert_eq!(hardware_address(GATEWAY_POSITION), GATEWAY_HARDWARE);
        assert_eq!(
            (layout.named("vote"), layout.named("vote-1"), layout.named("x")),
            (vec![2], vec![2], vec![])
        );
    }
}
