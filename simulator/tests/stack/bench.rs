//! A node's stack without services, and a peer that makes its own segments: time and every frame are the test's.

use std::net::Ipv4Addr;
use std::time::Duration;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use kernel_app::connections::{ConnectionId, Connections};
use kernel_app::network::{Event, Network};
use kernel_app::service::Origin;
use kernel_app::stack::{Address, ETHERNET_BYTES, SOCKETS_MAX, Seeds, SmoltcpNetwork, StackConfig};
use simulator::device::SimulatedDevice;
use simulator::random::Random;
use wire::Instant;

pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub const NODE_HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const PORT: u16 = 80;
/// The peer of most tests, and where it is.
pub const PEER: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 2), 40_000);

/// What the node's numbers are made of.
pub fn seeds() -> Seeds {
    Seeds::draw(&mut Random::new(1))
}

/// A stack, the time, and what its device has sent.
pub struct Bench {
    pub network: SmoltcpNetwork<SimulatedDevice>,
    pub connections: Connections,
    pub events: Vec<Event>,
    pub now: Instant,
}

/// A TCP segment from or to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub peer: (Ipv4Addr, u16),
    pub node_port: u16,
    pub control: TcpControl,
    pub seq: u32,
    pub ack: Option<u32>,
    pub window: u16,
    pub segment_bytes: Option<u16>,
    pub payload: Vec<u8>,
}

/// A connection as the peer sees it.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: (Ipv4Addr, u16),
    pub node_port: u16,
    /// Of the next byte that it sends.
    pub seq: u32,
    /// Of the next byte that it expects.
    pub ack: u32,
}

impl Peer {
    /// A segment that takes the connection on.
    pub fn segment(&self, control: TcpControl, payload: &[u8]) -> Segment {
        Segment {
            peer: self.address,
            node_port: self.node_port,
            control,
            seq: self.seq,
            ack: Some(self.ack),
            window: 60_000,
            segment_bytes: None,
            payload: payload.to_vec(),
        }
    }
}

/// The first segment of a peer.
pub fn syn(peer: (Ipv4Addr, u16), segment_bytes: u16) -> Segment {
    Segment {
        peer,
        node_port: PORT,
        control: TcpControl::Syn,
        seq: u32::MAX - 5,
        ack: None,
        window: 60_000,
        segment_bytes: Some(segment_bytes),
        payload: Vec::new(),
    }
}

impl Bench {
    /// A node that listens on [`PORT`].
    pub fn new() -> Self {
        Self::with_mtu(None)
    }

    /// The same, with this setting of the largest packet.
    pub fn with_mtu(mtu: Option<u16>) -> Self {
        let cidr = [&NODE.to_string(), "/24"].concat();
        let address = Address::Static { cidr, gateway: Some("10.0.0.254".to_string()), dns: None };
        Self::with(SimulatedDevice::default(), address, mtu)
    }

    /// The same, with a card that makes checksums.
    pub fn with_offload() -> Self {
        let address = Address::Static { cidr: [&NODE.to_string(), "/24"].concat(), gateway: None, dns: None };
        Self::with(SimulatedDevice::with_offload(), address, None)
    }

    /// The same, with this address.
    pub fn with_address(address: Address) -> Self {
        Self::with(SimulatedDevice::default(), address, None)
    }

    fn with(device: SimulatedDevice, address: Address, mtu: Option<u16>) -> Self {
        let config = StackConfig {
            hardware_address: NODE_HARDWARE,
            address,
            mtu,
            sockets_max: SOCKETS_MAX,
            seeds: seeds(),
        };
        let now = Instant::from_millis(1_000);
        let mut network = SmoltcpNetwork::new(device, &config, now).expect("usable");
        network.listen(PORT, 0, Origin::Accepted(0)).expect("free");
        Self { network, connections: Connections::new(), events: Vec::new(), now }
    }

    /// A turn: what the node sends in it. Events are kept, connections that are over are removed.
    pub fn turn(&mut self) -> Vec<Vec<u8>> {
        self.connections.begin_turn(self.now);
        let before = self.events.len();
        self.network.poll(self.now, &mut self.connections, &mut self.events);
        for event in &self.events[before..] {
            match event {
                Event::Closed(id) => {
                    self.connections.remove(*id);
                }
                // As every service does.
                Event::Ready(id) => {
                    self.connections.get_mut(*id);
                }
                _ => {}
            }
        }
        self.network.flush(self.now, &mut self.connections);
        self.network.device_mut().take_sent()
    }

    /// The segments among what the node sends in a turn.
    pub fn segments(&mut self) -> Vec<Segment> {
        self.turn().iter().filter_map(|frame| Segment::of_frame(frame)).collect()
    }

    /// Lets time pass, with a turn whenever one is due: what was sent and when.
    pub fn run_for(&mut self, duration: Duration) -> Vec<(Instant, Vec<u8>)> {
        let end = self.now + duration;
        let mut sent = Vec::new();
        loop {
            sent.extend(self.turn().into_iter().map(|frame| (self.now, frame)));
            match self.network.next_deadline(self.now) {
                Some(at) if at <= end => self.now = at.max(self.now + Duration::from_micros(1)),
                _ => break,
            }
        }
        self.now = end;
        sent
    }

    /// The same, of segments.
    pub fn segments_for(&mut self, duration: Duration) -> Vec<(Instant, Segment)> {
        let sent = self.run_for(duration);
        sent.into_iter().filter_map(|(at, frame)| Some((at, Segment::of_frame(&frame)?))).collect()
    }

    /// A frame arrives.
    pub fn put(&mut self, frame: Vec<u8>) {
        assert!(self.network.device_mut().receive_frame(frame), "the ring has room");
    }

    /// A segment arrives: what the node sends then.
    pub fn tell(&mut self, segment: &Segment) -> Vec<Segment> {
        self.put(segment.frame());
        self.segments()
    }

    /// A neighbour asks for the node's hardware address, by which the node learns its own.
    pub fn greet(&mut self, neighbour: Ipv4Addr) {
        self.put(arp(ArpOperation::Request, neighbour));
        self.turn();
    }

    /// A connection that a peer makes.
    pub fn connect(&mut self, address: (Ipv4Addr, u16), segment_bytes: u16) -> (Peer, ConnectionId) {
        self.greet(address.0);
        let syn = syn(address, segment_bytes);
        let answers = self.tell(&syn);
        let [answer] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!((answer.control, answer.ack), (TcpControl::Syn, Some(syn.seq.wrapping_add(1))));
        let (seq, ack) = (syn.seq.wrapping_add(1), answer.seq.wrapping_add(1));
        let peer = Peer { address, node_port: PORT, seq, ack };
        self.tell(&peer.segment(TcpControl::None, b""));
        let Some(Event::Opened(id)) = self.events.pop() else { panic!("it is not open") };
        (peer, id)
    }

    /// A service writes, and perhaps ends the connection.
    pub fn write(&mut self, id: ConnectionId, bytes: &[u8], closes: bool) {
        self.connections.get_mut(id).expect("live").output.write(bytes).expect("room");
        if closes {
            self.connections.close(id);
        }
    }

    pub fn is_open(&self, id: ConnectionId) -> bool {
        self.connections.get(id).is_some()
    }
}

impl Segment {
    pub fn of_frame(frame: &[u8]) -> Option<Self> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        let (from, to) = (packet.src_addr(), packet.dst_addr());
        let tcp = TcpPacket::new_checked(packet.payload()).ok()?;
        assert!(packet.verify_checksum() && packet.next_header() == IpProtocol::Tcp);
        let checksums = ChecksumCapabilities::default();
        let tcp = TcpRepr::parse(&tcp, &IpAddress::Ipv4(from), &IpAddress::Ipv4(to), &checksums);
        let tcp = tcp.expect("a true checksum");
        Some(Self {
            peer: (to, tcp.dst_port),
            node_port: tcp.src_port,
            control: tcp.control,
            seq: tcp.seq_number.0.cast_unsigned(),
            ack: tcp.ack_number.map(|ack| ack.0.cast_unsigned()),
            window: tcp.window_len,
            segment_bytes: tcp.max_seg_size,
            payload: tcp.payload.to_vec(),
        })
    }

    pub fn frame(&self) -> Vec<u8> {
        let tcp = TcpRepr {
            src_port: self.peer.1,
            dst_port: self.node_port,
            control: self.control,
            seq_number: TcpSeqNumber(self.seq.cast_signed()),
            ack_number: self.ack.map(|ack| TcpSeqNumber(ack.cast_signed())),
            window_len: self.window,
            window_scale: None,
            max_seg_size: self.segment_bytes,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &self.payload,
        };
        packet(self.peer.0, IpProtocol::Tcp, tcp.buffer_len(), |payload| {
            let (from, to) = (IpAddress::Ipv4(self.peer.0), IpAddress::Ipv4(NODE));
            tcp.emit(&mut TcpPacket::new_unchecked(payload), &from, &to, &ChecksumCapabilities::default());
        })
    }
}

/// Where a peer is.
pub fn hardware(peer: Ipv4Addr) -> EthernetAddress {
    let [_, _, high, low] = peer.octets();
    EthernetAddress([2, 0, 0, 1, high, low])
}

/// A frame with a packet from a peer.
pub fn packet(
    from: Ipv4Addr,
    protocol: IpProtocol,
    payload_bytes: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: NODE,
        next_header: protocol,
        payload_len: payload_bytes,
        hop_limit: 64,
    };
    let mut frame = ethernet(EthernetProtocol::Ipv4, from, ip.buffer_len() + payload_bytes);
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[ETHERNET_BYTES..]);
    ip.emit(&mut packet, &ChecksumCapabilities::default());
    fill(packet.payload_mut());
    frame
}

/// A word of ARP from a neighbour to the node.
pub fn arp(operation: ArpOperation, neighbour: Ipv4Addr) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: hardware(neighbour),
        source_protocol_addr: neighbour,
        target_hardware_addr: EthernetAddress(NODE_HARDWARE),
        target_protocol_addr: NODE,
    };
    let mut frame = ethernet(EthernetProtocol::Arp, neighbour, repr.buffer_len());
    repr.emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET_BYTES..]));
    frame
}

/// Whom the node asks for its hardware address in this frame.
pub fn asked_for(frame: &[u8]) -> Option<Ipv4Addr> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let is_arp = frame.ethertype() == EthernetProtocol::Arp;
    let packet = ArpPacket::new_checked(frame.payload()).ok().filter(|_| is_arp)?;
    match ArpRepr::parse(&packet).ok()? {
        ArpRepr::EthernetIpv4 { operation: ArpOperation::Request, target_protocol_addr, .. } => {
            Some(target_protocol_addr)
        }
        _ => None,
    }
}

fn ethernet(ethertype: EthernetProtocol, from: Ipv4Addr, payload_bytes: usize) -> Vec<u8> {
    let mut frame = vec![0; ETHERNET_BYTES + payload_bytes];
    let header =
        EthernetRepr { src_addr: hardware(from), dst_addr: EthernetAddress(NODE_HARDWARE), ethertype };
    header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    frame
}
