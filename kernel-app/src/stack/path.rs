//! Detection of paths with a smaller MTU than the node's own link, such as tunnels.
//!
//! A router on the path reports the MTU (RFC 1191). If its report does not arrive, large segments that are never
//! acknowledged, however often they are retransmitted, are taken as the sign (RFC 4821).
//!
//! smoltcp keeps the link's segment size. On such a path each segment is split when it is sent, as network cards do.
//! Paths into this node are detected by their senders.

use core::net::Ipv4Addr;
use core::time::Duration;

use smoltcp::iface::PollResult;
use smoltcp::time::Instant as StackInstant;
use smoltcp::wire::{Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, IpAddress, IpProtocol, Ipv4Packet};

use super::SmoltcpNetwork;
use super::device::{Device, FrameDevice};
use super::flow::Flow;
use super::limits::{EGRESS_ROUNDS_MAX, ETHERNET_BYTES, HEADERS_BYTES};
use super::time::{stack_duration, stack_time};
use wire::Instant;

/// Least that a way is believed to carry: less would only cost us work, and any host takes 576 bytes.
const MTU_LEAST: u16 = 552;
/// What a way is taken to carry on which large segments seem to vanish.
const MTU_SUSPECTED: u16 = 576;
/// How long a large segment may stand unacknowledged, counted from the first time that it is sent again. So the
/// second time, 3 s after the first sending, it is cut.
const SUSPECTED_AFTER: Duration = Duration::from_millis(1_500);
/// How far a timer may be ahead that is to send again what was too large: smoltcp's first.
const TIMER_AHEAD: Duration = Duration::from_secs(1);

/// A router's word that a packet was too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge {
    from: Ipv4Addr,
    to: Ipv4Addr,
    flow: Flow,
    number: u32,
    /// What the next hop carries; 0 from routers that do not tell.
    mtu: u16,
}

impl TooLarge {
    /// Of a frame (RFC 792, RFC 1191 section 4).
    pub fn of_frame(frame: &[u8]) -> Option<Self> {
        let packet = Ipv4Packet::new_checked(frame.get(ETHERNET_BYTES..)?).ok()?;
        if packet.version() != 4 || packet.next_header() != IpProtocol::Icmp {
            return None;
        }
        let icmp = Icmpv4Packet::new_checked(packet.payload()).ok()?;
        let is_too_large = icmp.msg_type() == Icmpv4Message::DstUnreachable
            && icmp.msg_code() == u8::from(Icmpv4DstUnreachable::FragRequired);
        if !is_too_large {
            return None;
        }
        let number = |bytes: &[u8]| Some(u16::from_be_bytes(*bytes.first_chunk()?));
        let quoted = packet.payload().get(8..)?;
        let address = |at: usize| Some(Ipv4Addr::from_octets(*quoted.get(at..)?.first_chunk()?));
        let tcp = quoted.get(usize::from(*quoted.first()? & 0x0f) * 4..)?;
        if *quoted.get(9)? != u8::from(IpProtocol::Tcp) {
            return None;
        }
        let (from, to) = (address(12)?, address(16)?);
        Some(Self {
            from,
            to,
            flow: Flow::new(to, number(tcp.get(2..)?)?, number(tcp)?),
            number: u32::from_be_bytes(*tcp.get(4..)?.first_chunk()?),
            mtu: number(packet.payload().get(6..)?)?,
        })
    }
}

impl<D: FrameDevice> SmoltcpNetwork<D> {
    /// A router says that a packet of ours was too large. It is believed if it quotes a segment that is under way
    /// (RFC 5927 section 4), and what is under way is sent again, in smaller pieces.
    #[cold]
    pub(super) fn hear_too_large(&mut self, said: TooLarge, now: Instant) {
        let Some(index) = self.pool.flows.get(said.flow) else { return };
        let (socket, streams) = self.pool.members[index].parts();
        let (first, end) = streams.unacknowledged(socket);
        let is_under_way = said.number.wrapping_sub(first) < end.wrapping_sub(first);
        if self.address.own().map(|own| own.address()) != Some(said.from) || !is_under_way {
            return;
        }
        let mtu = if said.mtu == 0 { MTU_SUSPECTED } else { said.mtu.max(MTU_LEAST) };
        if usize::from(mtu) < self.mtu_of(index) {
            self.narrow(index, said.to, mtu, now);
            // Its time has come early.
            let time = stack_time(now) + stack_duration(TIMER_AHEAD);
            self.send_early(index, time);
        }
    }

    /// Suspects the way of a connection whose segments are not acknowledged.
    pub(super) fn suspect_path(&mut self, index: usize, now: Instant) {
        let member = &mut self.pool.members[index];
        let (socket, streams) = member.parts();
        let (queued, first) = (socket.send_queue(), streams.unacknowledged(socket).0);
        if queued <= usize::from(MTU_SUSPECTED) - HEADERS_BYTES {
            return;
        }
        let remote = socket.remote_endpoint();
        match member.stalled {
            Some((number, since)) if number == first => {
                let Some(IpAddress::Ipv4(remote)) = remote.map(|remote| remote.addr) else { return };
                let is_late = now.since(since) >= SUSPECTED_AFTER;
                if is_late && self.mtu_of(index) > usize::from(MTU_SUSPECTED) {
                    self.narrow(index, remote, MTU_SUSPECTED, now);
                }
            }
            _ => member.stalled = Some((first, now)),
        }
    }

    fn mtu_of(&self, index: usize) -> usize {
        self.pool.members[index].path_mtu.map_or(self.link.mtu, usize::from)
    }

    fn narrow(&mut self, index: usize, remote: Ipv4Addr, mtu: u16, now: Instant) {
        self.pool.members[index].path_mtu = Some(mtu);
        self.paths.note(remote, mtu, now);
    }

    /// Sends what a socket has as if it were that time.
    #[cold]
    fn send_early(&mut self, index: usize, time: StackInstant) {
        let mtu = self.mtu_of(index);
        for _ in 0..EGRESS_ROUNDS_MAX {
            let mut device = Device::new(self.device.transmitter(), mtu);
            let sockets = self.pool.members[index].sockets_mut();
            if self.interface.poll_egress(time, &mut device, sockets) == PollResult::None {
                return;
            }
        }
    }
}
