//! A peer that makes its own frames and keeps to no rule: forged addresses, half-open connections, windows
//! that stay shut.
//!
//! QEMU's user network lets nothing of this through to a guest, so it is done where the same stack runs
//! on a simulated wire.

use std::net::Ipv4Addr;
use std::time::Duration;

use simulator::Simulation;
use simulator::station::StationId;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

/// How long a frame takes there and back, with what it causes.
const ROUND_TRIP: Duration = Duration::from_millis(1);
const ETHERNET_BYTES: usize = 14;

/// A segment, as sent or as seen.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The attacker's side.
    pub own: (Ipv4Addr, u16),
    pub control: TcpControl,
    pub seq: u32,
    pub ack: Option<u32>,
    pub window: u16,
    pub payload: Vec<u8>,
}

impl Segment {
    /// The first segment of a handshake.
    pub fn syn(own: (Ipv4Addr, u16)) -> Self {
        let (seq, payload) = (u32::from(own.1) << 8, Vec::new());
        Self { own, control: TcpControl::Syn, seq, ack: None, window: 4_096, payload }
    }

    /// What takes the connection on after `seen`, the server's last word.
    pub fn after(&self, seen: &Self, control: TcpControl, payload: &[u8]) -> Self {
        let syn = u32::from(seen.control == TcpControl::Syn);
        let ack = Some(seen.seq.wrapping_add(seen.payload.len() as u32 + syn));
        Self { control, seq: seen.ack.unwrap_or(0), ack, payload: payload.to_vec(), ..self.clone() }
    }
}

/// A station that sends frames of any content.
pub struct Attacker {
    pub station: StationId,
    server: (Ipv4Addr, u16),
    own_hardware: EthernetAddress,
    server_hardware: EthernetAddress,
}

impl Attacker {
    /// A peer of the server, whose hardware address it asks for.
    pub fn new(simulation: &mut Simulation, server: (Ipv4Addr, u16)) -> Self {
        let station = simulation.add_station();
        let own_hardware = EthernetAddress(simulation.station_address(station));
        let mut attacker =
            Self { station, server, own_hardware, server_hardware: EthernetAddress::BROADCAST };
        attacker.announce(simulation, Ipv4Addr::new(10, 0, 0, 250));
        simulation.run_for(ROUND_TRIP);
        for frame in simulation.take_frames(station) {
            let frame = EthernetFrame::new_checked(&frame[..]).expect("a whole frame");
            attacker.server_hardware = frame.src_addr();
        }
        assert_ne!(attacker.server_hardware, EthernetAddress::BROADCAST, "the server answers ARP");
        attacker
    }

    /// Asks for the server's hardware address from `own`, as every host does before it connects: so the
    /// server knows where that is.
    pub fn announce(&self, simulation: &mut Simulation, own: Ipv4Addr) {
        let question = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: self.own_hardware,
            source_protocol_addr: own,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: self.server.0,
        };
        simulation.send_frame(self.station, &self.arp(question, EthernetAddress::BROADCAST));
    }

    /// Sends a segment.
    pub fn send(&self, simulation: &mut Simulation, segment: &Segment) {
        simulation.send_frame(self.station, &self.frame(segment));
    }

    /// The frame of a segment.
    pub fn frame(&self, segment: &Segment) -> Vec<u8> {
        let tcp = TcpRepr {
            src_port: segment.own.1,
            dst_port: self.server.1,
            control: segment.control,
            seq_number: TcpSeqNumber(segment.seq.cast_signed()),
            ack_number: segment.ack.map(|ack| TcpSeqNumber(ack.cast_signed())),
            window_len: segment.window,
            window_scale: None,
            max_seg_size: (segment.control == TcpControl::Syn).then_some(1_460),
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &segment.payload,
        };
        let ip = Ipv4Repr {
            src_addr: segment.own.0,
            dst_addr: self.server.0,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let checksums = ChecksumCapabilities::default();
        let mut frame =
            self.ethernet(EthernetProtocol::Ipv4, self.server_hardware, ip.buffer_len() + tcp.buffer_len());
        let mut packet = Ipv4Packet::new_unchecked(&mut frame[ETHERNET_BYTES..]);
        ip.emit(&mut packet, &checksums);
        let (from, to) = (IpAddress::Ipv4(segment.own.0), IpAddress::Ipv4(self.server.0));
        tcp.emit(&mut TcpPacket::new_unchecked(packet.payload_mut()), &from, &to, &checksums);
        frame
    }

    /// Lets a moment pass, and gives the segments that came.
    pub fn listen(&self, simulation: &mut Simulation) -> Vec<Segment> {
        simulation.run_for(ROUND_TRIP);
        let frames = simulation.take_frames(self.station);
        frames.iter().filter_map(|frame| understand(frame)).collect()
    }

    fn arp(&self, packet: ArpRepr, to: EthernetAddress) -> Vec<u8> {
        let mut frame = self.ethernet(EthernetProtocol::Arp, to, packet.buffer_len());
        packet.emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET_BYTES..]));
        frame
    }

    fn ethernet(&self, ethertype: EthernetProtocol, to: EthernetAddress, payload_bytes: usize) -> Vec<u8> {
        let mut frame = vec![0; ETHERNET_BYTES + payload_bytes];
        let header = EthernetRepr { src_addr: self.own_hardware, dst_addr: to, ethertype };
        header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
        frame
    }
}

/// The TCP segment in a frame.
fn understand(frame: &[u8]) -> Option<Segment> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    let (from, to) = (packet.src_addr(), packet.dst_addr());
    let tcp = TcpPacket::new_checked(packet.payload()).ok()?;
    let (from, checksums) = (IpAddress::Ipv4(from), ChecksumCapabilities::default());
    let tcp = TcpRepr::parse(&tcp, &from, &IpAddress::Ipv4(to), &checksums).ok()?;
    Some(Segment {
        own: (to, tcp.dst_port),
        control: tcp.control,
        seq: tcp.seq_number.0.cast_unsigned(),
        ack: tcp.ack_number.map(|ack| ack.0.cast_unsigned()),
        window: tcp.window_len,
        payload: tcp.payload.to_vec(),
    })
}
