//! The scores over the whole time since the first vote, in a bounded number of samples.
//!
//! It reads no clock and sends no queries: the caller records each count with its time. This module decides how many
//! samples to keep.

use alloc::vec::Vec;
use core::time::Duration;

use kernel_app::Instant;
use votes::Scores;

/// Most samples that are kept. When there is no room for another, every second one goes.
pub const SAMPLES_MAX: usize = 120;
/// How far samples are apart at first; twice as far each time that some have gone.
pub const SAMPLE_EVERY_MIN: Duration = Duration::from_secs(1);

/// The scores of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Time of the sample.
    pub at: Instant,
    /// What was counted then.
    pub scores: Scores,
}

/// The samples, the oldest first.
/// the one before it.
#[derive(Debug)]
pub struct History {
    samples: Vec<Sample>,
    interval: Duration,
}

impl Default for History {
    fn default() -> Self {
        Self { samples: Vec::with_capacity(SAMPLES_MAX), interval: SAMPLE_EVERY_MIN }
    }
}

impl History {
    /// The samples, the earliest first.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// How often a count must be recorded, or else the samples lie farther apart than they may.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Whether nobody has voted yet.
    pub fn is_blank(&self) -> bool {
        matches!(self.samples[..], [] | [Sample { scores: Scores { a: 0, b: 0 }, .. }])
    }

    /// Takes a count of the moment `at`, which is not before any that was taken. The time before the first vote is no
    /// part of the history, but for its end.
    pub fn record(&mut self, at: Instant, scores: Scores) {
        if self.is_blank() && scores.total() == 0 {
            self.samples.clear();
        }
        if let [.., before, last] = &mut self.samples[..]
            && last.at < before.at + self.interval
        {
            *last = Sample { at, scores };
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            self.thin();
        }
        self.samples.push(Sample { at, scores });
    }

    /// Makes room, from the first to the last sample alike.
    fn thin(&mut self) {
        let mut index = 0;
        self.samples.retain(|_| {
            index += 1;
            index % 2 == 1
        });
        self.interval *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(history: &mut History, at_ms: u64, a: u64) {
        history.record(Instant::from_millis(at_ms), Scores { a, b: 0 });
    }

    /// Times in milliseconds and counts.
    fn seen(history: &History) -> Vec<(u64, u64)> {
        let samples = history.samples().iter();
        samples.map(|sample| (sample.at.as_micros() / 1_000, sample.scores.a)).collect()
    }

    #[test]
    fn fast_changes_give_one_sample_a_second_and_include_the_newest() {
        let mut history = History::default();
        for (at_ms, a) in [(0, 0), (100, 1), (500, 2), (900, 3)] {
            counted(&mut history, at_ms, a);
            assert_eq!(seen(&history).last(), Some(&(at_ms, a)));
        }
        assert_eq!(seen(&history), [(0, 0), (900, 3)]);
        for (at_ms, a) in [(1_050, 4), (1_100, 5), (2_050, 6), (2_100, 7)] {
            counted(&mut history, at_ms, a);
        }
        assert_eq!(seen(&history), [(0, 0), (1_050, 4), (2_050, 6), (2_100, 7)]);
    }

    #[test]
    fn however_long_it_runs_the_samples_are_bounded_and_cover_all_of_it() {
        let mut history = History::default();
        for second in 0..=100_000 {
            counted(&mut history, second * 1_000, second);
            let samples = seen(&history);
            assert!(samples.len() <= SAMPLES_MAX);
            assert_eq!(samples[0], (0, 0));
            assert_eq!(samples[samples.len() - 1], (second * 1_000, second));
        }
        let samples = seen(&history);
        assert!(samples.len() > SAMPLES_MAX / 2, "{}", samples.len());
        let interval_ms = u64::try_from(history.interval().as_millis()).expect("a short time");
        assert_eq!(interval_ms, 1_024_000);
        for pair in samples[..samples.len() - 1].windows(2) {
            assert_eq!(pair[1].0 - pair[0].0, interval_ms, "evenly spread: {samples:?}");
        }
    }

    #[test]
    fn the_history_begins_just_before_the_first_vote() {
        let mut history = History::default();
        assert!(history.is_blank());
        for at_ms in [0, 1_000, 60_000] {
            counted(&mut history, at_ms, 0);
            assert!(history.is_blank());
        }
        for (at_ms, a) in [(61_000, 1), (62_000, 0), (63_000, 0)] {
            counted(&mut history, at_ms, a);
            assert!(!history.is_blank());
        }
        assert_eq!(seen(&history), [(60_000, 0), (61_000, 1), (62_000, 0), (63_000, 0)]);
    }

    #[test]
    fn a_long_silence_is_one_step() {
        let mut history = History::default();
        for (at_ms, a) in [(0, 1), (1_000, 1), (60_000, 9)] {
            counted(&mut history, at_ms, a);
        }
        assert_eq!(seen(&history), [(0, 1), (1_000, 1), (60_000, 9)]);
    }
}
