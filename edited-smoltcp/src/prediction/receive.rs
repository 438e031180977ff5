//! An ordinary segment that has come: the next one in order, which acknowledges what was sent or nothing new, and may
//! end the other side's stream.

use super::super::{Socket, State, Timer};
use super::Segment;
use crate::time::Instant;

/// What a segment does to a socket that takes it.
struct Effect {
    /// Bytes that it acknowledges.
    acknowledged_bytes: usize,
    /// Whether it acknowledges all that was sent.
    acknowledges_all: bool,
    /// The other side's window.
    window_bytes: usize,
    state: State,
}

impl Socket<'_> {
    /// Takes a segment of this socket's connection, as smoltcp's `process` would; or changes nothing, and is false.
    #[inline]
    pub fn receive_predicted(&mut self, segment: &Segment<'_>, now: Instant) -> bool {
        let Some(effect) = self.effect(segment) else { return false };
        self.apply(segment, &effect, now);
        true
    }

    /// What the segment does, if it is one that was expected.
    #[inline]
    fn effect(&self, segment: &Segment<'_>) -> Option<Effect> {
        let (syn, fin) = match self.state {
            State::Established | State::FinWait2 | State::CloseWait => (0, 0),
            // Our SYN or FIN has its own number.
            State::SynReceived => (1, 0),
            State::FinWait1 | State::LastAck => (0, 1),
            _ => return None,
        };
        let tuple = self.tuple?;
        let is_own = tuple.local == segment.destination && tuple.remote == segment.source;
        if !is_own || !self.is_ordinary() || !self.has_room_for(segment) {
            return None;
        }
        let first = self.local_seq_no + syn;
        let last = first + if syn == 1 { 0 } else { self.tx_buffer.len() + fin };
        if segment.acknowledged < first || segment.acknowledged > last {
            return None;
        }
        // One that says nothing new may be a duplicate, of which the third has what is missing sent again.
        if segment.payload.is_empty()
            && self.local_rx_last_ack == Some(segment.acknowledged)
            && segment.acknowledged < self.remote_last_seq
        {
            return None;
        }
        let window_bytes = usize::from(segment.window) << self.remote_win_scale.unwrap_or(0);
        if window_bytes == 0 {
            return None;
        }
        let numbers = segment.acknowledged - first;
        let ends = fin == 1 && numbers == self.tx_buffer.len() + 1;
        let state = match (self.state, segment.ends) {
            (State::SynReceived | State::Established, false) => State::Established,
            (State::SynReceived | State::Established, true) => State::CloseWait,
            (State::FinWait1, false) if ends => State::FinWait2,
            (State::FinWait1, true) if ends => State::TimeWait,
            (State::FinWait1, true) => State::Closing,
            (State::FinWait2, true) => State::TimeWait,
            (State::LastAck, false) if ends => State::Closed,
            // The other side has ended its stream already.
            (State::CloseWait | State::LastAck, true) => return None,
            // A word that our end has not come is answered.
            (State::LastAck, false) if numbers == 0 => return None,
            (state, _) => state,
        };
        Some(Effect {
            acknowledged_bytes: numbers - usize::from(ends),
            acknowledges_all: self.remote_last_seq <= segment.acknowledged,
            window_bytes,
            state,
        })
    }

    /// Whether nothing is missing, probed or put off.
    #[inline]
    fn is_ordinary(&self) -> bool {
        self.assembler.is_empty()
            && self.local_rx_dup_acks == 0
            && self.tsval_generator.is_none()
            && self.ack_delay.is_none()
            && matches!(self.timer, Timer::Idle { .. } | Timer::Retransmit { .. })
    }

    /// Whether the segment begins with the next number, and all of it is within the window that was told.
    #[inline]
    fn has_room_for(&self, segment: &Segment<'_>) -> bool {
        let next = self.remote_seq_no + self.rx_buffer.len();
        let Some(told) = self.remote_last_ack else { return false };
        let end = told + (usize::from(self.remote_last_win) << self.remote_win_shift);
        segment.number == next && end > next && segment.payload.len() <= end - next
    }

    /// In `process`'s order.
    #[inline]
    fn apply(&mut self, segment: &Segment<'_>, effect: &Effect, now: Instant) {
        let &Segment { number, acknowledged, payload, .. } = segment;
        self.local_rx_last_seq = Some(number);
        if segment.ends {
            self.remote_seq_no += 1;
            self.rx_fin_received = true;
        }
        self.set_state(effect.state);
        match effect.state {
            State::TimeWait => self.timer.set_for_close(now),
            State::Closed => self.tuple = None,
            _ => {}
        }
        self.remote_last_ts = Some(now);
        self.remote_win_len = effect.window_bytes;
        if effect.acknowledged_bytes > 0 {
            self.tx_buffer.dequeue_allocated(effect.acknowledged_bytes);
        }
        self.local_rx_last_ack = Some(acknowledged);
        self.rtte.on_ack(now, acknowledged);
        self.local_seq_no = acknowledged;
        self.remote_last_seq = self.remote_last_seq.max(acknowledged);
        self.set_timer_after(effect, now);
        if !payload.is_empty() {
            let written = self.rx_buffer.write_unallocated(0, payload);
            self.rx_buffer.enqueue_unallocated(written);
        }
    }

    /// RFC 6298 section 5.
    #[inline]
    fn set_timer_after(&mut self, effect: &Effect, now: Instant) {
        match self.timer {
            Timer::Retransmit { .. } if !effect.acknowledges_all => {
                if effect.acknowledged_bytes > 0 {
                    self.timer.set_for_retransmit(now, self.rtte.retransmission_timeout());
                }
            }
            Timer::Retransmit { .. } | Timer::Idle { .. } => self.timer.set_for_idle(now, self.keep_alive),
            _ => {}
        }
    }
}
