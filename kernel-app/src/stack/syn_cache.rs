//! A SYN cache (RFC 4987 section 3.3): it remembers handshakes whose socket was given to another connection.
//!
//! If unfinished handshakes use all sockets, the oldest one makes room for a new one. Its client may have done
//! nothing wrong: our answer may have been delayed, or the client's answer may have waited here among thousands of
//! frames. So the cache keeps what is needed to restore the handshake, which is some bytes, while a socket takes 13
//! KiB. A client that finishes the handshake later is admitted as if nothing had happened, and is not reset.

use alloc::collections::VecDeque;
use core::time::Duration;

use super::flow::{self, Flow};
use super::limits::{ETHERNET_BYTES, HEADERS_BYTES};
use super::syn_queue::WaitingSyn;
use crate::usage::Usage;
use wire::Instant;

/// How long one is remembered. As long as nobody answers, the other side says what it has to say again and again.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
/// IPv4's header without options.
const IP_BYTES: usize = 20;
/// The one option of a SYN that is made again: the size of segments.
const OPTION_BYTES: usize = 4;
const FLAG_SYN: u8 = 0x02;

/// A handshake whose SYN has been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handshake {
    pub flow: Flow,
    /// When it was syn_cache.
    pub at: Instant,
    /// First numbers: ours, and the other side's.
    pub local: u32,
    pub remote: u32,
    /// Bytes that the other side takes in one segment.
    pub segment_bytes: u16,
}

impl Handshake {
    /// Whether a segment acknowledges our SYN, so that it comes from whom our SYN has reached.
    pub fn is_answered_by(&self, frame: &[u8]) -> bool {
        flow::acknowledged(frame) == Some(self.local.wrapping_add(1))
    }

    /// The other side's SYN once more, made from the first segment after it; none when the segment is a later one, or
    /// is in no plain packet.
    pub fn syn(&self, frame: &[u8]) -> Option<WaitingSyn> {
        let [first, ..] = frame.get(ETHERNET_BYTES..)? else { return None };
        if *first != 0x45 || flow::number(frame)? != self.remote.wrapping_add(1) {
            return None;
        }
        let mut syn = [0; ETHERNET_BYTES + HEADERS_BYTES + OPTION_BYTES];
        let tcp_at = ETHERNET_BYTES + IP_BYTES;
        // Addresses and ports are the same.
        syn[..tcp_at + 4].copy_from_slice(frame.get(..tcp_at + 4)?);
        let (ip, tcp) = syn[ETHERNET_BYTES..].split_at_mut(IP_BYTES);
        ip[2..4].copy_from_slice(&((HEADERS_BYTES + OPTION_BYTES) as u16).to_be_bytes());
        tcp[4..8].copy_from_slice(&self.remote.to_be_bytes());
        tcp[12..14]
            .copy_from_slice(&[(((HEADERS_BYTES - IP_BYTES + OPTION_BYTES) / 4) << 4) as u8, FLAG_SYN]);
        tcp[14..16].copy_from_slice(frame.get(tcp_at + 14..tcp_at + 16)?);
        let [high, low] = self.segment_bytes.to_be_bytes();
        tcp[HEADERS_BYTES - IP_BYTES..].copy_from_slice(&[2, 4, high, low]);
        Some(WaitingSyn::new(&syn, self.flow, self.at))
    }
}

/// The handshakes that are remembered, the oldest first. In the order in which they were syn_cache.
#[derive(Debug)]
pub(super) struct SynCache {
    handshakes: VecDeque<Handshake>,
    handshakes_max: usize,
}

impl SynCache {
    pub fn new(handshakes_max: usize) -> Self {
        Self { handshakes: VecDeque::new(), handshakes_max }
    }

    /// Remembers one, in place of the oldest if need be.
    pub fn push(&mut self, handshake: Handshake) {
        if self.handshakes.len() >= self.handshakes_max {
            self.handshakes.pop_front();
        }
        self.handshakes.push_back(handshake);
    }

    /// The last one of these ends.
    pub fn get(&self, flow: Flow) -> Option<Handshake> {
        self.handshakes.iter().rev().find(|handshake| handshake.flow == flow).copied()
    }

    /// Forgets what it was all the time.
    pub fn remove(&mut self, flow: Flow) {
        self.handshakes.retain(|handshake| handshake.flow != flow);
    }

    /// Forgets those of long ago. A flood is rare; its memory is not kept.
    pub fn trim(&mut self, now: Instant) {
        let is_old = |handshake: &Handshake| now.since(handshake.at) > REMEMBERED_FOR;
        while self.handshakes.pop_front_if(|handshake| is_old(handshake)).is_some() {}
        if self.handshakes.is_empty() {
            self.handshakes = VecDeque::new();
        }
    }

    pub fn usage(&self) -> Usage {
        Usage::new("forgotten handshakes", self.handshakes.len(), self.handshakes_max)
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    fn handshake(port: u16, at_ms: u64) -> Handshake {
        let flow = Flow::new(Ipv4Addr::LOCALHOST, port, 80);
        let at = Instant::from_millis(at_ms);
        Handshake { flow, at, local: 1, remote: 2, segment_bytes: 536 }
    }

    #[test]
    fn remembered_handshakes_are_bounded_in_number_and_age() {
        let mut syn_cache = SynCache::new(2);
        (1..=3).for_each(|port| syn_cache.push(handshake(port, u64::from(port) * 1_000)));
        let known =
            |syn_cache: &SynCache| [1, 2, 3].map(|port| syn_cache.get(handshake(port, 0).flow).is_some());
        assert_eq!(known(&syn_cache), [false, true, true], "the oldest makes room");
        syn_cache.trim(Instant::from_millis(2_001) + REMEMBERED_FOR);
        assert_eq!(known(&syn_cache), [false, false, true]);
        syn_cache.remove(handshake(3, 0).flow);
        syn_cache.trim(Instant::from_millis(2_001));
        assert_eq!(known(&syn_cache), [false; 3]);
        assert_eq!(syn_cache.handshakes.capacity(), 0, "a flood's memory is given back");
    }
}
