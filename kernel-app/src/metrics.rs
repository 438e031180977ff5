//! Counters, gauges and histograms.
//!
//! Holds no registry: whoever owns a number writes it into the [`Exposition`] when asked.
//!
//! ```
//! use core::time::Duration;
//! use kernel_app::metrics::{Counter, Exposition, Gauge, Histogram};
//!
//! let (mut greetings, mut waiting, mut answers) = (Counter::default(), Gauge::default(), Histogram::default());
//! greetings.increment();
//! waiting.set(3);
//! answers.observe(Duration::from_micros(120));
//!
//! let mut exposition = Exposition::default();
//! exposition.counter("greetings_total", "Greetings that were given.", greetings.value());
//! exposition.gauge("waiting", "Who waits for one.", waiting.value());
//! exposition.histogram("answer_seconds", "How long answers took.", &answers);
//! let text = exposition.into_text();
//! assert!(text.contains("# TYPE greetings_total counter\ngreetings_total 1\n"));
//! assert!(text.contains("answer_seconds_bucket{le=\"0.00025\"} 1\n"));
//! ```

mod exposition;

use core::time::Duration;

pub(crate) use exposition::Seconds;
pub use exposition::{CONTENT_TYPE, Exposition, Family, Kind};

/// A number that only grows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter(u64);

impl Counter {
    /// Adds one.
    pub fn increment(&mut self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&mut self, count: u64) {
        self.0 = self.0.wrapping_add(count);
    }

    /// The current count.
    pub fn value(self) -> u64 {
        self.0
    }
}

/// A number that goes up and down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauge(i64);

impl Gauge {
    /// Replaces the number.
    pub fn set(&mut self, value: i64) {
        self.0 = value;
    }

    /// Adds `change`, which may be negative.
    pub fn add(&mut self, change: i64) {
        self.0 = self.0.saturating_add(change);
    }

    /// The current value.
    pub fn value(self) -> i64 {
        self.0
    }
}

/// Upper ends of the buckets in microseconds, and as seconds in the text.
const BUCKETS: [(u64, &str); 16] = [
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// Durations counted in fixed buckets, 100 microseconds to 10 seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Histogram {
    /// Durations in each bucket alone; the last counts those beyond all buckets.
    counts: [u64; BUCKETS.len() + 1],
    sum_micros: u64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|(end, _)| micros <= *end).unwrap_or(BUCKETS.len());
        self.counts[bucket] += 1;
        self.sum_micros = self.sum_micros.saturating_add(micros);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each bucket's upper end in seconds, and how many durations are at or below it.
    fn cumulated(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let sums = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BUCKETS.iter().map(|(_, end)| *end).chain(["+Inf"]).zip(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_its_own_bucket_and_all_above() {
        let mut histogram = Histogram::default();
        for micros in [0, 100, 101, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let counts: alloc::vec::Vec<_> = histogram.cumulated().collect();
        assert_eq!(counts[..3], [("0.0001", 2), ("0.00025", 3), ("0.0005", 3)]);
        assert_eq!(counts[15..], [("10", 4), ("+Inf", 5)]);
        assert_eq!(histogram.count(), 5);
    }

    #[test]
    fn bucket_names_are_their_ends_in_seconds() {
        for (micros, name) in BUCKETS {
            let seconds: f64 = name.parse().expect("a number");
            assert_eq!((seconds * 1e6).round() as u64, micros);
        }
    }
}
