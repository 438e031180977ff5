//! Sample frames as stations send them, for tests of this crate and of its users. They are valid except for their
//! checksums.

use std::net::Ipv4Addr;

/// A hardware address and an address.
pub type End = ([u8; 6], Ipv4Addr);

fn ethernet(from: [u8; 6], to: [u8; 6], kind: u16, packet: &[u8]) -> Vec<u8> {
    [&to, &from, kind.to_be_bytes().as_slice(), packet].concat()
}

fn ipv4(from: End, to: End, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    header[8] = 64;
    header[9] = protocol;
    header[12..16].copy_from_slice(&from.1.octets());
    header[16..20].copy_from_slice(&to.1.octets());
    ethernet(from.0, to.0, 0x0800, &[&header, payload].concat())
}

/// A TCP segment without payload, with these flags.
pub fn tcp(from: End, to: End, (source, destination): (u16, u16), flags: u8) -> Vec<u8> {
    let mut header = [0; 20];
    header[..2].copy_from_slice(&source.to_be_bytes());
    header[2..4].copy_from_slice(&destination.to_be_bytes());
    header[12] = 0x50;
    header[13] = flags;
    ipv4(from, to, 6, &header)
}

/// A UDP datagram.
pub fn udp(from: End, to: End, (source, destination): (u16, u16), payload: &[u8]) -> Vec<u8> {
    let words = [source, destination, 8 + payload.len() as u16, 0].map(u16::to_be_bytes);
    ipv4(from, to, 17, &[words.as_flattened(), payload].concat())
}

/// An ICMP echo request with this payload.
pub fn echo(from: End, to: End, payload: &[u8]) -> Vec<u8> {
    ipv4(from, to, 1, &[&[8, 0, 0, 0, 0, 7, 0, 1], payload].concat())
}

/// An ARP message, broadcast.
pub fn arp(from: End, target: Ipv4Addr, is_request: bool) -> Vec<u8> {
    let kind = [0, 1, 8, 0, 6, 4, 0, if is_request { 1 } else { 2 }];
    let message = [&kind, from.0.as_slice(), &from.1.octets(), &[0; 6], target.octets().as_slice()].concat();
    ethernet(from.0, [0xff; 6], 0x0806, &message)
}
