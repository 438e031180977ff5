//! ARP requests for the hardware addresses of neighbours (RFC 826), one per neighbour.
//!
//! smoltcp sends one request per second for all neighbours together, so of two servers one would have to wait.
//! smoltcp receives the answers, and keeps the hardware addresses.

use core::net::Ipv4Addr;

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
};

use super::SmoltcpNetwork;
use super::device::{FrameDevice, Transmitter};
use super::limits::ETHERNET_BYTES;
use super::neighbours::Cause;
use wire::Instant;

/// Ethernet's header and ARP's packet.
const FRAME_BYTES: usize = ETHERNET_BYTES + 28;

impl<D: FrameDevice> SmoltcpNetwork<D> {
    /// Sees to it that the next hop to an address is known, or will be soon.
    pub(super) fn seek(&mut self, address: Ipv4Addr, cause: Cause, now: Instant) {
        let Some((own, next)) = self.address.way_to(address) else { return };
        if !self.neighbours.must_ask(next, cause, now) {
            return;
        }
        let hardware = EthernetAddress(self.link.hardware_address);
        let question = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: hardware,
            source_protocol_addr: own,
            target_hardware_addr: EthernetAddress::BROADCAST,
            target_protocol_addr: next,
        };
        let header = EthernetRepr {
            src_addr: hardware,
            dst_addr: EthernetAddress::BROADCAST,
            ethertype: EthernetProtocol::Arp,
        };
        let transmitter = self.device.transmitter();
        let frame = transmitter.frame(FRAME_BYTES);
        header.emit(&mut EthernetFrame::new_unchecked(&mut *frame));
        question.emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET_BYTES..]));
        transmitter.send(FRAME_BYTES, None);
    }
}
