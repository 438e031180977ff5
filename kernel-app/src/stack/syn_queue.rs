//! A queue of SYNs that arrived while there was no room for another connection. They are answered when there is room.
//!
//! A client whose SYN is not answered repeats it after 1 s, 3 s and 7 s. A SYN in this queue is answered without this
//! delay.

use alloc::collections::VecDeque;
use core::time::Duration;

use super::flow::Flow;
use crate::usage::Usage;
use wire::Instant;

/// Longest frame of a SYN: Ethernet's header, IPv4's without options, and TCP's with 40 bytes of them.
pub(super) const FRAME_BYTES_MAX: usize = 14 + 20 + 60;
/// A client that is not answered for so long may be gone, and asks again if it is not.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A SYN for a port of this node.
#[derive(Clone, Debug)]
pub(super) struct WaitingSyn {
    pub flow: Flow,
    at: Instant,
    frame: [u8; FRAME_BYTES_MAX],
    length: usize,
}

impl WaitingSyn {
    /// Of a frame of at most [`FRAME_BYTES_MAX`].
    pub fn new(frame: &[u8], flow: Flow, now: Instant) -> Self {
        let (mut copy, length) = ([0; FRAME_BYTES_MAX], frame.len().min(FRAME_BYTES_MAX));
        copy[..length].copy_from_slice(&frame[..length]);
        Self { flow, at: now, frame: copy, length }
    }

    pub fn frame(&self) -> &[u8] {
        &self.frame[..self.length]
    }
}

/// The SYNs that wait, in the order in which they came.
#[derive(Debug)]
pub(super) struct SynQueue {
    waiting: VecDeque<WaitingSyn>,
    waiting_max: usize,
}

impl SynQueue {
    pub fn new(waiting_max: usize) -> Self {
        Self { waiting: VecDeque::new(), waiting_max }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Lets one wait, if there is room for that, and memory.
    pub fn push(&mut self, syn: WaitingSyn) {
        if self.waiting.len() < self.waiting_max && self.waiting.try_reserve(1).is_ok() {
            self.waiting.push_back(syn);
        }
    }

    /// The next one that is to be let in.
    pub fn pop(&mut self, now: Instant) -> Option<WaitingSyn> {
        let syn = loop {
            match self.waiting.pop_front() {
                Some(syn) if now.since(syn.at) > WAIT_MAX => {}
                syn => break syn,
            }
        };
        if self.waiting.is_empty() {
            // A flood is rare; its memory is not kept.
            self.waiting = VecDeque::new();
        }
        syn
    }

    /// Sends all away: they ask again, and are refused then.
    pub fn clear(&mut self) {
        self.waiting = VecDeque::new();
    }

    pub fn usage(&self) -> Usage {
        Usage::new("SYNs that wait", self.waiting.len(), self.waiting_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn syn(port: u16, at_ms: u64) -> WaitingSyn {
        let flow = Flow::new(Ipv4Addr::LOCALHOST, port, 80);
        WaitingSyn::new(&[7; 74], flow, Instant::from_millis(at_ms))
    }

    #[test]
    fn waiting_syns_are_accepted_in_order_unless_expired() {
        let mut syn_queue = SynQueue::new(3);
        (1..=4).for_each(|port| syn_queue.push(syn(port, u64::from(port) * 1_000)));
        let now = Instant::from_millis(6_500);
        let port = |syn: Option<WaitingSyn>| syn.map(|syn| (syn.flow, syn.frame().len()));
        let expected = |port| Some((Flow::new(Ipv4Addr::LOCALHOST, port, 80), 74));
        assert_eq!(port(syn_queue.pop(now)), expected(2), "the first one is too old");
        assert_eq!(port(syn_queue.pop(now)), expected(3));
        assert_eq!(port(syn_queue.pop(now)), None, "there was no room for the fourth");
        assert!(syn_queue.is_empty() && syn_queue.waiting.capacity() == 0);
    }
}
