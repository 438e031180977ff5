//! Splitting of segments that are larger than the path MTU.

use alloc::vec::Vec;

use smoltcp::wire::{Ipv4Packet, TcpPacket};

use super::limits::ETHERNET_BYTES;

/// A frame with a segment in frames of at most `mtu` bytes behind their Ethernet headers, without checksums; none when
/// it has no segment.
pub(super) fn cut(frame: &[u8], mtu: usize) -> Option<Vec<Vec<u8>>> {
    let packet = Ipv4Packet::new_checked(frame.get(ETHERNET_BYTES..)?).ok()?;
    let ip_bytes = usize::from(packet.header_len());
    let segment = TcpPacket::new_checked(packet.payload()).ok()?;
    let headers_bytes = ip_bytes + usize::from(segment.header_len());
    let (first, ends, pushes) = (segment.seq_number(), segment.fin(), segment.psh());
    let (headers, payload) = frame.split_at(ETHERNET_BYTES + headers_bytes);
    let piece_bytes = mtu.checked_sub(headers_bytes).filter(|bytes| *bytes > 0)?;
    let count = payload.len().div_ceil(piece_bytes);
    let piece = |(number, bytes): (usize, &[u8])| {
        let mut piece = [headers, bytes].concat();
        let mut packet = Ipv4Packet::new_unchecked(&mut piece[ETHERNET_BYTES..]);
        packet.set_total_len((headers_bytes + bytes.len()) as u16);
        let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
        segment.set_seq_number(first + number * piece_bytes);
        let is_last = number + 1 == count;
        segment.set_fin(ends && is_last);
        segment.set_psh(pushes && is_last);
        piece
    };
    Some(payload.chunks(piece_bytes).enumerate().map(piece).collect())
}
