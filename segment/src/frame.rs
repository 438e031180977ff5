//! The fields of a frame that the switch needs, read in place: sender, receiver and port.
//!
//! It checks lengths, not checksums, and changes nothing. Read RFC 791 section 3.1, RFC 826, RFC 768 and RFC 9293.

use std::net::Ipv4Addr;

/// Ethernet's header (IEEE 802.3, without tags).
pub const ETHERNET_BYTES: usize = 14;
/// Largest frame without its check sequence: Ethernet's header and 1500 bytes.
pub const FRAME_BYTES_MAX: usize = 1514;
/// An IPv4 header without options.
pub const IPV4_BYTES: usize = 20;
/// A UDP header.
pub const UDP_BYTES: usize = 8;
const TCP_BYTES: usize = 20;
const ICMP_BYTES: usize = 8;
const ARP_BYTES: usize = 28;
/// Ethernet, IPv4, hardware addresses of 6 bytes and protocol addresses of 4.
const ARP_KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];
const FLAG_SYN: u8 = 0x02;
const FLAG_ACK: u8 = 0x10;
const ICMP_ECHO_REQUEST: u8 = 8;

/// A frame's ends and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Hardware address it is for.
    pub destination: [u8; 6],
    /// Hardware address it says it is from.
    pub source: [u8; 6],
    /// What is in it.
    pub content: Content<'a>,
}

/// What is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// An address is asked for or told.
    Arp(Arp),
    /// An IPv4 packet, its addresses, and what it carries.
    Ipv4 {
        /// Who says that it sends it.
        source: Ipv4Addr,
        /// To whom.
        destination: Ipv4Addr,
        /// What it carries.
        carried: Carried<'a>,
    },
    /// Another protocol, or none.
    Other,
}

/// An ARP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Whether it asks.
    pub is_request: bool,
    /// The sender's hardware address.
    pub sender_hardware: [u8; 6],
    /// The sender's address.
    pub sender: Ipv4Addr,
    /// The address asked for.
    pub target: Ipv4Addr,
}

/// What an IPv4 packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried<'a> {
    /// A TCP segment.
    Tcp {
        /// Port of the sender.
        source_port: u16,
        /// Port of the receiver.
        destination_port: u16,
        /// Whether it asks for a connection: SYN without ACK.
        opens: bool,
    },
    /// A UDP datagram.
    Udp {
        /// Port of the sender.
        source_port: u16,
        /// Port of the receiver.
        destination_port: u16,
        /// Its payload.
        payload: &'a [u8],
    },
    /// An ICMP echo request, from its type on.
    Echo(&'a [u8]),
    /// Another protocol, a fragment, or something broken.
    Other,
}

impl<'a> Frame<'a> {
    /// Reads a frame; none when it has no whole Ethernet header.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, packet) = bytes.split_first_chunk::<ETHERNET_BYTES>()?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, kind @ ..] = *header;
        let content = match kind {
            [0x08, 0x00] => ipv4(packet).unwrap_or(Content::Other),
            [0x08, 0x06] => arp(packet).map_or(Content::Other, Content::Arp),
            _ => Content::Other,
        };
        Some(Self { destination: [d0, d1, d2, d3, d4, d5], source: [s0, s1, s2, s3, s4, s5], content })
    }
}

fn arp(packet: &[u8]) -> Option<Arp> {
    let message = packet.first_chunk::<ARP_BYTES>()?;
    let operation = u16::from_be_bytes([message[6], message[7]]);
    (message[..6] == ARP_KIND && matches!(operation, 1 | 2)).then(|| Arp {
        is_request: operation == 1,
        sender_hardware: *message[8..].first_chunk().expect("28 bytes"),
        sender: ipv4_address(&message[14..]),
        target: ipv4_address(&message[24..]),
    })
}

fn ipv4(packet: &[u8]) -> Option<Content<'_>> {
    let header = packet.first_chunk::<IPV4_BYTES>()?;
    let header_bytes = usize::from(header[0] & 0x0f) * 4;
    let total_bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || header_bytes < IPV4_BYTES {
        return None;
    }
    let payload = packet.get(header_bytes..total_bytes)?;
    // More fragments, or an offset: no port can be told of it.
    let is_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
    let carried = match header[9] {
        _ if is_fragment => None,
        1 => echo(payload),
        6 => tcp(payload),
        17 => udp(payload),
        _ => None,
    };
    Some(Content::Ipv4 {
        source: ipv4_address(&header[12..]),
        destination: ipv4_address(&header[16..]),
        carried: carried.unwrap_or(Carried::Other),
    })
}

fn tcp(segment: &[u8]) -> Option<Carried<'_>> {
    let header = segment.first_chunk::<TCP_BYTES>()?;
    let (source_port, destination_port) = ports(header);
    let opens = header[13] & (FLAG_SYN | FLAG_ACK) == FLAG_SYN;
    Some(Carried::Tcp { source_port, destination_port, opens })
}

fn udp(datagram: &[u8]) -> Option<Carried<'_>> {
    let header = datagram.first_chunk::<UDP_BYTES>()?;
    let (source_port, destination_port) = ports(header);
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    Some(Carried::Udp { source_port, destination_port, payload: datagram.get(UDP_BYTES..length)? })
}

fn echo(message: &[u8]) -> Option<Carried<'_>> {
    let is_echo = message.len() >= ICMP_BYTES && message[..2] == [ICMP_ECHO_REQUEST, 0];
    is_echo.then_some(Carried::Echo(message))
}

fn ports(header: &[u8]) -> (u16, u16) {
    (u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[2], header[3]]))
}

fn ipv4_address(bytes: &[u8]) -> Ipv4Addr {
    bytes.first_chunk().map_or(Ipv4Addr::UNSPECIFIED, |octets: &[u8; 4]| Ipv4Addr::from_octets(*octets))
}
