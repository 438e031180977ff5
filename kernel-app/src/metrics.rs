//! Counters, gauges and histograms, and their Prometheus text (exposition format 0.0.4).
//!
//! Holds no registry: whoever owns a number writes it into the [`Exposition`] when asked.

use alloc::string::String;
use core::time::Duration;

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

    /// The number.
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

    /// The number.
    pub fn value(self) -> i64 {
        self.0
    }
}

/// Durations counted in fixed buckets, 100 microseconds to 10 seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Histogram {}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&mut self, duration: Duration) {
        let _ = duration;
    }
}

/// Prometheus text in the making.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// A counter without labels; `name` ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        let _ = (name, help, value);
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: i64) {
        let _ = (name, help, value);
    }

    /// A counter with one sample for each set of labels.
    pub fn counters(&mut self, name: &str, help: &str, samples: &[(&[(&str, &str)], u64)]) {
        let _ = (name, help, samples);
    }

    /// A gauge with one sample for each set of labels.
    pub fn gauges(&mut self, name: &str, help: &str, samples: &[(&[(&str, &str)], i64)]) {
        let _ = (name, help, samples);
    }

    /// A histogram without labels; `name` ends in `_seconds`.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        let _ = (name, help, histogram);
    }

    /// The text so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}
