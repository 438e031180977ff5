//! Assignment of received frames to sockets: by flow, to a free socket for a SYN, or to the sockets that are not TCP.
//!
//! smoltcp reads the payload and answers.

use smoltcp::socket::tcp;

use super::SmoltcpNetwork;
use super::checksum;
use super::device::{Device, FrameDevice};
use super::flow::{self, Flow, Segment, Syn};
use super::guard::{self, Verdict};
use super::limits::PACKETS_PER_TURN_MAX;
use super::neighbours::Cause;
use super::path::TooLarge;
use super::syn_cache::Handshake;
use super::syn_queue::{self, WaitingSyn};
use super::time::stack_time;
use wire::Instant;

/// Who takes a frame.
enum FrameOwner {
    /// The socket of this pool index.
    Member(usize),
    /// The same, of a frame that begins or ends a connection.
    Guarded(usize, Segment),
    /// A socket that is to listen for it.
    NewConnection(Segment),
    /// One that had to make room during its handshake, which this may be the end of.
    Handshake(Handshake),
    /// ARP, ICMP, UDP, and segments of no connection, which are answered with a reset.
    Others,
}

impl<D: FrameDevice> SmoltcpNetwork<D> {
    /// Reads what has arrived.
    pub(super) fn ingress(&mut self, now: Instant) {
        for _ in 0..PACKETS_PER_TURN_MAX {
            let received = self.device.received_checksum();
            let Some((frame, _)) = self.device.peek() else { return };
            // It is summed at one place only, so that this is compiled into the loop.
            if received.is_some_and(|received| checksum::is_vouched_for(frame, received))
                || checksum::is_right(frame)
            {
                match Segment::of_frame(frame).map(|segment| self.pool.owner(segment)) {
                    // Nearly all frames, without another look at the device.
                    Some(FrameOwner::Member(index)) if self.pool.receive_predicted(index, frame, now) => {}
                    Some(owner) => self.receive(owner, now),
                    None => self.receive_other(now),
                }
            }
            self.device.skip();
        }
    }

    /// Gives the next frame to whom it is for.
    fn receive(&mut self, owner: FrameOwner, now: Instant) {
        match owner {
            FrameOwner::Member(index) => self.receive_unpredicted(index, now),
            FrameOwner::Guarded(index, segment) => self.receive_guarded(index, segment, now),
            FrameOwner::NewConnection(segment) => self.accept_syn(segment, now),
            FrameOwner::Handshake(handshake) => self.resume_handshake(handshake, now),
            FrameOwner::Others => self.receive_for_others(now),
        }
    }

    /// Takes the next frame, which is no segment of TCP.
    fn receive_other(&mut self, now: Instant) {
        let Some((frame, _)) = self.device.peek() else { return };
        if flow::is_arp(frame) {
            self.neighbours.heard(frame, now);
            self.pool.forget_routes_but_to(flow::sender(frame));
            self.all_due = true;
        } else if let Some(said) = TooLarge::of_frame(frame) {
            self.hear_too_large(said, now);
        } else {
            self.dials.note_answer(frame);
        }
        self.receive_for_others(now);
    }

    fn receive_for_others(&mut self, now: Instant) {
        self.others_due = true;
        self.poll_with_frame(None, now);
    }

    fn receive_at(&mut self, index: usize, now: Instant) {
        let Some((frame, _)) = self.device.peek() else { return };
        if !self.pool.receive_predicted(index, frame, now) {
            self.receive_unpredicted(index, now);
        }
    }

    fn receive_unpredicted(&mut self, index: usize, now: Instant) {
        self.pool.touch(index);
        self.poll_with_frame(Some(index), now);
    }

    /// Has smoltcp receive the next frame for this socket of the pool, or for those that are not of TCP.
    fn poll_with_frame(&mut self, index: Option<usize>, now: Instant) {
        let Some((frame, transmitter)) = self.device.peek() else { return };
        let mut device = Device::with_frame(frame, transmitter, self.link.mtu);
        let sockets = match index {
            Some(index) => self.pool.members[index].sockets_mut(),
            None => &mut self.others,
        };
        self.interface.poll_ingress_single(stack_time(now), &mut device, sockets);
    }

    /// Judges the frame first, and notes what the other side's SYN says if it comes to be believed.
    fn receive_guarded(&mut self, index: usize, segment: Segment, now: Instant) {
        let Some((frame, _)) = self.device.peek() else { return };
        let member = &mut self.pool.members[index];
        match guard::judge(member, segment, frame) {
            Verdict::Believed => {
                let syn =
                    (member.socket().state() == tcp::State::SynSent).then(|| Syn::of_frame(frame)).flatten();
                self.receive_at(index, now);
                let member = &mut self.pool.members[index];
                if let Some(syn) = syn.filter(|_| member.socket().is_active()) {
                    member.meet(syn, self.link.mtu);
                }
            }
            Verdict::Doubted => {
                let sender = *frame[6..].first_chunk().unwrap_or(&[0; 6]);
                self.challenge(index, sender, now);
            }
            Verdict::Ignored => {}
        }
    }

    /// A client asks for a connection. Nobody overtakes those who wait already. A SYN that brings data is not heard:
    /// nobody was asked for any (RFC 7413), and it is said again without.
    fn accept_syn(&mut self, segment: Segment, now: Instant) {
        let Some((frame, _)) = self.device.peek() else { return };
        let must_wait = !self.syn_queue.is_empty() || self.pool.room() == 0;
        if frame.len() > syn_queue::FRAME_BYTES_MAX {
            return;
        }
        if must_wait && self.pool.may_wait() {
            self.syn_queue.push(WaitingSyn::new(frame, segment.flow, now));
        } else {
            self.let_in(segment.flow, None, None, now);
        }
    }

    /// Somebody whose handshake was forgotten may have finished it: then it is made again as it was. Without room
    /// nobody answers, and it is said again; so are segments that come before the first.
    fn resume_handshake(&mut self, handshake: Handshake, now: Instant) {
        let Some((frame, _)) = self.device.peek() else { return };
        if !handshake.is_answered_by(frame) {
            return self.receive_for_others(now);
        }
        let (flow, number) = (handshake.flow, handshake.local);
        let Some(syn) = handshake.syn(frame).filter(|_| self.pool.room() > 0) else { return };
        if !self.let_in(flow, Some(&syn), Some(number), now) {
            return;
        }
        self.pool.syn_cache.remove(flow);
        if let Some(index) = self.pool.flows.get(flow) {
            let mut device = Device::mute(self.device.transmitter(), self.link.mtu);
            let sockets = self.pool.members[index].sockets_mut();
            self.interface.poll_egress(stack_time(now), &mut device, sockets);
            self.receive_at(index, now);
        }
    }

    /// Lets in those who wait, as far as there is room now.
    pub(super) fn let_in_waiting(&mut self, now: Instant) {
        while self.pool.room() > 0
            && let Some(syn) = self.syn_queue.pop(now)
        {
            // Whoever has asked twice is let in once.
            if self.pool.flows.get(syn.flow).is_none() && !self.let_in(syn.flow, Some(&syn), None, now) {
                return;
            }
        }
    }

    /// A socket listens for as long as the SYN takes of one who waits, or of the next frame; whether there is one.
    /// Without an answer the other side asks again, and then there may be room. Our first number may be known already.
    fn let_in(
        &mut self,
        flow: Flow,
        waiting: Option<&WaitingSyn>,
        number: Option<u32>,
        now: Instant,
    ) -> bool {
        let next = match waiting {
            Some(syn) => Some((syn.frame(), self.device.transmitter())),
            None => self.device.peek(),
        };
        let Some(((frame, transmitter), port)) = next.zip(self.pool.port_index(flow.local_port())) else {
            return true;
        };
        let Some(index) = self.pool.listen_once(port, now) else { return false };
        let number = number.unwrap_or_else(|| {
            let own = self.address.own().map_or(super::limits::NO_ADDRESS, |cidr| cidr.address());
            self.sequence_numbers.first(own, flow, now)
        });
        let member = &mut self.pool.members[index];
        member.route = self.pool.routes.to(flow.remote());
        if !member.receive_syn_predicted(frame, number, now) {
            let mut device = Device::with_frame(frame, transmitter, self.link.mtu);
            self.interface.poll_ingress_single(stack_time(now), &mut device, member.sockets_mut());
            member.socket().begin_with(number);
        }
        member.begin(number);
        if let Some(syn) = Syn::of_frame(frame) {
            member.meet(syn, self.link.mtu);
        }
        member.path_mtu = self.paths.mtu(flow.remote(), now);
        self.pool.heard(index, port, flow, now);
        self.seek(flow.remote(), Cause::Stranger, now);
        true
    }
}

impl super::pool::Pool {
    fn owner(&self, segment: Segment) -> FrameOwner {
        match self.flows.get(segment.flow) {
            Some(index) if segment.is_drastic() => FrameOwner::Guarded(index, segment),
            Some(index) => FrameOwner::Member(index),
            None if segment.opens() && self.port_index(segment.flow.local_port()).is_some() => {
                FrameOwner::NewConnection(segment)
            }
            None => {
                let forgotten = segment.goes_on().then(|| self.syn_cache.get(segment.flow)).flatten();
                forgotten.map_or(FrameOwner::Others, FrameOwner::Handshake)
            }
        }
    }
}
