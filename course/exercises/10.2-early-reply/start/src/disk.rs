//! A disk: one write at a time, which takes 4 to 12 ticks. What is written when the power is cut is lost.

use crate::random::Random;

const WRITE_TICKS_MIN: u64 = 4;
const WRITE_TICKS_MAX: u64 = 12;

/// A register and its new value: what the log consists of.
pub type Change = (usize, u64);

/// The disk and what it holds.
#[derive(Debug)]
pub struct Disk {
    durable: Vec<Change>,
    under_way: Option<(Vec<Change>, u64)>,
    writes: u64,
    random: Random,
}

impl Disk {
    /// An empty disk, whose writes take as long as this seed says.
    pub const fn new(seed: u64) -> Self {
        Self { durable: Vec::new(), under_way: None, writes: 0, random: Random::new(!seed) }
    }

    /// What survives a power cut, oldest first.
    pub fn durable(&self) -> &[Change] {
        &self.durable
    }

    /// Whether a write is under way, or its outcome was not asked for yet.
    pub const fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Starts to write, behind what was written before. It takes about as long for a hundred changes as for one.
    ///
    /// # Panics
    /// While a write is under way.
    pub fn write(&mut self, changes: Vec<Change>, now: u64) {
        assert!(!self.is_busy(), "the disk does one write at a time: ask `is_busy` first");
        let ticks = WRITE_TICKS_MIN + self.random.below(WRITE_TICKS_MAX - WRITE_TICKS_MIN + 1);
        self.under_way = Some((changes, now + ticks));
        self.writes += 1;
    }

    /// Whether the write under way has ended, told once: what was written is durable.
    pub fn outcome(&mut self, now: u64) -> bool {
        let Some((changes, _)) = self.under_way.take_if(|(_, done_at)| *done_at <= now) else { return false };
        self.durable.extend(changes);
        true
    }

    /// How many writes there were.
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// The power is cut: the write under way may have got anywhere, but ends at a whole change.
    pub fn cut_power(&mut self, now: u64) {
        if self.outcome(now) {
            return;
        }
        if let Some((mut changes, _)) = self.under_way.take() {
            changes.truncate(self.random.below(changes.len() as u64 + 1) as usize);
            self.durable.extend(changes);
        }
    }
}
