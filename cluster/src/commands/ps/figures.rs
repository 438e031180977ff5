//! Resource usage and rates of an instance, from two samples of its process and of its `/metrics`. It takes no
//! samples itself.

use std::time::{Duration, Instant};

/// Counters of requests: of the HTTP servers, and of the store's commands.
const REQUESTS: [&str; 2] = ["http_requests_total", "store_commands_total"];
/// Requests that each look itself makes: for health and for metrics.
const OWN_REQUESTS: u64 = 2;
/// Memory that the program has given out.
const HEAP: &str = "heap_used_bytes";

/// What was seen of an instance at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// When.
    pub at: Instant,
    /// Time that its process has had on processors.
    pub cpu: Duration,
    /// Requests it has answered; none when it did not say.
    pub requests: Option<u64>,
    /// Bytes of its heap in use; none when it did not say.
    pub heap_bytes: Option<u64>,
}

/// What two looks say together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Share of one processor, in percent.
    pub cpu_percent: Option<f64>,
    /// Requests in a second.
    pub requests_per_s: Option<f64>,
}

impl Look {
    /// A look at a process, and at the text of its metrics if it has given one.
    pub fn new(at: Instant, cpu: Duration, metrics: Option<&str>) -> Self {
        let requests = metrics.and_then(|text| {
            let counts: Vec<u64> = REQUESTS.iter().filter_map(|name| sum(text, name)).collect();
            (!counts.is_empty()).then(|| counts.iter().sum())
        });
        Self { at, cpu, requests, heap_bytes: metrics.and_then(|text| sum(text, HEAP)) }
    }

    /// What has happened since an earlier look.
    pub fn since(&self, earlier: &Self) -> Rates {
        let seconds = self.at.saturating_duration_since(earlier.at).as_secs_f64();
        if seconds <= 0.0 {
            return Rates::default();
        }
        let cpu = self.cpu.saturating_sub(earlier.cpu).as_secs_f64();
        let requests = self.requests.zip(earlier.requests);
        let requests = requests
            .map(|(now, before)| now.saturating_sub(before).saturating_sub(OWN_REQUESTS) as f64 / seconds);
        Rates { cpu_percent: Some(tenths(cpu / seconds * 100.0)), requests_per_s: requests.map(tenths) }
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The sum of a metric's samples in Prometheus' text format; none when there is no such metric.
fn sum(text: &str, name: &str) -> Option<u64> {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let rest = rest.strip_prefix('{').map_or(Some(rest), |labels| Some(labels.split_once("} ")?.1))?;
        rest.trim().parse::<u64>().ok()
    };
    text.lines().filter_map(value).reduce(|sum, value| sum.saturating_add(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "# HELP http_requests_total Answered HTTP requests.\n\
        http_requests_total{method=\"GET\",status=\"2xx\"} 70\n\
        http_requests_total{method=\"POST\",status=\"2xx\"} 30\nhttp_requests_totally 9\nheap_used_bytes 4096\n";

    #[test]
    fn samples_of_all_labels_are_added_up() {
        assert_eq!(sum(METRICS, "http_requests_total"), Some(100));
        assert_eq!(sum(METRICS, "heap_used_bytes"), Some(4096));
        assert_eq!(sum(METRICS, "heap_free_bytes"), None);
        assert_eq!(sum("a{b=\"} 7\"} 8\na x\na", "a"), None);
    }

    #[test]
    fn rates_are_differences_between_two_samples() {
        let start = Instant::now();
        let before = Look::new(start, Duration::from_millis(100), Some(METRICS));
        let later = start + Duration::from_millis(500);
        let mut now = Look::new(later, Duration::from_millis(350), Some(METRICS));
        now.requests = Some(227);
        let rates = now.since(&before);
        assert_eq!(rates, Rates { cpu_percent: Some(50.0), requests_per_s: Some(250.0) });
        let silent = Look::new(later, Duration::from_millis(100), None);
        assert_eq!(silent.since(&before), Rates { cpu_percent: Some(0.0), requests_per_s: None });
        assert_eq!(before.since(&before), Rates::default());
    }
}
