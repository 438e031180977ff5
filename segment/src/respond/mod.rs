//! The protocols that the gateway answers itself: ARP, DHCP, DNS and ICMP echo, all from the plan.
//!
//! It keeps nothing between two questions. DHCP and DNS are messages in and messages out, whatever network carries
//! them.

pub mod dhcp;
pub mod dns;

use std::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    Icmpv4Packet, Icmpv4Repr, IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

use crate::frame::{ETHERNET_BYTES, FRAME_BYTES_MAX, IPV4_BYTES, UDP_BYTES};
use crate::layout::{GATEWAY, GATEWAY_HARDWARE, Layout, address, hardware_address};
use crate::switch::Question;

const HOP_LIMIT: u8 = 64;
/// Largest payload of UDP in one frame.
const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX - ETHERNET_BYTES - IPV4_BYTES - UDP_BYTES;

/// The frames that answer a station's question; none where it is better not to answer.
///
/// A station that asks for one hardware address gets those of all neighbours. smoltcp asks once a second at most, so
/// a machine that needs the name server's and then another's would be late by that.
pub fn answer(layout: &Layout, from: usize, question: Question<'_>) -> Vec<Vec<u8>> {
    match question {
        Question::Arp(target) => {
            let others =
                (0..layout.stations().len()).filter(|to| layout.share_network(from, *to)).map(address);
            let others = std::iter::once(GATEWAY).chain(others).filter(|other| *other != target);
            std::iter::once(target).chain(others).map(|address| arp(layout, from, address)).collect()
        }
        other => reply(layout, from, other).into_iter().collect(),
    }
}

fn reply(layout: &Layout, from: usize, question: Question<'_>) -> Option<Vec<u8>> {
    match question {
        Question::Arp(_) => None,
        Question::Dhcp(message) => {
            let reply = dhcp::answer(message, hardware_address(from), address(from))?;
            udp(from, (67, 68), reply.to, &reply.message)
        }
        Question::Dns(port, message) => {
            udp(from, (53, port), address(from), &dns::answer(layout, from, message)?)
        }
        Question::Echo(message) => echo(from, message),
    }
}

fn ethernet(from: usize, kind: EthernetProtocol, payload_bytes: usize) -> Vec<u8> {
    let mut frame = vec![0; ETHERNET_BYTES + payload_bytes];
    let header = EthernetRepr {
        src_addr: EthernetAddress(GATEWAY_HARDWARE),
        dst_addr: EthernetAddress(hardware_address(from)),
        ethertype: kind,
    };
    header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    frame
}

fn arp(layout: &Layout, from: usize, target: Ipv4Addr) -> Vec<u8> {
    let hardware = layout.station_at(target).map_or(GATEWAY_HARDWARE, hardware_address);
    let message = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(hardware),
        source_protocol_addr: target,
        target_hardware_addr: EthernetAddress(hardware_address(from)),
        target_protocol_addr: address(from),
    };
    let mut frame = ethernet(from, EthernetProtocol::Arp, message.buffer_len());
    message.emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET_BYTES..]));
    frame
}

fn ipv4(from: usize, protocol: IpProtocol, to: Ipv4Addr, payload_bytes: usize) -> Vec<u8> {
    let header = Ipv4Repr {
        src_addr: GATEWAY,
        dst_addr: to,
        next_header: protocol,
        payload_len: payload_bytes,
        hop_limit: HOP_LIMIT,
    };
    let mut frame = ethernet(from, EthernetProtocol::Ipv4, IPV4_BYTES + payload_bytes);
    header
        .emit(&mut Ipv4Packet::new_unchecked(&mut frame[ETHERNET_BYTES..]), &ChecksumCapabilities::default());
    frame
}

fn udp(from: usize, (source, destination): (u16, u16), to: Ipv4Addr, payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return None;
    }
    let mut frame = ipv4(from, IpProtocol::Udp, to, UDP_BYTES + payload.len());
    UdpRepr { src_port: source, dst_port: destination }.emit(
        &mut UdpPacket::new_unchecked(&mut frame[ETHERNET_BYTES + IPV4_BYTES..]),
        &IpAddress::Ipv4(GATEWAY),
        &IpAddress::Ipv4(to),
        payload.len(),
        |bytes| bytes.copy_from_slice(payload),
        &ChecksumCapabilities::default(),
    );
    Some(frame)
}

fn echo(from: usize, message: &[u8]) -> Option<Vec<u8>> {
    let checksums = ChecksumCapabilities::default();
    let Icmpv4Repr::EchoRequest { ident, seq_no, data } =
        Icmpv4Repr::parse(&Icmpv4Packet::new_checked(message).ok()?, &checksums).ok()?
    else {
        return None;
    };
    let reply = Icmpv4Repr::EchoReply { ident, seq_no, data };
    let mut frame = ipv4(from, IpProtocol::Icmp, address(from), reply.buffer_len());
    reply.emit(&mut Icmpv4Packet::new_unchecked(&mut frame[ETHERNET_BYTES + IPV4_BYTES..]), &checksums);
    Some(frame)
}
