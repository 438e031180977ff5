//! Those who ask for a connection while there is no room for one: their SYNs wait, and are answered when there is.
//!
//! A client whose SYN is not answered asks again after 1 s, 3 s and 7 s; so long nobody waits who is kept here.

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
pub(super) struct Knock {
    pub flow: Flow,
    at: Instant,
    frame: [u8; FRAME_BYTES_MAX],
    length: usize,
}

impl Knock {
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

/// See the module.
#[derive(Debug)]
pub(super) struct Knocks {
    waiting: VecDeque<Knock>,
    waiting_max: usize,
}

impl Knocks {
    pub fn new(waiting_max: usize) -> Self {
        Self { waiting: VecDeque::new(), waiting_max }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Lets one wait, if there is room for that.
    pub fn push(&mut self, knock: Knock) {
        if self.waiting.len() < self.waiting_max {
            self.waiting.push_back(knock);
        }
    }

    /// The next one that is to be let in.
    pub fn pop(&mut self, now: Instant) -> Option<Knock> {
        let knock = loop {
            match self.waiting.pop_front() {
                Some(knock) if now.since(knock.at) > WAIT_MAX => {}
                knock => break knock,
            }
        };
        if self.waiting.is_empty() {
            // A flood is rare; its memory is not kept.
            self.waiting = VecDeque::new();
        }
        knock
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

    fn knock(port: u16, at_ms: u64) -> Knock {
        let flow = Flow::new(Ipv4Addr::LOCALHOST, port, 80);
        Knock::new(&[7; 74], flow, Instant::from_millis(at_ms))
    }

    #[test]
    fn those_who_wait_are_let_in_as_they_came_unless_it_was_too_long_ago() {
        let mut knocks = Knocks::new(3);
        (1..=4).for_each(|port| knocks.push(knock(port, u64::from(port) * 1_000)));
        let now = Instant::from_millis(6_500);
        let port = |knock: Option<Knock>| knock.map(|knock| (knock.flow, knock.frame().len()));
        let expected = |port| Some((Flow::new(Ipv4Addr::LOCALHOST, port, 80), 74));
        assert_eq!(port(knocks.pop(now)), expected(2), "the first one is too old");
        assert_eq!(port(knocks.pop(now)), expected(3));
        assert_eq!(port(knocks.pop(now)), None, "there was no room for the fourth");
        assert!(knocks.is_empty() && knocks.waiting.capacity() == 0);
    }
}
