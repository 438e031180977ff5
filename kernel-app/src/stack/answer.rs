//! How long a name server's answer is valid (RFC 1035 section 3.2.1): smoltcp reads its addresses only.
//!
//! Whether it is an answer to this node's question, smoltcp decides: one that is not changes nothing but the time until
//! the name is looked up again, within its limits.

use core::time::Duration;

use smoltcp::wire::{DnsFlags, DnsPacket, DnsQuestion, DnsRecord, IpProtocol, Ipv4Packet, UdpPacket};

use super::limits::ETHERNET_BYTES;
use crate::network::{NAME_VALID_MAX, NAME_VALID_MIN};

const DNS_PORT: u16 = 53;
/// From this bit on a time counts as none (RFC 2181 section 8).
const TTL_MAX_S: u32 = i32::MAX.cast_unsigned();

/// How long the addresses of this host are valid that a frame tells; none if it is no answer about it. All records
/// count: an address is no more valid than the alias that leads to it.
pub(super) fn valid_for(frame: &[u8], host: &str) -> Option<Duration> {
    let packet = Ipv4Packet::new_checked(frame.get(ETHERNET_BYTES..)?).ok()?;
    if packet.next_header() != IpProtocol::Udp {
        return None;
    }
    let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
    let message = DnsPacket::new_checked(datagram.payload()).ok()?;
    if datagram.src_port() != DNS_PORT || !message.flags().contains(DnsFlags::RESPONSE) {
        return None;
    }
    let (mut rest, question) = DnsQuestion::parse(message.payload()).ok()?;
    let mut labels = host.trim_end_matches('.').split('.').map(str::as_bytes);
    let is_same = |label: &[u8]| labels.next().is_some_and(|own| own.eq_ignore_ascii_case(label));
    let is_about = message.parse_name(question.name).flatten().all(is_same) && labels.next().is_none();
    let mut least_s = None;
    for _ in 0..message.answer_record_count() {
        let (after, record) = DnsRecord::parse(rest).ok().filter(|_| is_about)?;
        let ttl_s = if record.ttl > TTL_MAX_S { 0 } else { record.ttl };
        least_s = Some(least_s.map_or(ttl_s, |least: u32| least.min(ttl_s)));
        rest = after;
    }
    least_s.map(|seconds| Duration::from_secs(seconds.into()).clamp(NAME_VALID_MIN, NAME_VALID_MAX))
}
