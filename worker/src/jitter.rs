//! Pauses of random length, so that workers that conflict repeatedly do not stay in step.
//!
//! The numbers follow from the worker's name, so a simulation repeats them. Do not use them for secrets.

use core::time::Duration;

use crate::limits::{YIELD_DOUBLINGS_MAX, YIELD_MIN};

/// A generator of pauses.
#[derive(Debug)]
pub struct Jitter {
    state: u64,
    /// Pauses in a row.
    pauses: u32,
}

impl Jitter {
    /// The pauses of the worker with this name.
    pub fn new(name: &[u8]) -> Self {
        // FNV-1a; the last bit keeps the state from being zero, which would stay so.
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self { state: name.iter().fold(0xcbf2_9ce4_8422_2325, hash) | 1, pauses: 0 }
    }

    /// The next pause: shorter than twice as long as the one before could be.
    pub fn next_pause(&mut self) -> Duration {
        let longest = YIELD_MIN * (1 << self.pauses.min(YIELD_DOUBLINGS_MAX));
        self.pauses += 1;
        Duration::from_micros(self.next() % (longest.as_micros() as u64))
    }

    /// Half to all of `longest`.
    pub fn part_of(&mut self, longest: Duration) -> Duration {
        let half = longest / 2;
        half + Duration::from_micros(self.next() % (half.as_micros() as u64 + 1))
    }

    fn next(&mut self) -> u64 {
        // Xorshift, by G. Marsaglia.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state >> 11
    }

    /// It went well: the next pause is a short one.
    pub fn reset(&mut self) {
        self.pauses = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_between_workers_and_are_bounded() {
        let (mut one, mut other) = (Jitter::new(b"worker-1"), Jitter::new(b"worker-2"));
        let mut apart = 0;
        for pause in 0..100 {
            let longest = YIELD_MIN * (1 << YIELD_DOUBLINGS_MAX.min(pause));
            let pauses = [one.next_pause(), other.next_pause()];
            assert!(pauses.iter().all(|pause| *pause < longest));
            apart += u32::from(pauses[0].abs_diff(pauses[1]) > longest / 8);
        }
        assert!(apart > 50, "{apart}");
        one.reset();
        assert!(one.next_pause() < YIELD_MIN);
        assert!((0..100).all(|_| (YIELD_MIN / 2..=YIELD_MIN).contains(&one.part_of(YIELD_MIN))));
    }
}
