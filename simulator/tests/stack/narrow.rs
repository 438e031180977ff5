//! Ways that carry less than the link: routers that say so, routers that do not, and liars.

use std::net::Ipv4Addr;
use std::time::Duration;

use smoltcp::wire::{Icmpv4Packet, IpProtocol, TcpControl};

use crate::bench::{Bench, PEER, Peer, Segment, packet, syn};
use kernel_app::connections::ConnectionId;
use kernel_app::stack::ETHERNET_BYTES;

const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);

/// What a router says of a frame that it does not pass on.
fn too_large(frame: &[u8], mtu: u16) -> Vec<u8> {
    let quoted = &frame[ETHERNET_BYTES..ETHERNET_BYTES + 28];
    packet(ROUTER, IpProtocol::Icmp, 8 + quoted.len(), |icmp| {
        icmp[..2].copy_from_slice(&[3, 4]);
        icmp[6..8].copy_from_slice(&mtu.to_be_bytes());
        icmp[8..].copy_from_slice(quoted);
        Icmpv4Packet::new_unchecked(icmp).fill_checksum();
    })
}

/// A peer behind a router that carries packets of so many bytes, and the bytes that have reached it.
struct Way {
    peer: Peer,
    mtu: usize,
    says_so: bool,
    received: Vec<u8>,
    has_ended: bool,
}

impl Way {
    /// Carries what the node sends; the peer acknowledges what comes in order.
    fn carry(&mut self, bench: &mut Bench, frames: &[Vec<u8>]) {
        let start = self.peer.ack;
        for frame in frames {
            if frame.len() > ETHERNET_BYTES + self.mtu {
                if self.says_so {
                    bench.put(too_large(frame, self.mtu as u16));
                }
                continue;
            }
            let Some(segment) = Segment::of_frame(frame) else { continue };
            if segment.seq == self.peer.ack && !self.has_ended {
                self.received.extend(&segment.payload);
                self.peer.ack = self.peer.ack.wrapping_add(segment.payload.len() as u32);
                if segment.control == TcpControl::Fin {
                    self.peer.ack = self.peer.ack.wrapping_add(1);
                    self.has_ended = true;
                }
            }
        }
        if self.peer.ack != start {
            bench.put(self.peer.segment(TcpControl::None, b"").frame());
        }
    }

    fn run(&mut self, bench: &mut Bench, step: Duration, steps: usize) {
        for _ in 0..steps {
            let frames = bench.turn();
            self.carry(bench, &frames);
            let sent: Vec<_> = bench.run_for(step).into_iter().map(|(_, frame)| frame).collect();
            self.carry(bench, &sent);
        }
    }
}

fn begin(mtu: usize, says_so: bool) -> (Bench, Way, ConnectionId) {
    let mut bench = Bench::new();
    bench.greet(ROUTER);
    let (peer, id) = bench.connect(PEER, 1_460);
    (bench, Way { peer, mtu, says_so, received: Vec::new(), has_ended: false }, id)
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

#[test]
fn a_link_of_1280_bytes_carries_large_requests_and_answers() {
    const MTU: usize = 1_280;
    const SEGMENT_BYTES: u16 = 1_240;
    let mut bench = Bench::with_mtu(Some(MTU as u16));
    bench.greet(PEER.0);
    let invitation = bench.tell(&syn((PEER.0, PEER.1 - 1), 1_460));
    assert_eq!(
        invitation[0].segment_bytes,
        Some(SEGMENT_BYTES),
        "larger ones would be lost on their way here"
    );
    let (mut peer, id) = bench.connect(PEER, 1_460);
    let request = pattern(20_000);
    for piece in request.chunks(SEGMENT_BYTES.into()) {
        let acknowledged = bench.tell(&peer.segment(TcpControl::None, piece));
        peer.seq = peer.seq.wrapping_add(piece.len() as u32);
        assert_eq!(acknowledged.last().and_then(|segment| segment.ack), Some(peer.seq));
    }
    assert_eq!(bench.connections.get(id).expect("open").input.as_slice(), request);
    // The way drops what is larger, and says nothing of it.
    let mut way = Way { peer, mtu: MTU, says_so: false, received: Vec::new(), has_ended: false };
    bench.write(id, &pattern(20_000), true);
    way.run(&mut bench, Duration::from_millis(5), 20);
    assert_eq!(way.received, pattern(20_000), "nothing had to be sent again");
    assert!(way.has_ended);
}

#[test]
fn an_answer_passes_a_narrow_tunnel_that_reports_its_mtu() {
    for mtu in [1_499, 1_400, 1_000, 576, 552] {
        let (mut bench, mut way, id) = begin(mtu, true);
        bench.write(id, &pattern(20_000), true);
        // Far less than the second after which anything is sent again.
        way.run(&mut bench, Duration::from_millis(5), 40);
        assert_eq!(way.received, pattern(20_000), "{mtu}: {} bytes came", way.received.len());
        assert!(way.has_ended, "{mtu}: its end came");
    }
}

#[test]
fn an_answer_passes_a_narrow_tunnel_that_reports_nothing() {
    let (mut bench, mut way, id) = begin(1_400, false);
    bench.write(id, &pattern(20_000), true);
    way.run(&mut bench, Duration::from_millis(100), 45);
    assert_eq!(way.received, pattern(20_000), "{} bytes came", way.received.len());
    // The next connection on the same way does not have to find out again.
    let (peer, id) = bench.connect((PEER.0, PEER.1 + 1), 1_460);
    let mut way = Way { peer, received: Vec::new(), has_ended: false, ..way };
    bench.write(id, &pattern(5_000), true);
    way.run(&mut bench, Duration::from_millis(5), 5);
    assert_eq!(way.received, pattern(5_000));
}

#[test]
fn an_icmp_too_big_message_must_quote_a_segment_in_flight() {
    let (mut bench, way, id) = begin(1_500, false);
    bench.write(id, &pattern(3_000), false);
    let frames = bench.turn();
    let tcp = ETHERNET_BYTES + 20;
    let changed = |at: usize, bytes: &[u8]| {
        let mut frame = frames[0].clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    let number = u32::from_be_bytes(*frames[0][tcp + 4..].first_chunk().expect("a number"));
    for forged in [
        changed(tcp + 4, &number.wrapping_sub(1).to_be_bytes()),
        changed(tcp + 4, &number.wrapping_add(3_002).to_be_bytes()),
        changed(tcp, &81_u16.to_be_bytes()),
        changed(tcp + 2, &1_u16.to_be_bytes()),
        changed(ETHERNET_BYTES + 12, &[10, 0, 0, 9]),
        changed(ETHERNET_BYTES + 9, &[17]),
    ] {
        bench.put(too_large(&forged, 600));
        assert_eq!(bench.segments(), [], "nothing is sent again");
    }
    bench.put(too_large(&frames[0], 68));
    let again = bench.segments();
    assert_eq!(again[0].payload.len(), 552 - 40, "not less than our least");
    assert_eq!(again.iter().map(|segment| segment.payload.len()).sum::<usize>(), 3_000);
    bench.put(too_large(&frames[0], 1_400));
    assert_eq!(bench.segments(), [], "ways are not made wider by this");
    assert!(way.received.is_empty());
}
