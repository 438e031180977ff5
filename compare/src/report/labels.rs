//! The report's words for measures, figures, and what runs a substrate.
//!
//! How figures are written is the business of `number`.

use crate::record::{Cache, Counted, Execution, Generator, Load, Measure, Method, Metric};

/// What runs a substrate's instructions, in one word.
pub fn execution(execution: Execution) -> &'static str {
    match execution {
        Execution::Native => "native",
        Execution::Accelerated => "accelerated",
        Execution::Emulated => "emulated",
    }
}

/// A measure with its parameters.
pub fn measure(measure: &Measure) -> String {
    match measure {
        Measure::Size => "image size".to_owned(),
        Measure::Start { cache } => format!("start to first 200, {}", self::cache(*cache)),
        Measure::LeastMemory => "least memory".to_owned(),
        Measure::Resident => "resident memory under load".to_owned(),
        Measure::Load(load) => self::load(load),
        Measure::EndToEnd => "vote to result event".to_owned(),
        Measure::Idle => "idle processor time".to_owned(),
        Measure::Density => "vote instances in 1 GiB".to_owned(),
        Measure::Instructions { of } => counted(*of).to_owned(),
        Measure::Exits { of: Counted::Boot, .. } => "exits per boot".to_owned(),
        Measure::Exits { of, connections } => match of.request() {
            Some((method, keep_alive)) => {
                format!("exits per {}, c\u{a0}=\u{a0}{connections}", requests(method, keep_alive))
            }
            None => "exits".to_owned(),
        },
        Measure::ExitsAtRest => "exits per second of rest".to_owned(),
        Measure::Scaling { instances } => format!("GET, {instances} × vote, requests/s"),
    }
}

pub fn load(load: &Load) -> String {
    let Load { method, keep_alive, connections, generator } = load;
    let (requests, generator) = (requests(*method, *keep_alive), self::generator(*generator));
    format!("{requests}, c\u{a0}=\u{a0}{connections}, {generator}")
}

/// Kind of request and of connection.
pub fn requests(method: Method, keep_alive: bool) -> String {
    let method = match method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    format!("{method} {} keep-alive", if keep_alive { "with" } else { "without" })
}

pub fn generator(generator: Generator) -> &'static str {
    match generator {
        Generator::Ab => "ab",
        Generator::Oha => "oha",
        Generator::OhaSameRate => "oha at one rate",
    }
}

/// How the load is made, as a sentence's end.
pub fn generator_explained(generator: Generator) -> &'static str {
    match generator {
        Generator::Ab => "ab, a closed loop: each connection asks again when it was answered",
        Generator::Oha => {
            "oha, an open loop at a share of what ab reached: latency counts from when a request was due"
        }
        Generator::OhaSameRate => "oha, an open loop at the same rate for every substrate",
    }
}

/// State of the page cache.
pub fn cache(cache: Cache) -> &'static str {
    match cache {
        Cache::Cold => "cold page cache",
        Cache::Warm => "warm page cache",
    }
}

/// What instructions are counted for.
pub fn counted(counted: Counted) -> &'static str {
    match counted {
        Counted::Boot => "instructions per boot",
        Counted::GetClose => "instructions per GET without keep-alive",
        Counted::GetKeepAlive => "instructions per GET with keep-alive",
        Counted::PostClose => "instructions per POST without keep-alive",
        Counted::PostKeepAlive => "instructions per POST with keep-alive",
    }
}

/// A figure's meaning.
pub fn metric(metric: Metric) -> &'static str {
    match metric {
        Metric::RequestsPerSecond => "requests/s",
        Metric::OfferedPerSecond => "asked for",
        Metric::Ms => "time",
        Metric::P50Ms => "p50",
        Metric::P90Ms => "p90",
        Metric::P99Ms => "p99",
        Metric::P999Ms => "p99.9",
        Metric::Bytes => "as it is",
        Metric::CompressedBytes => "after gzip",
        Metric::MemoryMib => "memory",
        Metric::GuestMemoryMib => "the guest's part",
        Metric::VmmMemoryMib => "the VMM's part",
        Metric::CorePercent => "of one core",
        Metric::Instances => "instances",
        Metric::Instructions => "instructions",
        Metric::DeviceAccesses => "device accesses",
        Metric::Exits => "exits",
    }
}

/// A text with a capital letter at its beginning.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A measure and which figure of it, where it has several.
pub fn figure(measure: &Measure, metric: Metric) -> String {
    match measure {
        Measure::Size | Measure::Load(_) => format!("{}: {}", self::measure(measure), self::metric(metric)),
        Measure::Instructions { of } if metric == Metric::DeviceAccesses => {
            counted(*of).replacen(self::metric(Metric::Instructions), self::metric(metric), 1)
        }
        Measure::Resident if metric != Metric::MemoryMib => {
            format!("{}: {}", self::measure(measure), self::metric(metric))
        }
        _ => self::measure(measure),
    }
}

/// What "better" means for a figure, then "worse".
pub fn better_and_worse(metric: Metric) -> (&'static str, &'static str) {
    match metric {
        Metric::MemoryMib | Metric::GuestMemoryMib | Metric::VmmMemoryMib => ("less memory", "more memory"),
        Metric::RequestsPerSecond => ("as many requests", "fewer requests"),
        Metric::Instructions => ("fewer instructions", "more instructions"),
        _ => ("sooner", "later"),
    }
}

/// How a sentence tells that it is better and that it is worse, with `#` for how much.
pub fn phrases(measure: &Measure) -> Option<(&'static str, &'static str)> {
    Some(match measure {
        Measure::Start { .. } => ("answers # sooner after its start", "answers # later after its start"),
        Measure::LeastMemory => ("boots with # less memory", "needs # more memory to boot"),
        Measure::Resident => ("holds # less of the host's memory", "holds # more of the host's memory"),
        Measure::Load(load) if load.keep_alive => {
            ("# as many over kept connections", "# fewer over kept connections")
        }
        Measure::Load(Load { method: Method::Get, .. }) => ("serves # as many GETs", "serves # fewer GETs"),
        Measure::Load(_) => ("takes # as many votes per second", "takes # fewer votes per second"),
        _ => return None,
    })
}

/// The first line of a reason, whole: how to mend it may be at its end.
pub fn brief(reason: &str) -> &str {
    reason.lines().next().unwrap_or_default()
}
