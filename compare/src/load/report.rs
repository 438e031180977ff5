//! What a load generator is asked for, and what it reports.

use std::net::SocketAddrV4;
use std::time::Duration;

use crate::record::{Method, Metric};

/// How long one answer may take; then the request has failed, and the load with it.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// What a voter's form is, in HTTP's words.
pub const FORM_TYPE: &str = "application/x-www-form-urlencoded";
/// Answers below which the slowest thousandth is less than one of them.
const P999_ANSWERS_MIN: u64 = 1000;

/// A load on one service.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub host: SocketAddrV4,
    pub method: Method,
    pub keep_alive: bool,
    /// Connections at the same time.
    pub connections: u32,
    pub requests: u32,
}

/// What a generator saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    pub requests_per_second: f64,
    /// Requests that were answered with a 2xx.
    pub acknowledged: u64,
    /// Latency in milliseconds at percentiles from 0 to 100.
    pub curve: Vec<(f64, f64)>,
    /// Why the run does not count, if something was not answered as it should.
    pub flaw: Option<String>,
    /// What a reader must know beside the figures.
    pub note: Option<String>,
}

impl LoadReport {
    /// Throughput and latency as a sample has them.
    pub fn metrics(&self) -> Vec<(Metric, f64)> {
        let percentiles =
            [(50.0, Metric::P50Ms), (90.0, Metric::P90Ms), (99.0, Metric::P99Ms), (99.9, Metric::P999Ms)];
        let known = |metric| metric != Metric::P999Ms || self.acknowledged >= P999_ANSWERS_MIN;
        let latencies = percentiles.iter().filter(|(_, metric)| known(*metric));
        let latencies = latencies.filter_map(|(at, metric)| Some((*metric, self.percentile(*at)?)));
        [(Metric::RequestsPerSecond, self.requests_per_second)].into_iter().chain(latencies).collect()
    }

    /// Latency in milliseconds at a percentile that the generator reports.
    pub fn percentile(&self, percentile: f64) -> Option<f64> {
        self.curve.iter().find(|(at, _)| (at - percentile).abs() < 1e-6).map(|(_, ms)| *ms)
    }
}

/// How many were meant, and how many of them failed in each way; none when none did.
pub fn flaw(requests: u64, failures: &[(u64, &str)]) -> Option<String> {
    let failures: Vec<String> = failures
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    (!failures.is_empty()).then(|| format!("of {requests} requests {}", failures.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p999_needs_at_least_a_thousand_answers() {
        let report = |acknowledged| LoadReport {
            requests_per_second: 5.0,
            acknowledged,
            curve: vec![(50.0, 1.0), (99.0, 2.0), (99.9, 3.0)],
            ..LoadReport::default()
        };
        let all = [
            (Metric::RequestsPerSecond, 5.0),
            (Metric::P50Ms, 1.0),
            (Metric::P99Ms, 2.0),
            (Metric::P999Ms, 3.0),
        ];
        assert_eq!(report(1000).metrics(), all);
        assert_eq!(report(999).metrics(), all[..3]);
    }
}
