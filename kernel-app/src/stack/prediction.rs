//! The short way of ordinary segments, past smoltcp's interface: see `edited-smoltcp`.
//!
//! It needs to know the way to the other side, which smoltcp's own segments show. What is newly heard of addresses,
//! ends that knowledge; so does time, for it is smoltcp that notes which neighbours are still there.

use smoltcp::socket::tcp::{Egress, Segment, Syn};

use super::device::{self, Transmitter};
use super::member::Member;
use super::pool::Pool;
use super::routes::keep_only_to;
use super::time::stack_time;
use wire::Instant;

impl Pool {
    /// Has a member take an ordinary frame of its connection, whose checksums are right; whether it was one. It needs a
    /// turn, unless there is nothing to be done.
    pub fn receive_predicted(&mut self, index: usize, frame: &[u8], now: Instant) -> bool {
        let member = &mut self.members[index];
        let is_taken = member.receive_predicted(frame, now);
        if is_taken && !member.is_answered() {
            self.touch(index);
        }
        is_taken
    }

    /// A neighbour has said that it is at this hardware address: whoever was believed to be at another one may have
    /// moved there. With none, all routes are forgotten.
    pub fn forget_routes_but_to(&mut self, neighbour: Option<[u8; 6]>) {
        for index in &self.in_use {
            keep_only_to(neighbour, &mut self.members[*index].route);
        }
        self.routes.forget_but_to(neighbour);
    }
}

impl Member {
    /// Takes the SYN of a frame whose checksums are right, if it is an ordinary one that the socket listens for; our
    /// numbers begin with `number`.
    pub fn receive_syn_predicted(&mut self, frame: &[u8], number: u32, now: Instant) -> bool {
        let (socket, route) = self.socket_and_route();
        let now = stack_time(now);
        let route = route.filter(|route| route.is_valid(now));
        let syn = route.and_then(|route| Syn::of_frame(frame, route));
        syn.is_some_and(|syn| socket.receive_syn_predicted(&syn, number, now))
    }

    fn receive_predicted(&mut self, frame: &[u8], now: Instant) -> bool {
        let (socket, route) = self.socket_and_route();
        let now = stack_time(now);
        let route = route.filter(|route| route.is_valid(now));
        let segment = route.and_then(|route| Segment::of_frame(frame, route));
        segment.is_some_and(|segment| socket.receive_predicted(&segment, now))
    }

    /// Sends an ordinary segment, if that is what is to be sent next.
    pub fn send_predicted(&mut self, mtu: usize, now: Instant, transmitter: &mut impl Transmitter) -> Egress {
        let (socket, route) = self.socket_and_route();
        let now = stack_time(now);
        let Some(route) = route.filter(|route| route.is_valid(now)) else { return Egress::Unusual };
        if !transmitter.has_room() {
            return Egress::Unusual;
        }
        socket.send_predicted(route, mtu, now, |outgoing| {
            let (frame_bytes, by_device) = (outgoing.frame_bytes(), transmitter.makes_checksums());
            let frame = transmitter.frame(frame_bytes);
            outgoing.write(frame);
            let partial = device::put_checksums(frame, by_device);
            transmitter.send(frame_bytes, partial);
        })
    }
}
