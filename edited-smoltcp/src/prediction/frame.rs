//! The headers of ordinary frames: Ethernet without tags, IPv4 without options or fragments, TCP without options.

use crate::time::{Duration, Instant};
use crate::wire::{IpAddress, IpEndpoint, TcpSeqNumber};

/// Ethernet's header and IPv4's.
pub(super) const ROUTE_BYTES: usize = 34;
/// And TCP's.
pub(super) const HEADERS_BYTES: usize = 54;
pub(super) const ETHERNET_BYTES: usize = 14;
pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
/// IPv4 in Ethernet; version 4 and five words of header; don't fragment.
const ETHERTYPE_AND_VERSION: [u8; 3] = [0x08, 0x00, 0x45];
const PROTOCOL_TCP: u8 = 6;
/// Five words of header.
pub(super) const DATA_OFFSET: u8 = 0x50;
/// The bits of fragments: more follow, and where this one stands.
const FRAGMENT: u16 = 0x3fff;

/// The way to the other side, as smoltcp has written it before its last segment: Ethernet's header and IPv4's.
///
/// It holds for a while only: smoltcp notes with what goes its way that neighbours are there.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    header: [u8; ROUTE_BYTES],
    learned_at: Instant,
}

impl Route {
    /// How long it holds.
    pub const VALID_FOR: Duration = Duration::from_secs(10);

    /// That of a frame which is sent; none unless it is an ordinary one of TCP.
    pub fn of_frame(frame: &[u8], now: Instant) -> Option<Self> {
        let header = *frame.first_chunk()?;
        let is_ordinary = header[12..15] == ETHERTYPE_AND_VERSION && header[23] == PROTOCOL_TCP;
        is_ordinary.then_some(Self { header, learned_at: now })
    }

    /// Whether it holds, as long as nothing new is known of addresses.
    #[inline]
    pub fn is_valid(&self, now: Instant) -> bool {
        now < self.learned_at + Self::VALID_FOR
    }

    /// The hardware address of the neighbour that it leads to.
    pub fn neighbour(&self) -> [u8; 6] {
        let [a, b, c, d, e, f, ..] = self.header;
        [a, b, c, d, e, f]
    }

    /// The address that it leads to.
    pub fn destination(&self) -> [u8; 4] {
        let [.., a, b, c, d] = self.header;
        [a, b, c, d]
    }

    /// Whether a frame comes back along it, in a packet that is nothing but ordinary.
    #[inline]
    pub(super) fn leads_back(&self, headers: &[u8; HEADERS_BYTES]) -> bool {
        is_ordinary(headers)
            && headers[..6] == self.header[6..12]
            && headers[26..30] == self.header[30..34]
            && headers[30..34] == self.header[26..30]
    }

    /// Whether it leads from one of these addresses to the other.
    #[inline]
    pub(super) fn connects(&self, local: IpAddress, remote: IpAddress) -> bool {
        local == address(&self.header, 26) && remote == address(&self.header, 30)
    }
}

/// The IPv4 address at this place.
#[inline]
fn address(header: &[u8], at: usize) -> IpAddress {
    IpAddress::v4(header[at], header[at + 1], header[at + 2], header[at + 3])
}

/// Two bytes of a header as a number.
#[inline]
pub(super) fn u16_at(headers: &[u8; HEADERS_BYTES], at: usize) -> u16 {
    u16::from_be_bytes([headers[at], headers[at + 1]])
}

/// Four bytes of a header as a number.
#[inline]
pub(super) fn u32_at(headers: &[u8; HEADERS_BYTES], at: usize) -> u32 {
    u32::from_be_bytes([headers[at], headers[at + 1], headers[at + 2], headers[at + 3]])
}

/// Whether it is TCP in IPv4, without options of IPv4, and whole.
#[inline]
fn is_ordinary(headers: &[u8; HEADERS_BYTES]) -> bool {
    headers[12..15] == ETHERTYPE_AND_VERSION
        && u16_at(headers, 20) & FRAGMENT == 0
        && headers[23] == PROTOCOL_TCP
}

/// Where a segment comes from, and where it goes to.
#[inline]
pub(super) fn ends(headers: &[u8; HEADERS_BYTES]) -> (IpEndpoint, IpEndpoint) {
    (
        IpEndpoint::new(address(headers, 26), u16_at(headers, 34)),
        IpEndpoint::new(address(headers, 30), u16_at(headers, 36)),
    )
}

/// An ordinary segment that has come: no flags but ACK, PSH and FIN. Its checksums are not looked at.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub(super) source: IpEndpoint,
    pub(super) destination: IpEndpoint,
    pub(super) number: TcpSeqNumber,
    pub(super) acknowledged: TcpSeqNumber,
    pub(super) window: u16,
    pub(super) ends: bool,
    pub(super) payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// That of a frame for the hardware that sends along this route; none unless all of it is ordinary.
    #[inline]
    pub fn of_frame(frame: &'a [u8], route: &Route) -> Option<Self> {
        let headers = frame.first_chunk::<HEADERS_BYTES>()?;
        let is_plain = headers[46] == DATA_OFFSET && headers[47] & !(PSH | FIN) == ACK;
        if !is_plain || !is_ordinary(headers) || headers[..6] != route.header[6..12] {
            return None;
        }
        // Behind the packet there may be padding.
        let payload = frame.get(HEADERS_BYTES..ETHERNET_BYTES + usize::from(u16_at(headers, 16)))?;
        let (source, destination) = ends(headers);
        Some(Self {
            source,
            destination,
            number: TcpSeqNumber(u32_at(headers, 38).cast_signed()),
            acknowledged: TcpSeqNumber(u32_at(headers, 42).cast_signed()),
            window: u16_at(headers, 48),
            ends: headers[47] & FIN != 0,
            payload,
        })
    }
}

/// An ordinary segment that is to be sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    pub(super) route: &'a Route,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) number: TcpSeqNumber,
    pub(super) acknowledged: TcpSeqNumber,
    pub(super) window: u16,
    /// As it stands in the header: words of it in the upper four bits.
    pub(super) data_offset: u8,
    pub(super) flags: u8,
    /// Options and payload.
    pub(super) content: &'a [u8],
}

impl Outgoing<'_> {
    /// Bytes of its frame.
    pub fn frame_bytes(&self) -> usize {
        HEADERS_BYTES + self.content.len()
    }

    /// Writes its frame, of [`Outgoing::frame_bytes`], but for the checksums, whose places hold 0.
    #[inline]
    pub fn write(&self, frame: &mut [u8]) {
        let Some((headers, content)) = frame.split_first_chunk_mut::<HEADERS_BYTES>() else { return };
        let packet_bytes = (HEADERS_BYTES - ETHERNET_BYTES + self.content.len()) as u16;
        headers[..ROUTE_BYTES].copy_from_slice(&self.route.header);
        headers[16..18].copy_from_slice(&packet_bytes.to_be_bytes());
        headers[24..26].fill(0);
        headers[34..36].copy_from_slice(&self.source_port.to_be_bytes());
        headers[36..38].copy_from_slice(&self.destination_port.to_be_bytes());
        headers[38..42].copy_from_slice(&self.number.0.to_be_bytes());
        headers[42..46].copy_from_slice(&self.acknowledged.0.to_be_bytes());
        headers[46..48].copy_from_slice(&[self.data_offset, self.flags]);
        headers[48..50].copy_from_slice(&self.window.to_be_bytes());
        headers[50..54].fill(0);
        content.copy_from_slice(self.content);
    }
}
