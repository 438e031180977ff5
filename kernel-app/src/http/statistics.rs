//! The counters of a server, with the names that Prometheus users expect.
//!
//! Durations have the resolution of a loop turn: an answer in the same turn as its request took no time.

use core::time::Duration;

use super::Method;
use crate::metrics::{Counter, Exposition, Histogram, Kind, Seconds};
use wire::Instant;
use wire::http::status::{STATUSES, position};

/// Wall clocks before 2020 are not set.
const CLOCK_SET_AFTER: Duration = Duration::from_secs(1_577_836_800);

/// Every method there is a label for.
const METHODS: [Method; Method::COUNT] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
    Method::Options,
    Method::Patch,
    Method::Trace,
    Method::Connect,
    Method::Other,
];

#[derive(Debug)]
pub(super) struct Statistics {
    /// Answers, by method and by position of the status in [`STATUSES`].
    requests: [[Counter; STATUSES.len()]; Method::COUNT],
    durations: Histogram,
    pub received_bytes: Counter,
    pub sent_bytes: Counter,
    /// When the first event came.
    started: Option<Instant>,
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            requests: [[Counter::default(); STATUSES.len()]; Method::COUNT],
            durations: Histogram::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            started: None,
        }
    }
}

impl Statistics {
    /// Notes the start of the server; only the first call counts.
    pub fn start(&mut self, now: Instant) {
        self.started.get_or_insert(now);
    }

    /// Counts an answer to a request that took this long.
    pub fn answered(&mut self, method: Method, status: u16, duration: Duration) {
        self.refused(method, status);
        self.durations.observe(duration);
    }

    /// Counts an answer to what was no whole request.
    pub fn refused(&mut self, method: Method, status: u16) {
        self.requests[method as usize][position(status)].increment();
    }

    pub fn write(&self, connections: usize, now: Instant, unix_time: Duration, exposition: &mut Exposition) {
        self.write_requests(exposition);
        let help = "Time from a request's last byte to its answer.";
        exposition.histogram("http_request_duration_seconds", help, &self.durations);
        let open = i64::try_from(connections).unwrap_or(i64::MAX);
        exposition.gauge("http_connections", "Open HTTP connections.", open);
        let (received, sent) = (self.received_bytes.value(), self.sent_bytes.value());
        exposition.counter("http_received_bytes_total", "Bytes of HTTP requests.", received);
        exposition.counter("http_sent_bytes_total", "Bytes of HTTP responses.", sent);
        self.write_start(now, unix_time, exposition);
    }

    fn write_requests(&self, exposition: &mut Exposition) {
        let help = "Answered HTTP requests.";
        let mut family = exposition.family("http_requests_total", help, Kind::Counter);
        for (method, counts) in METHODS.iter().zip(&self.requests) {
            for (status, count) in STATUSES.iter().zip(counts).filter(|(_, count)| count.value() > 0) {
                family.sample(&[("method", method.name()), ("status", status.label)], count.value());
            }
        }
    }

    fn write_start(&self, now: Instant, unix_time: Duration, exposition: &mut Exposition) {
        let uptime = now.since(self.started.unwrap_or(now));
        let help = "Time since the program started.";
        let micros = |time: Duration| Seconds(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        exposition.family("process_uptime_seconds", help, Kind::Gauge).sample(&[], micros(uptime));
        if unix_time >= CLOCK_SET_AFTER {
            let help = "Start of the program in seconds since 1970-01-01.";
            let start = micros(unix_time.saturating_sub(uptime));
            exposition.family("process_start_time_seconds", help, Kind::Gauge).sample(&[], start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_counts_under_its_own_name() {
        for (at, method) in METHODS.into_iter().enumerate() {
            assert_eq!(method as usize, at, "{}", method.name());
        }
    }
}
