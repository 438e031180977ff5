//! The decision about a frame from a station: it passes, it goes to the gateway, or it is refused.
//!
//! Nothing is flooded: ARP and DHCP, which need flooding on other networks, are answered from the plan. Nothing is
//! learnt either: a station's addresses are fixed, and a frame with other addresses is forged.

use std::net::Ipv4Addr;

use crate::frame::{Arp, Carried, Content, Frame};
use crate::gateway::is_relay_port;
use crate::layout::{GATEWAY, GATEWAY_HARDWARE, Layout, address, hardware_address};

const BROADCAST_HARDWARE: [u8; 6] = [0xff; 6];
/// Where a DHCP server and a DNS server listen.
const DHCP_PORT: u16 = 67;
const DNS_PORT: u16 = 53;

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It goes to this station as it is.
    Station(usize),
    /// A segment of a TCP connection with the gateway.
    Relay {
        /// Port of the station.
        station_port: u16,
        /// Port of the gateway.
        own_port: u16,
        /// Whether it asks for a connection.
        opens: bool,
    },
    /// The gateway answers it at once.
    Answer(Question<'a>),
    /// It goes nowhere.
    Refused(Refusal),
}

/// What the gateway answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question<'a> {
    /// Who has this address?
    Arp(Ipv4Addr),
    /// A DHCP message.
    Dhcp(&'a [u8]),
    /// A DNS message, from this port.
    Dns(u16, &'a [u8]),
    /// An ICMP echo request.
    Echo(&'a [u8]),
}

/// Why a frame goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It names another sender than the station that it comes from.
    Forged,
    /// No rule lets it pass.
    Denied,
    /// It is no protocol of this network.
    Unknown,
}

/// Says what becomes of a frame from a station.
pub fn classify<'a>(layout: &Layout, from: usize, bytes: &'a [u8]) -> Verdict<'a> {
    let Some(frame) = Frame::parse(bytes) else { return Verdict::Refused(Refusal::Unknown) };
    if frame.source != hardware_address(from) {
        return Verdict::Refused(Refusal::Forged);
    }
    match frame.content {
        Content::Arp(arp) => classify_arp(layout, from, &frame, arp),
        Content::Ipv4 { source, destination, carried } => {
            match classify_dhcp(from, &frame, source, carried) {
                Some(way) => way,
                None if source != address(from) => Verdict::Refused(Refusal::Forged),
                None if destination == GATEWAY => classify_own(layout, from, &frame, carried),
                None => classify_other(layout, from, &frame, destination, carried),
            }
        }
        Content::Other => Verdict::Refused(Refusal::Unknown),
    }
}

fn classify_arp<'a>(layout: &Layout, from: usize, frame: &Frame<'a>, arp: Arp) -> Verdict<'a> {
    // Before it has an address a station may ask whether anybody has it (RFC 5227).
    let is_own = arp.sender == address(from) || arp.sender.is_unspecified();
    if arp.sender_hardware != frame.source || !is_own {
        return Verdict::Refused(Refusal::Forged);
    }
    let station = layout.station_at(arp.target);
    // Nobody asks stations for their addresses, so they have nothing to tell.
    if arp.is_request && (arp.target == GATEWAY || station.is_some_and(|to| layout.share_network(from, to))) {
        Verdict::Answer(Question::Arp(arp.target))
    } else {
        Verdict::Refused(Refusal::Denied)
    }
}

/// A station without an address may send DHCP, and nothing else.
fn classify_dhcp<'a>(
    from: usize,
    frame: &Frame<'a>,
    source: Ipv4Addr,
    carried: Carried<'a>,
) -> Option<Verdict<'a>> {
    let Carried::Udp { destination_port: DHCP_PORT, payload, .. } = carried else { return None };
    let is_for_us = frame.destination == BROADCAST_HARDWARE || frame.destination == GATEWAY_HARDWARE;
    let is_own = source.is_unspecified() || source == address(from);
    (is_for_us && is_own).then_some(Verdict::Answer(Question::Dhcp(payload)))
}

/// A packet for the gateway.
fn classify_own<'a>(layout: &Layout, from: usize, frame: &Frame<'a>, carried: Carried<'a>) -> Verdict<'a> {
    if frame.destination != GATEWAY_HARDWARE {
        return Verdict::Refused(Refusal::Denied);
    }
    match carried {
        Carried::Tcp { source_port, destination_port, opens } => {
            let is_outgoing = layout.stations()[from].outgoing.contains(&destination_port);
            // What the gateway has begun is answered; nothing else begins there.
            if is_outgoing || (is_relay_port(destination_port) && !opens) {
                Verdict::Relay { station_port: source_port, own_port: destination_port, opens }
            } else {
                Verdict::Refused(Refusal::Denied)
            }
        }
        Carried::Udp { source_port, destination_port: DNS_PORT, payload } => {
            Verdict::Answer(Question::Dns(source_port, payload))
        }
        Carried::Echo(message) => Verdict::Answer(Question::Echo(message)),
        Carried::Udp { .. } => Verdict::Refused(Refusal::Denied),
        Carried::Other => Verdict::Refused(Refusal::Unknown),
    }
}

/// A packet for another station, or for the world outside, which there is not.
fn classify_other<'a>(
    layout: &Layout,
    from: usize,
    frame: &Frame<'a>,
    destination: Ipv4Addr,
    carried: Carried<'a>,
) -> Verdict<'a> {
    let to = layout.station_at(destination).filter(|to| frame.destination == hardware_address(*to));
    match (to, carried) {
        (Some(to), Carried::Tcp { source_port, destination_port, opens })
            if layout.may_pass(from, to, (source_port, destination_port), opens) =>
        {
            Verdict::Station(to)
        }
        (_, Carried::Other) => Verdict::Refused(Refusal::Unknown),
        _ => Verdict::Refused(Refusal::Denied),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::voting;
    use crate::sample::{arp, echo, tcp, udp};

    const STORE: usize = 0;
    const WORKER: usize = 1;
    const VOTE: usize = 2;
    const STRANGER: usize = 4;
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    const SYN_ACK: u8 = 18;

    fn refusal(from: usize, frame: &[u8]) -> Option<Refusal> {
        match classify(&voting(), from, frame) {
            Verdict::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    #[test]
    fn the_voting_application_s_own_connections_pass_and_no_others() {
        let way = |from, to, ports, flags| {
            let frame = tcp(
                (hardware_address(from), address(from)),
                (hardware_address(to), address(to)),
                ports,
                flags,
            );
            match classify(&voting(), from, &frame) {
                Verdict::Station(passed) => Some(passed),
                _ => None,
            }
        };
        assert_eq!(way(WORKER, STORE, (50_000, 6379), SYN), Some(STORE));
        assert_eq!(way(STORE, WORKER, (6379, 50_000), SYN_ACK), Some(WORKER));
        assert_eq!(way(VOTE, STORE, (50_000, 6379), ACK), Some(STORE));
        assert_eq!(way(WORKER, VOTE, (50_000, 8080), SYN), None);
        assert_eq!(way(WORKER, VOTE, (50_000, 8080), ACK), None);
        assert_eq!(way(STORE, VOTE, (6379, 8080), SYN), None);
        assert_eq!(way(STRANGER, STORE, (50_000, 6379), SYN), None);
    }

    #[test]
    fn forged_senders_are_refused() {
        let to = (hardware_address(STORE), address(STORE));
        let other_address = tcp((hardware_address(WORKER), address(VOTE)), to, (50_000, 6379), SYN);
        let other_hardware = tcp((hardware_address(VOTE), address(WORKER)), to, (50_000, 6379), SYN);
        assert_eq!(refusal(WORKER, &other_address), Some(Refusal::Forged));
        assert_eq!(refusal(WORKER, &other_hardware), Some(Refusal::Forged));
        let claimed = arp((hardware_address(WORKER), address(STORE)), address(VOTE), true);
        assert_eq!(refusal(WORKER, &claimed), Some(Refusal::Forged));
        let other_place = tcp(
            (hardware_address(WORKER), address(WORKER)),
            (hardware_address(VOTE), address(STORE)),
            (50_000, 6379),
            SYN,
        );
        assert_eq!(
            refusal(WORKER, &other_place),
            Some(Refusal::Denied),
            "another's card cannot be reached so"
        );
    }

    #[test]
    fn the_host_and_the_world_outside_are_not_reached() {
        let own = (hardware_address(WORKER), address(WORKER));
        let gateway = (GATEWAY_HARDWARE, GATEWAY);
        assert_eq!(refusal(WORKER, &tcp(own, gateway, (50_000, 22), SYN)), Some(Refusal::Denied));
        assert_eq!(refusal(WORKER, &tcp(own, gateway, (50_000, 50_000), SYN)), Some(Refusal::Denied));
        assert_eq!(refusal(WORKER, &udp(own, gateway, (50_000, 123), b"x")), Some(Refusal::Denied));
        for outside in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(10, 0, 2, 3)] {
            let frame = tcp(own, (GATEWAY_HARDWARE, outside), (50_000, 80), SYN);
            assert_eq!(refusal(WORKER, &frame), Some(Refusal::Denied), "{outside}");
        }
    }

    #[test]
    fn a_server_outside_is_reached_by_those_who_are_told_of_it() {
        let mut stations = voting().stations().to_vec();
        stations[WORKER].outgoing = vec![5432];
        let layout = Layout::new(stations);
        let frame = |from| {
            tcp((hardware_address(from), address(from)), (GATEWAY_HARDWARE, GATEWAY), (50_000, 5432), SYN)
        };
        let way = Verdict::Relay { station_port: 50_000, own_port: 5432, opens: true };
        assert_eq!(classify(&layout, WORKER, &frame(WORKER)), way);
        assert_eq!(classify(&layout, VOTE, &frame(VOTE)), Verdict::Refused(Refusal::Denied));
    }

    #[test]
    fn questions_are_for_the_host_s_end() {
        let own = (hardware_address(VOTE), address(VOTE));
        let gateway = (GATEWAY_HARDWARE, GATEWAY);
        let layout = voting();
        let asked = arp(own, address(STORE), true);
        assert_eq!(classify(&layout, VOTE, &asked), Verdict::Answer(Question::Arp(address(STORE))));
        let stranger = arp(own, address(STRANGER), true);
        assert_eq!(classify(&layout, VOTE, &stranger), Verdict::Refused(Refusal::Denied));
        let name = udp(own, gateway, (49_152, 53), b"question");
        assert_eq!(classify(&layout, VOTE, &name), Verdict::Answer(Question::Dns(49_152, b"question")));
        let lease = udp((own.0, Ipv4Addr::UNSPECIFIED), ([0xff; 6], Ipv4Addr::BROADCAST), (68, 67), b"lease");
        assert_eq!(classify(&layout, VOTE, &lease), Verdict::Answer(Question::Dhcp(b"lease")));
        let ping = echo(own, gateway, b"ping");
        assert!(matches!(classify(&layout, VOTE, &ping), Verdict::Answer(Question::Echo(_))));
        let to_store = echo(own, (hardware_address(STORE), address(STORE)), b"ping");
        assert_eq!(refusal(VOTE, &to_store), Some(Refusal::Denied));
    }
}
