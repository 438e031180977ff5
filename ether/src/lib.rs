//! The simulated wire: frames in transit between nodes, and the faults that can happen to them there.
//!
//! It is a switch without a speed limit: it reads destination addresses (IEEE 802.3) and nothing else. The host
//! tool's network for real machines has its own switch, and uses this crate for links with faults.
#![forbid(unsafe_code)]
#![cfg(not(target_os = "hermit"))]

pub mod capture;
pub mod random;
pub mod trace;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use random::Random;
use trace::Trace;
use wire::Instant;

/// Most bytes under way; a frame on top of them is lost, as where a router's queue is full.
pub const UNDER_WAY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a frame meets on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Time that every frame takes.
    pub latency: Duration,
    /// Most additional time, by chance; more than the time between frames reorders them.
    pub jitter: Duration,
    /// Frames of a million that are lost.
    pub lost_per_million: u32,
    /// Frames of a million that arrive twice.
    pub duplicated_per_million: u32,
}

impl Default for Conditions {
    /// A quiet local network.
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(100),
            jitter: Duration::ZERO,
            lost_per_million: 0,
            duplicated_per_million: 0,
        }
    }
}

/// What has happened to frames so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Lost by chance.
    pub lost: u64,
    /// Arrived twice.
    pub duplicated: u64,
    /// Arrived before one that was sent earlier.
    pub overtaken: u64,
    /// Lost because the way was cut.
    pub cut: u64,
    /// Lost because too many were under way.
    pub overflowed: u64,
}

/// A frame that is due at a node. Ordered by time, then as sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    at: Instant,
    number: u64,
    /// Position of the sender.
    pub from: usize,
    /// Position of the receiver.
    pub to: usize,
    /// The whole frame, without its check sequence.
    pub frame: Vec<u8>,
}

/// The wire and the frames on it.
#[derive(Debug)]
pub struct Ether {
    /// Of all ways that have none of their own.
    pub conditions: Conditions,
    /// Of all frames that left a position for others.
    pub trace: Trace,
    random: Random,
    /// Conditions of single ways, by sender and receiver.
    ways: BTreeMap<(usize, usize), Conditions>,
    /// Ways that are cut, by sender and receiver.
    cut: BTreeSet<(usize, usize)>,
    under_way: BinaryHeap<Reverse<Arrival>>,
    under_way_bytes: usize,
    number: u64,
    /// When the last of the frames so far arrives.
    latest: Instant,
    /// What has happened to frames so far.
    pub counts: FrameCounts,
}

impl Ether {
    /// A quiet network whose chance is this.
    pub fn new(random: Random) -> Self {
        Self {
            conditions: Conditions::default(),
            trace: Trace::default(),
            random,
            ways: BTreeMap::new(),
            cut: BTreeSet::new(),
            under_way: BinaryHeap::new(),
            under_way_bytes: 0,
            number: 0,
            latest: Instant::ZERO,
            counts: FrameCounts::default(),
        }
    }

    /// Whether frames from one node to another get through from now on.
    pub fn connect(&mut self, from: usize, to: usize, connected: bool) {
        if connected {
            self.cut.remove(&(from, to));
        } else {
            self.cut.insert((from, to));
        }
    }

    /// What frames from one node to another meet from now on, in place of what all do.
    pub fn set_way(&mut self, from: usize, to: usize, conditions: Option<Conditions>) {
        match conditions {
            Some(conditions) => self.ways.insert((from, to), conditions),
            None => self.ways.remove(&(from, to)),
        };
    }

    /// What is left to chance begins anew.
    pub fn reseed(&mut self, random: Random) {
        self.random = random;
    }

    /// A frame leaves one of these positions for another, or for all others.
    pub fn send(&mut self, from: usize, frame: &[u8], positions: impl Iterator<Item = usize>, now: Instant) {
        self.trace.sent(now, from, frame);
        for to in positions.filter(|to| *to != from && is_for(frame, *to)) {
            self.pass(from, to, frame, now);
        }
    }

    /// A frame sets out from one node to another, wherever it says that it goes.
    pub fn pass(&mut self, from: usize, to: usize, frame: &[u8], now: Instant) {
        let conditions = self.ways.get(&(from, to)).copied().unwrap_or(self.conditions);
        if self.cut.contains(&(from, to)) {
            self.counts.cut += 1;
        } else if self.random.happens(conditions.lost_per_million) {
            self.counts.lost += 1;
        } else {
            self.carry((from, to), frame, &conditions, now);
            if self.random.happens(conditions.duplicated_per_million) {
                self.counts.duplicated += 1;
                self.carry((from, to), frame, &conditions, now);
            }
        }
    }

    fn carry(&mut self, (from, to): (usize, usize), frame: &[u8], conditions: &Conditions, now: Instant) {
        if self.under_way_bytes + frame.len() > UNDER_WAY_BYTES_MAX {
            self.counts.overflowed += 1;
            return;
        }
        let at = now + conditions.latency + self.random.up_to(conditions.jitter);
        self.under_way_bytes += frame.len();
        self.counts.overtaken += u64::from(at < self.latest);
        self.latest = self.latest.max(at);
        self.under_way.push(Reverse(Arrival { at, number: self.number, from, to, frame: frame.to_vec() }));
        self.number += 1;
    }

    /// When the next frame arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(arrival)| arrival.at)
    }

    /// Takes a frame that has arrived.
    pub fn take_arrived(&mut self, now: Instant) -> Option<Arrival> {
        let Reverse(arrival) = self.under_way.peek()?;
        if arrival.at > now {
            return None;
        }
        let Reverse(arrival) = self.under_way.pop()?;
        self.under_way_bytes -= arrival.frame.len();
        Some(arrival)
    }
}

/// The Ethernet address of a node: locally administered (second bit of the first byte).
pub fn hardware_address(node: usize) -> [u8; 6] {
    let [high, low] = u16::try_from(node).unwrap_or(u16::MAX).to_be_bytes();
    [2, 0, 0, 0, high, low]
}

/// Whether a frame's destination is this node or a group (lowest bit of the first byte).
fn is_for(frame: &[u8], node: usize) -> bool {
    let Some(destination) = frame.first_chunk::<6>() else { return false };
    destination[0] & 1 == 1 || *destination == hardware_address(node)
}
