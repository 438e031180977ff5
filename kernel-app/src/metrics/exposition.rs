//! Prometheus text, exposition format 0.0.4.
//!
//! Checks no names: they are constants of whoever writes them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{Display, Write};

use super::Histogram;

/// Media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Prometheus text in the making.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    /// Families so far, to keep each in one piece.
    names: Vec<String>,
}

/// What a family's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers that only grow; the name ends in `_total`.
    Counter,
    /// Numbers that go up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Samples of one name.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
}

impl Family<'_> {
    /// One number under a set of labels.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.suffixed("", labels, value)
    }

    fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (at, (label, content)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            push_escaped(self.text, content, true);
            self.text.push('"');
        }
        self.text.push_str(if labels.is_empty() { " " } else { "} " });
        push(self.text, value);
        self.text.push('\n');
        self
    }
}

impl Exposition {
    /// Opens a family. Its name must not have been used before: the format wants a family in one piece.
    pub fn family<'a>(&'a mut self, name: &'a str, help: &str, kind: Kind) -> Family<'a> {
        debug_assert!(!self.names.iter().any(|used| used == name), "{name} is written twice");
        self.names.push(name.into());
        for part in ["# HELP ", name, " "] {
            self.text.push_str(part);
        }
        push_escaped(&mut self.text, help, false);
        for part in ["\n# TYPE ", name, " ", kind.name(), "\n"] {
            self.text.push_str(part);
        }
        Family { text: &mut self.text, name }
    }

    /// A counter without labels; `name` ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, help, Kind::Counter).sample(&[], value);
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: i64) {
        self.family(name, help, Kind::Gauge).sample(&[], value);
    }

    /// A counter with one sample for each set of labels.
    pub fn counters(&mut self, name: &str, help: &str, samples: &[(&[(&str, &str)], u64)]) {
        let mut family = self.family(name, help, Kind::Counter);
        for (labels, value) in samples {
            family.sample(labels, value);
        }
    }

    /// A gauge with one sample for each set of labels.
    pub fn gauges(&mut self, name: &str, help: &str, samples: &[(&[(&str, &str)], i64)]) {
        let mut family = self.family(name, help, Kind::Gauge);
        for (labels, value) in samples {
            family.sample(labels, value);
        }
    }

    /// A histogram without labels; `name` ends in `_seconds`.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        let mut family = self.family(name, help, Kind::Histogram);
        for (end, count) in histogram.cumulated() {
            family.suffixed("_bucket", &[("le", end)], count);
        }
        family.suffixed("_sum", &[], Seconds(histogram.sum_micros));
        family.suffixed("_count", &[], histogram.count());
    }

    /// The text so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// Microseconds, written as seconds.
pub(crate) struct Seconds(pub u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

fn push(text: &mut String, value: impl Display) {
    // Writing to a string fails only if a Display does, and numbers' do not.
    let _ = write!(text, "{value}");
}

fn push_escaped(text: &mut String, content: &str, quoted: bool) {
    for character in content.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quoted => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn families_are_written_to_the_byte() {
        let mut exposition = Exposition::default();
        exposition.counter("votes_total", "Votes \"taken\",\nall \\ of them.", 7);
        exposition.gauges("queue", "Q.", &[(&[("name", "a\\\"\nb"), ("x", "")], -1), (&[], 2)]);
        let expected = "# HELP votes_total Votes \"taken\",\\nall \\\\ of them.\n\
            # TYPE votes_total counter\n\
            votes_total 7\n\
            # HELP queue Q.\n\
            # TYPE queue gauge\n\
            queue{name=\"a\\\\\\\"\\nb\",x=\"\"} -1\n\
            queue 2\n";
        assert_eq!(exposition.as_str(), expected);
    }

    #[test]
    fn a_histogram_has_buckets_a_sum_and_a_count() {
        let mut histogram = Histogram::default();
        histogram.observe(Duration::from_micros(1_500_000));
        histogram.observe(Duration::from_micros(20));
        let mut exposition = Exposition::default();
        exposition.histogram("x_seconds", "X.", &histogram);
        let lines: Vec<_> = exposition.as_str().lines().skip(1).collect();
        assert_eq!(lines[0], "# TYPE x_seconds histogram");
        assert_eq!(lines[1], "x_seconds_bucket{le=\"0.0001\"} 1");
        let end = [
            "x_seconds_bucket{le=\"10\"} 2",
            "x_seconds_bucket{le=\"+Inf\"} 2",
            "x_seconds_sum 1.500020",
            "x_seconds_count 2",
        ];
        assert_eq!(lines[16..], end);
    }
}
