//! Received frames to their sockets: by flow, to a new socket for a SYN, or to those that are not of TCP.
//!
//! Looks at no payload and answers nothing itself; smoltcp does both.

use smoltcp::iface::PollIngressSingleResult;
use smoltcp::phy::Device;

use super::flow::{self, Flow, Segment};
use super::{PACKETS_PER_TURN_MAX, SmoltcpNetwork, stack_time};
use wire::Instant;

/// A device that shows a frame before it is received.
pub trait FrameDevice: Device {
    /// The frame that [`Device::receive`] would give next.
    fn peek(&mut self) -> Option<&[u8]>;

    /// Throws that frame away.
    fn skip(&mut self);

    /// Whether a frame can be sent now. What is received while there is no room is read all the same; answers to
    /// it are lost, and whoever waits for room is woken by the platform.
    fn has_room(&mut self) -> bool;
}

/// Who takes a frame.
enum Taker {
    /// The socket of this pool index.
    Member(usize),
    /// A socket that is to listen on this port for it.
    Port(usize, Flow),
    /// ARP, ICMP, UDP, and segments of no connection, which are answered with a reset.
    Others,
}

impl<D: FrameDevice> SmoltcpNetwork<D> {
    /// Reads what has arrived.
    pub(super) fn ingress(&mut self, now: Instant) {
        for _ in 0..PACKETS_PER_TURN_MAX {
            let Some(frame) = self.device.peek() else { return };
            let taker = match Segment::of_frame(frame) {
                None => {
                    self.all_due |= flow::is_arp(frame);
                    Taker::Others
                }
                Some(segment) => self.pool.taker(segment),
            };
            let result = match taker {
                Taker::Member(index) => self.receive_at(index, now),
                Taker::Port(port, flow) => self.knock(port, flow, now),
                Taker::Others => {
                    self.others_due = true;
                    self.interface.poll_ingress_single(stack_time(now), &mut self.device, &mut self.others)
                }
            };
            if result == PollIngressSingleResult::None {
                // The device has nothing after all.
                return;
            }
        }
    }

    fn receive_at(&mut self, index: usize, now: Instant) -> PollIngressSingleResult {
        self.pool.touch(index);
        let sockets = self.pool.members[index].sockets_mut();
        self.interface.poll_ingress_single(stack_time(now), &mut self.device, sockets)
    }

    /// Somebody asks for a connection: a socket listens for as long as this frame takes.
    fn knock(&mut self, port: usize, flow: Flow, now: Instant) -> PollIngressSingleResult {
        let Some(index) = self.pool.listen_once(port, now) else {
            // Without an answer the other side asks again, and then there may be room.
            self.device.skip();
            return PollIngressSingleResult::PacketProcessed;
        };
        let sockets = self.pool.members[index].sockets_mut();
        let result = self.interface.poll_ingress_single(stack_time(now), &mut self.device, sockets);
        self.pool.heard(index, port, flow, now);
        result
    }
}

impl super::pool::Pool {
    fn taker(&self, segment: Segment) -> Taker {
        match self.flows.get(segment.flow) {
            Some(index) => Taker::Member(index),
            None if segment.opens => match self.port_index(segment.flow.local_port()) {
                Some(port) => Taker::Port(port, segment.flow),
                None => Taker::Others,
            },
            None => Taker::Others,
        }
    }
}
