//! A name server that makes its own frames: questions read, answers written.

use std::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpAddress, IpProtocol, UdpPacket, UdpRepr};

use crate::bench::{Bench, NODE, packet};
use kernel_app::stack::{Address, ETHERNET_BYTES};

/// A question for a name: server, port and id.
pub type Query = (Ipv4Addr, u16, u16);

/// The questions for names among frames.
pub fn queries(frames: &[Vec<u8>]) -> Vec<Query> {
    let query = |frame: &Vec<u8>| {
        let packet = frame.get(ETHERNET_BYTES..)?;
        let is_dns = packet[9] == 17 && packet.get(22..24)? == [0, 53];
        let server = Ipv4Addr::from_octets(*packet[16..].first_chunk()?);
        let number = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        is_dns.then(|| (server, number(20), number(28)))
    };
    frames.iter().filter_map(query).collect()
}

/// An answer about `store` with this code, and with these addresses and their times to live in seconds.
pub fn answer((server, port, id): Query, code: u8, records: &[(Ipv4Addr, u32)]) -> Vec<u8> {
    let mut dns = id.to_be_bytes().to_vec();
    let count = u8::try_from(records.len()).expect("a few");
    dns.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    dns.extend(b"\x05store\0\0\x01\0\x01");
    for (address, ttl_s) in records {
        // The name is that of the question.
        dns.extend([0xc0, 12, 0, 1, 0, 1]);
        dns.extend(ttl_s.to_be_bytes());
        dns.extend([0, 4]);
        dns.extend(address.octets());
    }
    let udp = UdpRepr { src_port: 53, dst_port: port };
    packet(server, IpProtocol::Udp, udp.header_len() + dns.len(), |payload| {
        let (from, to) = (IpAddress::Ipv4(server), IpAddress::Ipv4(NODE));
        let mut packet = UdpPacket::new_unchecked(payload);
        let checksums = ChecksumCapabilities::default();
        udp.emit(&mut packet, &from, &to, dns.len(), |bytes| bytes.copy_from_slice(&dns), &checksums);
    })
}

/// A node that asks these name servers.
pub fn with_servers(servers: &str) -> Bench {
    Bench::with_address(Address::Static {
        cidr: "10.0.0.1/24".to_string(),
        gateway: None,
        dns: Some(servers.to_string()),
    })
}
