//! Checks of segments that would begin or end a connection and may be forged (RFC 5961).
//!
//! smoltcp accepts a reset whose number is anywhere in the window, which an attacker can guess with a few thousand
//! attempts. This module accepts it only if its number is exactly the next one. To anything else it answers with a
//! challenge ACK, and the real peer then repeats its reset.
//!
//! Injected data needs no such check: smoltcp drops segments whose acknowledgement is too old, and answers others
//! with an ACK.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::tcp;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress, IpProtocol, Ipv4Packet,
    Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::SmoltcpNetwork;
use super::device::{Device, FrameDevice};
use super::flow::{self, Segment};
use super::limits::{ETHERNET_BYTES, RECEIVE_BYTES};
use super::member::Member;
use super::time::stack_time;
use wire::Instant;

/// A TCP header without options, in IPv4 without options.
const ACK_FRAME_BYTES: usize = ETHERNET_BYTES + 20 + 20;

/// What is done about such a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on to smoltcp.
    Believed,
    /// Nothing.
    Ignored,
    /// The other side is asked.
    Doubted,
}

/// Judges a segment with SYN or RST for this socket.
pub(super) fn judge(member: &mut Member, segment: Segment, frame: &[u8]) -> Verdict {
    let (socket, streams) = member.parts();
    let next = match socket.state() {
        // smoltcp looks at what it acknowledges, which has to be our SYN.
        tcp::State::SynSent | tcp::State::Listen | tcp::State::Closed | tcp::State::TimeWait => {
            return Verdict::Believed;
        }
        _ => streams.next_remote(socket),
    };
    let Some(number) = flow::number(frame) else { return Verdict::Ignored };
    let ahead = number.wrapping_sub(next);
    let in_handshake = socket.state() == tcp::State::SynReceived;
    match segment.resets() {
        true if ahead == 0 => Verdict::Believed,
        true if ahead as usize >= RECEIVE_BYTES => Verdict::Ignored,
        // Said again: ours was lost, or has not come yet, and is said again too.
        false if in_handshake => Verdict::Ignored,
        _ if in_handshake => Verdict::Ignored,
        _ => Verdict::Doubted,
    }
}

impl<D: FrameDevice> SmoltcpNetwork<D> {
    /// Makes smoltcp send a challenge ACK, of which it sends one a second at most (RFC 5961 section 7): it answers an
    /// acknowledgement of what was never sent with one.
    #[cold]
    pub(super) fn challenge(&mut self, index: usize, sender: [u8; 6], now: Instant) {
        let member = &mut self.pool.members[index];
        let (socket, streams) = member.parts();
        let (next, (_, after)) = (streams.next_remote(socket), streams.unacknowledged(socket));
        let (Some(remote), Some(local)) = (socket.remote_endpoint(), socket.local_endpoint()) else { return };
        let (IpAddress::Ipv4(from), IpAddress::Ipv4(to)) = (remote.addr, local.addr);
        let tcp = TcpRepr {
            src_port: remote.port,
            dst_port: local.port,
            control: TcpControl::None,
            seq_number: TcpSeqNumber(next.cast_signed()),
            ack_number: Some(TcpSeqNumber(after.wrapping_add(1).cast_signed())),
            window_len: 0,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let ip = Ipv4Repr {
            src_addr: from,
            dst_addr: to,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let mut frame = [0; ACK_FRAME_BYTES];
        let header = EthernetRepr {
            src_addr: EthernetAddress(sender),
            dst_addr: EthernetAddress(self.link.hardware_address),
            ethertype: EthernetProtocol::Ipv4,
        };
        header.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
        let mut packet = Ipv4Packet::new_unchecked(&mut frame[ETHERNET_BYTES..]);
        // Nobody looks at them any more.
        let checksums = ChecksumCapabilities::ignored();
        ip.emit(&mut packet, &checksums);
        let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
        tcp.emit(&mut segment, &IpAddress::Ipv4(from), &IpAddress::Ipv4(to), &checksums);
        let mut device = Device::with_frame(&frame, self.device.transmitter(), self.link.mtu);
        self.interface.poll_ingress_single(stack_time(now), &mut device, member.sockets_mut());
        self.pool.touch(index);
    }
}
