//! The Internet checksum (RFC 1071) of received and sent packets.
//!
//! It replaces smoltcp's checksum, which takes twice as long for a page. It reads eight bytes at a time, and adds the
//! bytes of a segment with one instruction each. smoltcp is configured as if its device did this. Where the device
//! really does, only IPv4's header is summed, and the pseudo-header: see `offload`. Frames that are not IPv4 packets
//! have no checksum.

use super::limits::ETHERNET_BYTES;
use super::offload::{PartialChecksum, ReceivedChecksum};

const ETHERTYPE: core::ops::Range<usize> = 12..ETHERNET_BYTES;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
/// IPv4's header without options (RFC 791 section 3.1).
const IP_BYTES: usize = 20;
const IP_CHECKSUM: core::ops::Range<usize> = 10..12;
const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
/// Where each has its checksum.
const ICMP_CHECKSUM: usize = 2;
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
/// Bytes that are added without a look at how many are left.
const BLOCK_BYTES: usize = 64;
const WORD_BYTES: usize = 8;
/// What the sum of bytes is among which is their own checksum.
const RIGHT: u16 = 0xffff;

/// Whether the checksums of a received frame are right, and its lengths are so that they can be. Beyond its packet a
/// frame may have padding.
pub(super) fn is_right(frame: &[u8]) -> bool {
    let Some(packet) = frame.get(ETHERNET_BYTES..) else { return true };
    if frame[ETHERTYPE] != ETHERTYPE_IPV4 {
        return true;
    }
    let Some((header, payload)) = parts(packet) else { return false };
    fold(header_sum(header)) == RIGHT && is_payload_right(header, payload)
}

/// Whether a frame has a packet of TCP or UDP whose checksum the device vouches for, so that it need not be summed.
/// IPv4's own always is: it has few bytes, and the device need not have looked at it.
#[inline(never)]
pub(super) fn is_vouched_for(frame: &[u8], received: ReceivedChecksum) -> bool {
    if frame.get(ETHERTYPE) != Some(&ETHERTYPE_IPV4) {
        return false;
    }
    let Some((header, payload)) = parts(&frame[ETHERNET_BYTES..]) else { return false };
    let at = match header[9] {
        PROTOCOL_TCP => TCP_CHECKSUM,
        PROTOCOL_UDP if datagram(payload).is_some() => UDP_CHECKSUM,
        _ => return false,
    };
    received.vouches_for(place(header, at)) && fold(header_sum(header)) == RIGHT
}

/// The sum of a header, which hardly ever has options: without them it is one of five words.
fn header_sum(header: &[u8]) -> u64 {
    match header.as_chunks() {
        (words @ [_, _, _, _, _], []) => words.iter().map(|word| u64::from(u32::from_le_bytes(*word))).sum(),
        _ => sum(0, header),
    }
}

fn is_payload_right(header: &[u8], payload: &[u8]) -> bool {
    match header[9] {
        PROTOCOL_TCP => fold(sum(pseudo_header(header, payload.len()), payload)) == RIGHT,
        PROTOCOL_UDP => {
            // Who sends 0 has made none (RFC 768).
            payload.get(UDP_CHECKSUM..UDP_CHECKSUM + 2) == Some(&[0; 2])
                || datagram(payload).is_some_and(|it| fold(sum(pseudo_header(header, it.len()), it)) == RIGHT)
        }
        PROTOCOL_ICMP => fold(sum(0, payload)) == RIGHT,
        _ => true,
    }
}

/// The UDP datagram that a packet has, as long as it says.
fn datagram(payload: &[u8]) -> Option<&[u8]> {
    let [_, _, _, _, high, low, _, _] = payload.first_chunk::<8>()?;
    payload.get(..usize::from(u16::from_be_bytes([*high, *low])))
}

/// Puts the checksums into a frame that is to be sent, whose lengths are true.
pub(super) fn fill(frame: &mut [u8]) {
    let Some((header, payload)) = fill_header(frame) else { return };
    match header[9] {
        PROTOCOL_TCP => put(payload, TCP_CHECKSUM, pseudo_header(header, payload.len())),
        PROTOCOL_UDP => {
            put(payload, UDP_CHECKSUM, pseudo_header(header, payload.len()));
            // 0 would say that there is none.
            if let Some(checksum @ [0, 0]) = payload.get_mut(UDP_CHECKSUM..UDP_CHECKSUM + 2) {
                checksum.fill(0xff);
            }
        }
        PROTOCOL_ICMP => put(payload, ICMP_CHECKSUM, 0),
        _ => {}
    }
}

/// The same, for a device that makes the checksums of TCP and UDP; what is left to it.
#[inline(never)]
pub(super) fn fill_by_device(frame: &mut [u8]) -> Option<PartialChecksum> {
    let (header, payload) = fill_header(frame)?;
    let at = match header[9] {
        PROTOCOL_TCP => TCP_CHECKSUM,
        PROTOCOL_UDP => UDP_CHECKSUM,
        PROTOCOL_ICMP => {
            put(payload, ICMP_CHECKSUM, 0);
            return None;
        }
        _ => return None,
    };
    // The device adds all bytes up, the pseudo-header's sum among them, and puts the complement in its place.
    let sum = fold(pseudo_header(header, payload.len()));
    payload.get_mut(at..at + 2)?.copy_from_slice(&sum.to_le_bytes());
    Some(place(header, at))
}

/// Puts IPv4's own checksum into a frame; its header and its payload, if it has them.
#[inline]
fn fill_header(frame: &mut [u8]) -> Option<(&[u8], &mut [u8])> {
    if frame.get(ETHERTYPE) != Some(&ETHERTYPE_IPV4) {
        return None;
    }
    let (bytes, length) = parts(&frame[ETHERNET_BYTES..]).map(|(header, it)| (header.len(), it.len()))?;
    let (header, payload) = frame[ETHERNET_BYTES..].split_at_mut(bytes);
    header[IP_CHECKSUM].fill(0);
    let checksum = !fold(header_sum(header));
    header[IP_CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    Some((header, &mut payload[..length]))
}

/// Where a checksum is that has this place behind IPv4's header.
fn place(header: &[u8], at: usize) -> PartialChecksum {
    // A header has 60 bytes at most.
    PartialChecksum { start: (ETHERNET_BYTES + header.len()) as u16, offset: at as u16 }
}

/// Puts the checksum of `bytes` among them, if they have the place for it.
#[inline]
fn put(bytes: &mut [u8], at: usize, start: u64) {
    let Some(place) = bytes.get_mut(at..at + 2) else { return };
    place.fill(0);
    let checksum = !fold(sum(start, bytes));
    bytes[at..at + 2].copy_from_slice(&checksum.to_le_bytes());
}

/// The header of a whole IPv4 packet, and its payload.
fn parts(packet: &[u8]) -> Option<(&[u8], &[u8])> {
    let [first, _, high, low, ..] = packet.first_chunk::<IP_BYTES>()?;
    let header_bytes = usize::from(first & 0x0f) * 4;
    let whole = packet.get(..usize::from(u16::from_be_bytes([*high, *low])))?;
    let (header, payload) = whole.split_at_checked(header_bytes)?;
    (header_bytes >= IP_BYTES).then_some((header, payload))
}

/// The sum of what TCP and UDP take from IP's header: both addresses, the protocol, and the payload's length.
#[inline]
fn pseudo_header(header: &[u8], length: usize) -> u64 {
    let addresses = header[12..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    let [high, low] = (length as u16).to_be_bytes();
    let rest = u64::from(u16::from_le_bytes([0, header[9]])) + u64::from(u16::from_le_bytes([high, low]));
    add(addresses, rest)
}

/// The sum of bytes, of which each eight are one number whose lowest byte is the first; behind the last are zeros. As
/// each carry is added again, it is the sum of pairs too, once it is folded; and as the order of a pair's bytes only
/// turns that sum, which is written as it was read, it does not matter (RFC 1071 section 2).
#[inline]
fn sum(start: u64, bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
    let mut sum = blocks.iter().fold(start, add_words);
    let (halves, rest) = rest.as_chunks::<{ BLOCK_BYTES / 2 }>();
    sum = halves.iter().fold(sum, add_words);
    let (quarters, rest) = rest.as_chunks::<{ BLOCK_BYTES / 4 }>();
    sum = quarters.iter().fold(sum, add_words);
    let (words, tail) = rest.as_chunks();
    sum = words.iter().fold(sum, |sum, word| add(sum, u64::from_le_bytes(*word)));
    add(sum, last_word(bytes, tail.len()))
}

/// Adds words, of which the compiler knows how many there are: one instruction each.
#[inline]
fn add_words<const BYTES: usize>(mut sum: u64, bytes: &[u8; BYTES]) -> u64 {
    let mut carry = false;
    for word in bytes.as_chunks::<WORD_BYTES>().0 {
        (sum, carry) = sum.carrying_add(u64::from_le_bytes(*word), carry);
    }
    // The carry of a sum that took a carry in may have to be carried once more.
    (sum, carry) = sum.carrying_add(0, carry);
    sum + u64::from(carry)
}

/// The last bytes, fewer than eight, as a number.
fn last_word(bytes: &[u8], count: usize) -> u64 {
    match bytes.last_chunk() {
        _ if count == 0 => 0,
        Some(last) => u64::from_le_bytes(*last) >> (8 * (WORD_BYTES - count)),
        None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Two sums as one; a carry is added again.
fn add(one: u64, other: u64) -> u64 {
    let (sum, carry) = one.overflowing_add(other);
    sum + u64::from(carry)
}

/// A sum of eight bytes each as one of pairs: either half meets the other, and brings its carry to it.
fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

#[cfg(test)]
mod tests;
