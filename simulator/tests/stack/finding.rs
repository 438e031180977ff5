//! How a node finds its address, its neighbours and names.

use std::net::Ipv4Addr;
use std::time::Duration;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress, IpAddress, IpProtocol,
    TcpControl, UdpPacket, UdpRepr,
};

use crate::bench::{Bench, NODE, NODE_HARDWARE, Segment, arp, asked_for, packet};
use crate::names::{answer, queries, with_servers};
use kernel_app::network::{Event, Network, Unreachable};
use kernel_app::stack::{Address, ETHERNET_BYTES};

const ONE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);

fn questions(frames: &[Vec<u8>]) -> Vec<Ipv4Addr> {
    let mut asked: Vec<_> = frames.iter().filter_map(|frame| asked_for(frame)).collect();
    asked.sort_unstable();
    asked.dedup();
    asked
}

fn has_syn_to(frames: &[Vec<u8>], to: Ipv4Addr) -> bool {
    let segments = frames.iter().filter_map(|frame| Segment::of_frame(frame));
    segments.into_iter().any(|segment| segment.peer.0 == to && segment.control == TcpControl::Syn)
}

#[test]
fn two_neighbours_are_found_at_once() {
    let mut bench = Bench::new();
    bench.network.connect("10.0.0.3", 6379, 0, 0, bench.now);
    bench.network.connect("10.0.0.4", 5432, 0, 1, bench.now);
    assert_eq!(questions(&bench.turn()), [ONE, OTHER]);
    for neighbour in [OTHER, ONE] {
        bench.put(arp(ArpOperation::Reply, neighbour));
        assert!(has_syn_to(&bench.turn(), neighbour), "{neighbour}");
    }
}

#[test]
fn a_question_that_is_lost_is_asked_again_for_each_neighbour() {
    let mut bench = Bench::new();
    bench.network.connect("10.0.0.3", 6379, 0, 0, bench.now);
    bench.network.connect("10.0.0.4", 5432, 0, 1, bench.now);
    bench.turn();
    let later = bench.run_for(Duration::from_millis(1_100));
    let frames: Vec<_> = later.into_iter().map(|(_, frame)| frame).collect();
    assert_eq!(questions(&frames), [ONE, OTHER]);
    assert!(frames.len() <= 4, "{} frames", frames.len());
}

#[test]
fn a_remote_client_is_answered_while_another_neighbour_is_resolved() {
    let mut bench = Bench::new();
    bench.network.connect("10.0.0.3", 6379, 0, 0, bench.now);
    bench.turn();
    let mut syn = crate::bench::syn((Ipv4Addr::new(192, 0, 2, 7), 5_000), 1_460);
    syn.window = 1_000;
    bench.put(syn.frame());
    assert_eq!(questions(&bench.turn()), [GATEWAY]);
    bench.put(arp(ArpOperation::Reply, GATEWAY));
    assert!(has_syn_to(&bench.turn(), Ipv4Addr::new(192, 0, 2, 7)));
}

#[test]
fn a_name_server_that_is_silent_gives_way_to_the_next() {
    let mut bench = with_servers("10.0.0.3, 10.0.0.4");
    bench.greet(ONE);
    bench.greet(OTHER);
    bench.network.connect("store", 6379, 0, 0, bench.now);
    let at_first = queries(&bench.turn());
    assert_eq!(at_first.iter().map(|query| query.0).collect::<Vec<_>>(), [ONE]);
    let later: Vec<_> = bench.run_for(Duration::from_millis(700)).into_iter().map(|sent| sent.1).collect();
    let later = queries(&later);
    assert_eq!(later.last().map(|query| query.0), Some(OTHER));
    assert_ne!(later.last().map(|query| query.1), Some(at_first[0].1), "another port");
    // Whoever answered last is asked first the next time.
    bench.run_for(Duration::from_secs(3));
    bench.network.connect("store", 6379, 0, 0, bench.now);
    assert_eq!(queries(&bench.turn()).first().map(|query| query.0), Some(OTHER));
}

#[test]
fn a_name_is_unknown_when_all_name_servers_say_so() {
    for code in [2, 3, 5] {
        let mut bench = with_servers("10.0.0.3,10.0.0.4");
        bench.greet(ONE);
        bench.greet(OTHER);
        bench.network.connect("store", 6379, 0, 0, bench.now);
        for server in [ONE, OTHER] {
            let asked = queries(&bench.turn());
            assert_eq!(asked.first().map(|query| query.0), Some(server), "code {code}");
            bench.put(answer(asked[0], code, &[]));
        }
        bench.turn();
        let reason = Unreachable::NameNotFound;
        assert_eq!(bench.events, [Event::Unreachable { service: 0, peer: 0, reason }]);
    }
}

#[test]
fn dns_queries_have_unpredictable_ids_and_ports() {
    let mut bench = with_servers("10.0.0.3");
    let mut seen = Vec::new();
    for _ in 0..50 {
        bench.greet(ONE);
        bench.network.connect("store", 6379, 0, 0, bench.now);
        seen.push(queries(&bench.turn())[0]);
        bench.run_for(Duration::from_secs(2));
    }
    let far = |values: Vec<u16>| values.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) > 500).count();
    assert!(far(seen.iter().map(|query| query.1).collect()) > 40, "ports {seen:?}");
    assert!(far(seen.iter().map(|query| query.2).collect()) > 40, "ids {seen:?}");
}

#[test]
fn dhcp_asks_ever_more_seldom() {
    let mut bench = Bench::with_address(Address::Dhcp);
    let sent = bench.run_for(Duration::from_secs(600));
    let times: Vec<f64> = sent.iter().map(|(at, _)| at.as_micros() as f64 / 1e6 - 1.0).collect();
    assert!(times[0] < 0.001 && times[1] < 0.7, "{times:?}");
    let waits: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.iter().all(|wait| *wait <= 80.1), "{waits:?}");
    assert!((10..=20).contains(&times.len()), "{} questions in 600 s: {times:?}", times.len());
    assert!(
        waits.iter().skip(2).zip(&waits[1..]).all(|(wait, before)| wait > before || *wait > 63.0),
        "{waits:?}"
    );
}

/// What a DHCP server answers to the node's last question among these frames.
fn lease(frames: &[Vec<u8>], mtu: Option<u16>) -> Option<Vec<u8>> {
    let question = frames.iter().rev().find_map(|frame| {
        let message = DhcpPacket::new_checked(frame.get(ETHERNET_BYTES + 28..)?).ok()?;
        let question = DhcpRepr::parse(&message).ok()?;
        assert_eq!(question.parameter_request_list, Some(&[1, 3, 6, 26][..]));
        let kind = match question.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request => DhcpMessageType::Ack,
            _ => return None,
        };
        Some((kind, question.transaction_id))
    });
    let (kind, transaction_id) = question?;
    let told = mtu.map(u16::to_be_bytes);
    let option = told.as_ref().map(|data| DhcpOption { kind: 26, data });
    let reply = DhcpRepr {
        message_type: kind,
        transaction_id,
        secs: 0,
        client_hardware_address: EthernetAddress(NODE_HARDWARE),
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: NODE,
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: Some(GATEWAY),
        subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(GATEWAY),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: Some(60),
        renew_duration: None,
        rebind_duration: None,
        additional_options: option.as_slice(),
    };
    let udp = UdpRepr { src_port: 67, dst_port: 68 };
    Some(packet(GATEWAY, IpProtocol::Udp, udp.header_len() + reply.buffer_len(), |payload| {
        let (from, to) = (IpAddress::Ipv4(GATEWAY), IpAddress::Ipv4(NODE));
        let mut packet = UdpPacket::new_unchecked(payload);
        let fill = |bytes: &mut [u8]| reply.emit(&mut DhcpPacket::new_unchecked(bytes)).expect("it fits");
        udp.emit(&mut packet, &from, &to, reply.buffer_len(), fill, &ChecksumCapabilities::default());
    }))
}

/// The largest segment that a node invites whose DHCP server says this, now and once its lease was renewed.
fn invited(mtu: [Option<u16>; 2]) -> [Option<u16>; 2] {
    let mut bench = Bench::with_address(Address::Dhcp);
    let mut port = 40_000;
    bench.greet(GATEWAY);
    mtu.map(|mtu| {
        let mut sent = bench.turn();
        for _ in 0..40 {
            sent = match lease(&sent, mtu) {
                None => bench.run_for(Duration::from_secs(1)).into_iter().map(|sent| sent.1).collect(),
                Some(answer) => {
                    bench.put(answer);
                    bench.turn()
                }
            };
        }
        bench.greet(ONE);
        port += 1;
        let answers = bench.tell(&crate::bench::syn((ONE, port), 1_460));
        answers.first().and_then(|answer| answer.segment_bytes)
    })
}

#[test]
fn the_link_s_mtu_is_taken_from_dhcp_where_it_is_lower_than_the_device_s() {
    assert_eq!(invited([None, None]), [Some(1_460); 2]);
    assert_eq!(invited([Some(1_400), Some(1_300)]), [Some(1_360), Some(1_260)]);
    assert_eq!(invited([Some(1_400), None]), [Some(1_360), Some(1_460)]);
    assert_eq!(invited([Some(9_000), Some(68)]), [Some(1_460); 2], "neither is believed");
}
