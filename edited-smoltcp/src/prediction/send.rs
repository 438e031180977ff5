//! What an ordinary socket sends next: a part of what waits, the end behind it, or an acknowledgement.

use super::super::{AckDelayTimer, Socket, State};
use super::frame::{ACK, DATA_OFFSET, FIN, PSH};
use super::{Outgoing, Route};
use crate::time::Instant;
use crate::wire::{IPV4_HEADER_LEN, TCP_HEADER_LEN};

/// What became of one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// A segment was given away.
    Sent,
    /// There is nothing to send.
    Nothing,
    /// It is for smoltcp to say.
    Unusual,
}

impl Socket<'_> {
    /// Sends what is next along this route, as smoltcp's `dispatch` would: `transmit` writes it into a frame.
    #[inline]
    pub fn send_predicted(
        &mut self,
        route: &Route,
        mtu: usize,
        now: Instant,
        transmit: impl FnOnce(&Outgoing<'_>),
    ) -> Egress {
        let Some(tuple) = self.tuple.filter(|tuple| route.connects(tuple.local.addr, tuple.remote.addr))
        else {
            return Egress::Unusual;
        };
        // For one that had nothing under way, the other side's time to answer begins now.
        self.remote_last_ts.get_or_insert(now);
        if self.state == State::SynReceived {
            return self.answer_syn((route, tuple.local.port, tuple.remote.port), mtu, now, transmit);
        }
        if !self.sends_ordinarily(now) {
            return Egress::Unusual;
        }
        let in_flight = self.flight_size();
        let waiting = self.tx_buffer.len();
        let sendable = self.remote_win_len.min(waiting).saturating_sub(in_flight);
        let wants_end = matches!(self.state, State::FinWait1 | State::LastAck | State::Closing);
        let may_end = wants_end && in_flight == waiting;
        if sendable == 0 && !may_end && !self.ack_to_transmit() {
            return if self.window_to_update() { Egress::Unusual } else { Egress::Nothing };
        }
        let segment_bytes = self.remote_mss.min(mtu - IPV4_HEADER_LEN - TCP_HEADER_LEN);
        let allowed = self.remote_win_len.saturating_sub(in_flight).min(segment_bytes);
        let payload = self.tx_buffer.get_allocated(in_flight, allowed);
        let is_last = in_flight + payload.len() == waiting;
        let ends = is_last && wants_end;
        let pushes = is_last && !ends && !payload.is_empty();
        let outgoing = Outgoing {
            route,
            source_port: tuple.local.port,
            destination_port: tuple.remote.port,
            number: self.remote_last_seq,
            acknowledged: self.remote_seq_no + self.rx_buffer.len(),
            window: self.scaled_window(),
            data_offset: DATA_OFFSET,
            flags: ACK | if ends { FIN } else { 0 } | if pushes { PSH } else { 0 },
            content: payload,
        };
        transmit(&outgoing);
        let numbers = payload.len() + usize::from(ends);
        self.note_sent(numbers, now);
        Egress::Sent
    }

    /// Whether nothing is sent again, and neither side has closed its window.
    #[inline]
    fn sends_ordinarily(&self, now: Instant) -> bool {
        let has_peer =
            !matches!(self.state, State::Closed | State::Listen | State::SynSent | State::SynReceived);
        has_peer
            && self.remote_win_len != 0
            && !self.nagle
            && !self.pending_fast_retransmit
            && self.is_on_time(now)
    }

    /// Whether no timer is due, and the answer has no timestamp.
    #[inline]
    pub(super) fn is_on_time(&self, now: Instant) -> bool {
        self.tsval_generator.is_none()
            && self.ack_delay.is_none()
            && !self.timed_out(now)
            && !self.timer.should_retransmit(now)
            && !self.timer.should_keep_alive(now)
            && !self.timer.should_close(now)
            && !self.timer.is_zero_window_probe()
    }

    /// In `dispatch`'s order.
    #[inline]
    pub(super) fn note_sent(&mut self, numbers: usize, now: Instant) {
        self.timer.rewind_keep_alive(now, self.keep_alive);
        self.ack_delay_timer = AckDelayTimer::Idle;
        let next = self.remote_last_seq + numbers;
        self.remote_last_seq = next;
        self.remote_last_ack = Some(self.remote_seq_no + self.rx_buffer.len());
        self.remote_last_win = self.scaled_window();
        if numbers > 0 {
            self.rtte.on_send(now, next);
            if !self.timer.is_retransmit() {
                self.timer.set_for_retransmit(now, self.rtte.retransmission_timeout());
            }
        }
    }
}
