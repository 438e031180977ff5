//! The headers of ordinary frames: Ethernet without tags, IPv4 without options or fragments, TCP without options.

use crate::time::{Duration, Instant};
use crate::wire::{IpAddress, IpEndpoint, TcpSeqNumber};

/// Ethernet's header and IPv4's.
const ROUTE_BYTES: usize = 34;
/// And TCP's.
const HEADERS_BYTES: usize = 54;
const ETHERNET_BYTES: usize = 14;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
/// IPv4 in Ethernet; version 4 and five words of header; don't fragment.
const ETHERTYPE_AND_VERSION: [u8; 3] = [0x08, 0x00, 0x45];
const PROTOCOL_TCP: u8 = 6;
/// Five words of header.
const DATA_OFFSET: u8 = 0x50;
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
        let u16_at = |at: usize| u16::from_be_bytes([headers[at], headers[at + 1]]);
        let u32_at =
            |at: usize| u32::from_be_bytes([headers[at], headers[at + 1], headers[at + 2], headers[at + 3]]);
        let is_ordinary = headers[12..15] == ETHERTYPE_AND_VERSION
            && u16_at(20) & FRAGMENT == 0
            && headers[23] == PROTOCOL_TCP
            && headers[46] == DATA_OFFSET
            && headers[47] & !(PSH | FIN) == ACK;
        if !is_ordinary || headers[..6] != route.header[6..12] {
            return None;
        }
        // Behind the packet there may be padding.
        let payload = frame.get(HEADERS_BYTES..ETHERNET_BYTES + usize::from(u16_at(16)))?;
        Some(Self {
            source: IpEndpoint::new(address(headers, 26), u16_at(34)),
            destination: IpEndpoint::new(address(headers, 30), u16_at(36)),
            number: TcpSeqNumber(u32_at(38).cast_signed()),
            acknowledged: TcpSeqNumber(u32_at(42).cast_signed()),
            window: u16_at(48),
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
    pub(super) ends: bool,
    pub(super) pushes: bool,
    pub(super) payload: &'a [u8],
}

impl Outgoing<'_> {
    /// Bytes of its frame.
    pub fn frame_bytes(&self) -> usize {
        HEADERS_BYTES + self.payload.len()
    }

    /// Writes its frame, of [`Outgoing::frame_bytes`], but for the checksums, whose places hold 0.
    #[inline]
    pub fn write(&self, frame: &mut [u8]) {
        let Some((headers, payload)) = frame.split_first_chunk_mut::<HEADERS_BYTES>() else { return };
        let packet_bytes = (HEADERS_BYTES - ETHERNET_BYTES + self.payload.len()) as u16;
        let flags = ACK | if self.pushes { PSH } else { 0 } | if self.ends { FIN } else { 0 };
        headers[..ROUTE_BYTES].copy_from_slice(&self.route.header);
        headers[16..18].copy_from_slice(&packet_bytes.to_be_bytes());
        headers[24..26].fill(0);
        headers[34..36].copy_from_slice(&self.source_port.to_be_bytes());
        headers[36..38].copy_from_slice(&self.destination_port.to_be_bytes());
        headers[38..42].copy_from_slice(&self.number.0.to_be_bytes());
        headers[42..46].copy_from_slice(&self.acknowledged.0.to_be_bytes());
        headers[46..48].copy_from_slice(&[DATA_OFFSET, flags]);
        headers[48..50].copy_from_slice(&self.window.to_be_bytes());
        headers[50..54].fill(0);
        payload.copy_from_slice(self.payload);
    }
}
