//! A card that makes checksums, next to one that does not: on the wire there is no difference.

use std::time::Duration;

use smoltcp::wire::{ArpOperation, Icmpv4Packet, IpProtocol, TcpControl};

use crate::bench::{Bench, PEER, Peer, Segment, arp, packet};
use kernel_app::connections::ConnectionId;
use kernel_app::stack::{ETHERNET_BYTES, NET_HEADER_BYTES, PartialChecksum, write_header};
use simulator::random::Random;

const DATA_VALID: u8 = 2;
/// Where a frame has TCP's header, and its checksum.
const TCP: u16 = 34;
const CHECKSUM: u16 = 16;

/// A header that says where a checksum is still to be made.
fn needs_checksum(start: u16, offset: u16) -> [u8; NET_HEADER_BYTES] {
    let mut header = [0; NET_HEADER_BYTES];
    write_header(&mut header, Some(PartialChecksum { start, offset }));
    header
}

/// A router says that a frame was too large.
fn too_large(frame: &[u8]) -> Vec<u8> {
    let quoted = &frame[ETHERNET_BYTES..ETHERNET_BYTES + 28];
    packet(PEER.0, IpProtocol::Icmp, 8 + quoted.len(), |icmp| {
        icmp[..8].copy_from_slice(&[3, 4, 0, 0, 0, 0, 4, 0]);
        icmp[8..].copy_from_slice(quoted);
        Icmpv4Packet::new_unchecked(icmp).fill_checksum();
    })
}

/// What a node sends while it is asked, answers, has to send again in smaller pieces, and says where it is.
fn conversation(bench: &mut Bench) -> Vec<Vec<u8>> {
    let (mut peer, id) = bench.connect(PEER, 1_460);
    let mut random = Random::new(1);
    let answer: Vec<u8> = (0..9_001).map(|_| random.next() as u8).collect();
    bench.put(peer.segment(TcpControl::Psh, b"GET /").frame());
    peer.seq = peer.seq.wrapping_add(5);
    let mut sent = bench.turn();
    bench.write(id, &answer, true);
    sent.extend(bench.turn());
    bench.put(too_large(sent.iter().max_by_key(|frame| frame.len()).expect("an answer")));
    sent.extend(bench.turn());
    // The answer to this has no checksum.
    bench.put(arp(ArpOperation::Request, PEER.0));
    bench.put(peer.segment(TcpControl::Rst, b"").frame());
    sent.extend(bench.run_for(Duration::from_secs(2)).into_iter().map(|(_, frame)| frame));
    sent
}

#[test]
fn what_a_card_completes_is_what_goes_out_without_one() {
    let (mut own, mut offloaded) = (Bench::new(), Bench::with_offload());
    let frames = conversation(&mut own);
    assert_eq!(frames, conversation(&mut offloaded));
    let segments = frames.iter().filter(|frame| Segment::of_frame(frame).is_some()).count();
    let cut = frames.iter().filter(|frame| frame.len() == ETHERNET_BYTES + 1_024).count();
    assert!(segments > 15 && cut >= 5 && frames.len() > segments, "{segments} segments, {cut} of them cut");
    // And the answer to the SYN, which was sent before.
    assert_eq!(offloaded.network.device_mut().checksums_made(), segments + 1);
    assert_eq!(own.network.device_mut().checksums_made(), 0);
}

/// A connection, over a card that makes checksums or does not, and a request in it whose checksum is wrong.
fn wrong_request(mut bench: Bench) -> (Bench, Peer, ConnectionId, Vec<u8>) {
    let (peer, id) = bench.connect(PEER, 1_460);
    let mut frame = peer.segment(TcpControl::Psh, b"GET /").frame();
    frame[usize::from(TCP + CHECKSUM)] ^= 0x10;
    (bench, peer, id, frame)
}

/// Whether the node takes the request behind this header.
fn is_heard(bench: &mut Bench, id: ConnectionId, header: [u8; NET_HEADER_BYTES], frame: &[u8]) -> bool {
    assert!(bench.network.device_mut().receive_packet(header, frame.to_vec()), "the ring has room");
    let answers = bench.segments();
    let is_heard = bench.connections.get(id).expect("open").input.as_slice() == b"GET /";
    assert!(is_heard || answers.is_empty(), "what is not believed is not answered: {answers:?}");
    is_heard
}

#[test]
fn what_a_card_vouches_for_is_heard_as_it_is() {
    let mut data_valid = [0; NET_HEADER_BYTES];
    data_valid[0] = DATA_VALID;
    for header in [needs_checksum(TCP, CHECKSUM), data_valid] {
        let (mut bench, _, id, frame) = wrong_request(Bench::with_offload());
        assert!(is_heard(&mut bench, id, header, &frame), "{header:?}");
        let (mut bench, _, id, frame) = wrong_request(Bench::new());
        assert!(!is_heard(&mut bench, id, header, &frame), "{header:?} was not agreed on");
    }
}

#[test]
fn a_header_that_lies_vouches_for_nothing() {
    let (mut bench, peer, id, wrong) = wrong_request(Bench::with_offload());
    let mut random = Random::new(2);
    let drawn = (0..2_000).map(|_| needs_checksum(random.next() as u16, random.next() as u16));
    let near = (0..120).flat_map(|start| (0..40).map(move |offset| needs_checksum(start, offset)));
    for header in drawn.chain(near).filter(|header| *header != needs_checksum(TCP, CHECKSUM)) {
        assert!(!is_heard(&mut bench, id, header, &wrong), "{header:?}");
    }
    let right = peer.segment(TcpControl::Psh, b"GET /").frame();
    assert!(is_heard(&mut bench, id, needs_checksum(u16::MAX, u16::MAX), &right), "it is summed here");
}
