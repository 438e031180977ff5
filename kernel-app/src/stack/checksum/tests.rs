//! Sums against the plain way to make them, and frames against smoltcp's own checksums.

use alloc::vec;
use alloc::vec::Vec;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, Icmpv4Packet, IpAddress, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr,
    TcpPacket, UdpPacket,
};

use super::{fill, fill_by_device, fold, is_right, is_vouched_for, sum};
use crate::stack::{ETHERNET_BYTES, PartialChecksum, ReceivedChecksum};
use ether::random::Random;

const FROM: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
const TO: Ipv4Address = Ipv4Address::new(192, 168, 255, 254);
const PROTOCOLS: [IpProtocol; 3] = [IpProtocol::Tcp, IpProtocol::Udp, IpProtocol::Icmp];
/// Where each has its checksum.
const PLACES: [usize; 3] = [16, 6, 2];

fn bytes(random: &mut Random, count: usize) -> Vec<u8> {
    (0..count).map(|_| random.next() as u8).collect()
}

/// What a device does that makes checksums (virtio 1.2, section 5.1.6.2): the complement of the sum of all bytes.
fn complete(frame: &mut [u8], PartialChecksum { start, offset }: PartialChecksum) {
    let (start, offset) = (usize::from(start), usize::from(offset));
    let sum = !plain(0, &frame[start..]);
    frame[start + offset..][..2].copy_from_slice(&sum.to_be_bytes());
}

/// RFC 1071 as it is written: one pair after the other.
fn plain(start: u16, bytes: &[u8]) -> u16 {
    let pair = |pair: &[u8]| u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    let mut sum = u64::from(start) + bytes.chunks(2).map(pair).sum::<u64>();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// A frame without checksums, behind whose packet are `padding` bytes.
fn frame(protocol: IpProtocol, payload: &[u8], padding: usize) -> Vec<u8> {
    let ip = Ipv4Repr {
        src_addr: FROM,
        dst_addr: TO,
        next_header: protocol,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let mut frame = vec![0xa5; ETHERNET_BYTES + ip.buffer_len() + payload.len() + padding];
    EthernetFrame::new_unchecked(&mut frame[..]).set_ethertype(EthernetProtocol::Ipv4);
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[ETHERNET_BYTES..]);
    ip.emit(&mut packet, &ChecksumCapabilities::ignored());
    packet.payload_mut()[..payload.len()].copy_from_slice(payload);
    if protocol == IpProtocol::Udp {
        UdpPacket::new_unchecked(packet.payload_mut()).set_len(payload.len() as u16);
    }
    frame
}

/// Whether smoltcp finds all checksums right.
fn is_believed(frame: &[u8]) -> bool {
    let packet = Ipv4Packet::new_checked(&frame[ETHERNET_BYTES..]).expect("a packet");
    let (from, to) = (IpAddress::Ipv4(packet.src_addr()), IpAddress::Ipv4(packet.dst_addr()));
    packet.verify_checksum()
        && match packet.next_header() {
            IpProtocol::Tcp => TcpPacket::new_unchecked(packet.payload()).verify_checksum(&from, &to),
            IpProtocol::Udp => UdpPacket::new_unchecked(packet.payload()).verify_checksum(&from, &to),
            IpProtocol::Icmp => Icmpv4Packet::new_unchecked(packet.payload()).verify_checksum(),
            other => panic!("{other}"),
        }
}

#[test]
fn sums_are_those_of_pairs_whatever_the_length() {
    let mut random = Random::new(1);
    for length in 0..400 {
        let drawn = bytes(&mut random, length);
        for bytes in [drawn, vec![0xff; length], vec![0; length]] {
            for start in [0, 1, 0xfffe, 0xffff, random.next() as u16] {
                let sum = fold(sum(u64::from(start.swap_bytes()), &bytes)).swap_bytes();
                // 0 and 0xffff are the same number; only nothing at all is 0.
                let expected = plain(start, &bytes);
                assert_eq!(sum, expected, "{length} bytes from {start:#x}");
            }
        }
    }
}

#[test]
fn carries_are_carried_until_none_is_left() {
    for start in [u64::MAX, u64::MAX - 1, 1 << 63, 0xffff_ffff_0000_0000, 0xffff_0000_ffff_0001] {
        for length in [8, 16, 64, 72, 128, 1_460] {
            for byte in [0xff, 0xfe, 0x80, 0x7f] {
                let bytes = vec![byte; length];
                let start_pairs = plain(0, &start.to_le_bytes());
                let expected = plain(start_pairs, &bytes);
                assert_eq!(
                    fold(sum(start, &bytes)).swap_bytes(),
                    expected,
                    "{length} of {byte:#x} from {start:#x}"
                );
            }
        }
    }
}

#[test]
fn our_checksums_and_smoltcps_agree() {
    let mut random = Random::new(2);
    for (protocol, place) in PROTOCOLS.into_iter().zip(PLACES) {
        for length in (20..120).chain(1_440..=1_480) {
            let mut frame = frame(protocol, &bytes(&mut random, length), length % 3);
            fill(&mut frame);
            assert!(is_believed(&frame), "{protocol}, {length} bytes");
            assert!(is_right(&frame), "{protocol}, {length} bytes");
            let packet_bytes = 20 + length;
            // The first byte says where all others are.
            let at = ETHERNET_BYTES + 1 + (random.next() as usize % (packet_bytes - 1));
            frame[at] ^= 1 << (random.next() % 8);
            let is_udp_without =
                protocol == IpProtocol::Udp && frame[ETHERNET_BYTES + 20 + place..][..2] == [0; 2];
            assert!(!is_right(&frame) || is_udp_without, "{protocol}, {length} bytes, byte {at}");
        }
    }
}

#[test]
fn a_sum_of_zero_is_no_absent_checksum_in_udp() {
    // The pseudo-header, and a datagram that brings the sum to what 0 would stand for.
    let mut payload = vec![0; 10];
    payload[4..6].copy_from_slice(&10_u16.to_be_bytes());
    let pseudo = [FROM.octets(), TO.octets(), [0, 17, 0, 10]].concat();
    let rest = !plain(plain(0, &pseudo), &payload);
    payload[8..].copy_from_slice(&rest.to_be_bytes());
    let mut frame = frame(IpProtocol::Udp, &payload, 0);
    fill(&mut frame);
    assert_eq!(frame[ETHERNET_BYTES + 20 + 6..][..2], [0xff; 2]);
    assert!(is_believed(&frame) && is_right(&frame));
    // Who makes none says 0.
    frame[ETHERNET_BYTES + 20 + 6..][..2].fill(0);
    assert!(is_right(&frame));
}

#[test]
fn frames_of_other_kinds_have_none_and_lengths_that_lie_are_wrong() {
    let mut random = Random::new(3);
    let mut whole = frame(IpProtocol::Tcp, &bytes(&mut random, 33), 0);
    fill(&mut whole);
    for length in ETHERNET_BYTES..whole.len() {
        assert!(!is_right(&whole[..length]), "{length} bytes");
    }
    for short in [&whole[..0], &whole[..13]] {
        assert!(is_right(short), "no frame is for others to throw away");
    }
    let mut arp = whole.clone();
    arp[13] = 6;
    let before = arp.clone();
    fill(&mut arp);
    assert!(is_right(&arp) && arp == before);
    for header_bytes in [0, 4] {
        let mut other = whole.clone();
        other[ETHERNET_BYTES] = 0x40 | header_bytes;
        assert!(!is_right(&other), "a header of {header_bytes} words");
        fill(&mut other);
    }
}

#[test]
fn what_a_device_completes_is_what_is_made_here() {
    let mut random = Random::new(4);
    for (protocol, place) in PROTOCOLS.into_iter().zip(PLACES) {
        for length in (20..120).chain(1_440..=1_480) {
            let mut whole = frame(protocol, &bytes(&mut random, length), 0);
            let mut partial = whole.clone();
            fill(&mut whole);
            let left = fill_by_device(&mut partial);
            let expected = PartialChecksum { start: 34, offset: place as u16 };
            assert_eq!(left, (protocol != IpProtocol::Icmp).then_some(expected), "{protocol}");
            if let Some(left) = left {
                assert!(!is_right(&partial), "{protocol}, {length} bytes: nothing is summed yet");
                assert!(is_vouched_for(&partial, ReceivedChecksum::Partial(left)));
                complete(&mut partial, left);
            }
            assert_eq!(partial, whole, "{protocol}, {length} bytes");
        }
    }
}

#[test]
fn what_a_device_vouches_for_is_not_summed_and_everything_else_is() {
    let mut random = Random::new(5);
    let wrong = |protocol| {
        let mut wrong = frame(protocol, &bytes(&mut Random::new(6), 64), 0);
        fill(&mut wrong);
        *wrong.last_mut().expect("a payload") ^= 1;
        wrong
    };
    for (protocol, place) in [(IpProtocol::Tcp, 16), (IpProtocol::Udp, 6)] {
        let mut wrong = wrong(protocol);
        let honest = ReceivedChecksum::Partial(PartialChecksum { start: 34, offset: place });
        assert!(is_vouched_for(&wrong, honest) && is_vouched_for(&wrong, ReceivedChecksum::Verified));
        for _ in 0..1_000 {
            let told =
                PartialChecksum { start: random.next() as u16 % 80, offset: random.next() as u16 % 24 };
            let lie = ReceivedChecksum::Partial(told);
            assert!(lie == honest || !is_vouched_for(&wrong, lie), "{protocol}: {lie:?}");
        }
        assert!(!is_vouched_for(&wrong[..60], honest), "{protocol}: lengths are always looked at");
        wrong[ETHERNET_BYTES + 8] ^= 1;
        assert!(!is_vouched_for(&wrong, honest), "{protocol}: IPv4's own sum is always made");
    }
    let other = wrong(IpProtocol::Icmp);
    assert!(!is_vouched_for(&other, ReceivedChecksum::Verified), "nobody vouches for what is not TCP or UDP");
}
