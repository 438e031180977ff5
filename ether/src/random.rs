//! A seeded generator, SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): the only randomness of a simulation.
//!
//! It is predictable by design; never use it for secrets.

use std::time::Duration;

use wire::Entropy;

/// A sequence of numbers that its seed decides.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A sequence of its own, for a part whose draws must not shift those of others.
    pub const fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below `limit`, which is not zero.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of some things, of which there is at least one.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// A duration from `least` to `most`.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + self.up_to(most.saturating_sub(least))
    }

    /// True `count` times in a million.
    pub const fn happens(&mut self, count_per_million: u32) -> bool {
        count_per_million > 0 && self.next() % 1_000_000 < count_per_million as u64
    }

    /// A duration of up to `most`.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let most_micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX - 1);
        if most_micros == 0 { most } else { Duration::from_micros(self.next() % (most_micros + 1)) }
    }
}

impl Entropy for Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(size_of::<u64>()) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Zeros, for what is tested without chance.
#[derive(Clone, Copy, Debug)]
pub struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}
