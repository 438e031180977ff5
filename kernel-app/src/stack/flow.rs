//! The TCP connection that a received frame belongs to, and the socket that carries this connection.
//!
//! smoltcp asks every socket whether a segment belongs to it. One lookup in a table takes a tenth of that time with
//! 30 sockets, and no more with a thousand. This module checks nothing that smoltcp checks itself: it passes on
//! frames that are incomplete, invalid or for another node. Read RFC 791 section 3.1 and RFC 9293 section 3.1.

use core::hash::{BuildHasher, Hasher};
use core::net::Ipv4Addr;

use hashbrown::HashMap;

/// Ethernet's header (IEEE 802.3, without tags).
const ETHERNET_BYTES: usize = 14;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const PROTOCOL_TCP: u8 = 6;
/// The least TCP header.
const TCP_BYTES: usize = 20;
const OPTIONS_END: u8 = 0;
const OPTION_NOTHING: u8 = 1;
const OPTION_SEGMENT_BYTES: u8 = 2;
const FLAG_SYN: u8 = 0x02;
const FLAG_RST: u8 = 0x04;
const FLAG_ACK: u8 = 0x10;

/// The ends of a TCP connection: the other side's address and port, and this node's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow(u64);

impl Flow {
    /// That of these ends.
    pub fn new(remote: Ipv4Addr, remote_port: u16, local_port: u16) -> Self {
        Self(u64::from(remote.to_bits()) << 32 | u64::from(remote_port) << 16 | u64::from(local_port))
    }

    /// All of it, as one number.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The other side's address.
    pub fn remote(self) -> Ipv4Addr {
        Ipv4Addr::from_bits((self.0 >> 32) as u32)
    }

    /// The port on this node.
    pub fn local_port(self) -> u16 {
        self.0 as u16
    }
}

/// What a frame says of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub flow: Flow,
    flags: u8,
}

impl Segment {
    /// Of a frame that holds a TCP header; none otherwise.
    pub fn of_frame(frame: &[u8]) -> Option<Self> {
        let (ethernet, packet) = frame.split_at_checked(ETHERNET_BYTES)?;
        let version_and_length = *packet.first()?;
        if ethernet[12..] != ETHERTYPE_IPV4 || version_and_length >> 4 != 4 {
            return None;
        }
        let segment = packet.get(usize::from(version_and_length & 0x0f) * 4..)?;
        if segment.len() < TCP_BYTES || *packet.get(9)? != PROTOCOL_TCP {
            return None;
        }
        let remote = Ipv4Addr::from_octets(*packet.get(12..)?.first_chunk()?);
        let port = |at: usize| u16::from_be_bytes([segment[at], segment[at + 1]]);
        Some(Self { flow: Flow::new(remote, port(0), port(2)), flags: segment[13] })
    }

    /// Whether it asks for a new connection: SYN without ACK or RST.
    pub fn opens(self) -> bool {
        self.flags & (FLAG_SYN | FLAG_ACK | FLAG_RST) == FLAG_SYN
    }

    /// Whether it is of a connection that is there, or should be.
    pub fn goes_on(self) -> bool {
        self.flags & (FLAG_SYN | FLAG_ACK | FLAG_RST) == FLAG_ACK
    }

    /// Whether it begins a connection or ends one at once.
    pub fn is_drastic(self) -> bool {
        self.flags & (FLAG_SYN | FLAG_RST) != 0
    }

    /// Whether it ends a connection at once.
    pub fn resets(self) -> bool {
        self.flags & FLAG_RST != 0
    }
}

/// What the other side's SYN says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syn {
    /// Its first sequence number.
    pub number: u32,
    /// Bytes that it takes in one segment.
    pub segment_bytes: Option<u16>,
}

impl Syn {
    /// Of a frame with a SYN.
    pub fn of_frame(frame: &[u8]) -> Option<Self> {
        Some(Self { number: number(frame)?, segment_bytes: segment_bytes(tcp_of(frame)?) })
    }
}

/// The sequence number of a frame that holds a TCP header.
pub(super) fn number(frame: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*tcp_of(frame)?.get(4..)?.first_chunk()?))
}

/// The number that a frame acknowledges which holds a TCP header.
pub(super) fn acknowledged(frame: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*tcp_of(frame)?.get(8..)?.first_chunk()?))
}

/// From a frame's TCP header on.
fn tcp_of(frame: &[u8]) -> Option<&[u8]> {
    let packet = frame.get(ETHERNET_BYTES..)?;
    packet.get(usize::from(*packet.first()? & 0x0f) * 4..)
}

/// The maximum segment size among the options of a TCP header (RFC 9293 section 3.2). It comes first as a rule.
fn segment_bytes(tcp: &[u8]) -> Option<u16> {
    let mut options = tcp.get(TCP_BYTES..usize::from(*tcp.get(12)? >> 4) * 4)?;
    loop {
        options = match *options {
            [OPTION_SEGMENT_BYTES, 4, high, low, ..] => return Some(u16::from_be_bytes([high, low])),
            [OPTION_NOTHING, ref rest @ ..] => rest,
            [OPTIONS_END, ..] => return None,
            [_, length, ..] if length >= 2 => options.get(usize::from(length)..)?,
            _ => return None,
        }
    }
}

/// Whether a frame may tell where a neighbour is (RFC 826), for whom any socket may have been waiting.
pub(super) fn is_arp(frame: &[u8]) -> bool {
    frame.get(12..ETHERNET_BYTES) == Some(&ETHERTYPE_ARP)
}

/// The hardware address of the neighbour that an ARP frame tells of.
pub(super) fn sender(frame: &[u8]) -> Option<[u8; 6]> {
    frame.get(ETHERNET_BYTES + 8..)?.first_chunk().copied()
}

/// Pool indices by flow.
#[derive(Debug)]
pub(super) struct Flows(HashMap<Flow, usize, Secret>);

impl Flows {
    /// None yet; `seed` must be unpredictable, or clients could choose ports that collide.
    pub fn new(seed: [u64; 2]) -> Self {
        Self(HashMap::with_hasher(Secret(seed)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, flow: Flow) -> Option<usize> {
        self.0.get(&flow).copied()
    }

    pub fn insert(&mut self, flow: Flow, index: usize) {
        self.0.insert(flow, index);
    }

    /// Forgets a flow, if it is still carried by this socket.
    pub fn remove(&mut self, flow: Flow, index: usize) {
        if self.get(flow) == Some(index) {
            self.0.remove(&flow);
        }
    }
}

/// Keys of the hash.
#[derive(Clone, Copy, Debug)]
struct Secret([u64; 2]);

impl BuildHasher for Secret {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        let [state, secret] = self.0;
        Folded { state, secret }
    }
}

/// Products with a secret number and with a well mixed one, both halves of each folded into one: each bit
/// of the flow reaches all of the hash.
struct Folded {
    state: u64,
    secret: u64,
}

impl Hasher for Folded {
    fn write_u64(&mut self, value: u64) {
        self.state = fold(fold(value ^ self.state, self.secret | 1), GOLDEN);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

    fn frame(options: usize, flags: u8) -> Vec<u8> {
        let mut frame = std::vec![0; ETHERNET_BYTES + 20 + options + TCP_BYTES];
        frame[12..14].copy_from_slice(&ETHERTYPE_IPV4);
        frame[14] = 0x40 | (5 + options / 4) as u8;
        frame[14 + 9] = PROTOCOL_TCP;
        frame[14 + 12..14 + 16].copy_from_slice(&REMOTE.octets());
        let tcp = 34 + options;
        frame[tcp..tcp + 4].copy_from_slice(&[0xc0, 0x01, 0x1f, 0x90]);
        frame[tcp + 13] = flags;
        frame
    }

    #[test]
    fn a_segment_names_its_flow_behind_options_too() {
        let flow = Flow::new(REMOTE, 0xc001, 8080);
        assert_eq!(flow.local_port(), 8080);
        for options in [0, 4, 40] {
            let segment = |flags| Segment::of_frame(&frame(options, flags));
            for (flags, opens) in [
                (FLAG_SYN, true),
                (FLAG_ACK, false),
                (FLAG_SYN | FLAG_ACK, false),
                (FLAG_SYN | FLAG_RST, false),
                (0, false),
            ] {
                let segment = segment(flags).expect("a segment");
                assert_eq!((segment.flow, segment.opens()), (flow, opens));
            }
        }
    }

    #[test]
    fn a_segment_size_is_found_among_other_options() {
        let said = |options: &[u8]| {
            let mut frame = frame(0, FLAG_SYN);
            frame.extend(options);
            frame[34 + 4..34 + 8].copy_from_slice(&[1, 2, 3, 4]);
            frame[34 + 12] = (((TCP_BYTES + options.len()) / 4) << 4) as u8;
            let syn = Syn::of_frame(&frame).expect("a SYN");
            assert_eq!(syn.number, 0x0102_0304);
            syn.segment_bytes
        };
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[2, 4, 5, 0xb4]), Some(1460));
        assert_eq!(said(&[1, 1, 4, 2, 2, 4, 2, 24]), Some(536));
        assert_eq!(said(&[3, 3, 7, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 4, 1, 0]), Some(256));
        for broken in [[0, 0, 2, 4], [2, 3, 1, 1], [9, 0, 2, 4], [9, 1, 2, 4], [9, 200, 2, 4]] {
            assert_eq!(said(&broken), None, "{broken:?}");
        }
    }

    #[test]
    fn what_is_no_whole_tcp_header_names_none() {
        let whole = frame(4, FLAG_SYN);
        for length in 0..whole.len() {
            assert_eq!(Segment::of_frame(&whole[..length]), None, "{length} bytes");
        }
        for (at, value) in [(12, 0x86), (14, 0x65), (14 + 9, 17)] {
            let mut other = whole.clone();
            other[at] = value;
            assert_eq!(Segment::of_frame(&other), None, "byte {at}");
        }
    }

    #[test]
    fn neighbouring_ports_spread_over_the_table() {
        let secret = Secret([0x9876_5432_10fe_dcba, 0x1234_5678_9abc_def1]);
        let mut buckets = [[0u32; 256]; 2];
        for port in 0..=u16::MAX {
            let hash = secret.hash_one(Flow::new(REMOTE, port, 80));
            buckets[0][(hash >> 56) as usize] += 1;
            buckets[1][(hash & 0xff) as usize] += 1;
        }
        for buckets in buckets {
            let (least, most) = (buckets.iter().min(), buckets.iter().max());
            assert!(least > Some(&128) && most < Some(&512), "{least:?} to {most:?} of 256");
        }
    }

    #[test]
    fn only_the_socket_that_carries_a_flow_can_forget_it() {
        let (mut flows, flow) = (Flows::new([7, 8]), Flow::new(REMOTE, 1, 80));
        flows.insert(flow, 3);
        flows.remove(flow, 4);
        assert_eq!(flows.get(flow), Some(3));
        flows.remove(flow, 3);
        assert_eq!(flows.get(flow), None);
    }
}
