//! What one measurement gives: a sample, as it is appended to a run's `samples.jsonl`.
//!
//! Draws no conclusions; `results` does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A part of the measurements that is taken in one visit to a substrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Bytes of what is shipped.
    Size,
    /// Start to first 200, cold and warm.
    Start,
    /// Least memory with which a vote service answers.
    LeastMemory,
    /// GETs of the vote page.
    Get,
    /// Votes.
    Post,
    /// The whole application: idle, resident memory, from a vote to the result page's event.
    Application,
    /// One, two and four vote instances.
    Scaling,
    /// Vote instances in 1 GiB.
    Density,
    /// Guest instructions per boot, GET and POST.
    Instructions,
}

/// What was measured, with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Measure {
    /// Bytes of what is shipped for the vote service ([`Metric::Bytes`], [`Metric::CompressedBytes`]).
    Size,
    /// One start of the vote service ([`Metric::Ms`]).
    Start {
        /// State of the page cache.
        cache: Cache,
    },
    /// [`Metric::MemoryMib`] that the vote service's machine or container was limited to.
    LeastMemory,
    /// Memory that the vote service holds on the host while it is loaded ([`Metric::MemoryMib`]).
    Resident,
    /// One run of a load generator.
    Load(Load),
    /// Time from a voter's POST to the event on the result page ([`Metric::Ms`]).
    EndToEnd,
    /// Processor time of the whole idle application ([`Metric::CorePercent`]).
    Idle,
    /// [`Metric::Instances`] of vote in 1 GiB of the host's memory.
    Density,
    /// Guest instructions ([`Metric::Instructions`]) for one of these, and accesses to emulated devices
    /// ([`Metric::DeviceAccesses`]).
    Instructions {
        /// What was counted.
        of: Counted,
    },
    /// Several vote instances, each with a generator of its own ([`Metric::RequestsPerSecond`] in all).
    Scaling {
        /// How many.
        instances: u32,
    },
}

/// State of the page cache before a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cache {
    /// What is started has been dropped from it.
    Cold,
    /// What is started was read just before.
    Warm,
}

/// A load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Load {
    /// Kind of request.
    pub method: Method,
    /// Whether connections are kept.
    pub keep_alive: bool,
    /// Connections at the same time.
    pub connections: u32,
    /// What makes the load.
    pub generator: Generator,
}

/// Kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// The vote page.
    Get,
    /// A vote of a new voter.
    Post,
}

/// What makes a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Generator {
    /// ApacheBench: a closed loop, as fast as it goes.
    Ab,
    /// oha at a fixed rate, in share of what `ab` reached just before: latency counted from when a
    /// request was due.
    Oha,
    /// oha at a rate that is the same for all substrates.
    OhaSameRate,
}

/// What instructions are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// From the machine's first instruction to a service that waits for requests.
    Boot,
    /// One GET over a connection of its own, 16 at a time.
    GetClose,
    /// One GET over a kept connection, 16 at a time.
    GetKeepAlive,
    /// One vote over a connection of its own, 16 at a time.
    PostClose,
    /// One vote over a kept connection, 16 at a time.
    PostKeepAlive,
}

/// A figure's meaning; its unit is part of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Completed requests each second.
    RequestsPerSecond,
    /// Requests each second that an open loop asked for.
    OfferedPerSecond,
    /// Time in milliseconds.
    Ms,
    /// Median latency in milliseconds.
    P50Ms,
    /// 90th percentile in milliseconds.
    P90Ms,
    /// 99th percentile in milliseconds.
    P99Ms,
    /// 99.9th percentile in milliseconds.
    P999Ms,
    /// Bytes as they are.
    Bytes,
    /// Bytes after gzip.
    CompressedBytes,
    /// Memory in MiB.
    MemoryMib,
    /// Share of one core in percent.
    CorePercent,
    /// A number of instances.
    Instances,
    /// Guest instructions.
    Instructions,
    /// Reads and writes of emulated devices' registers by the guest.
    DeviceAccesses,
}

impl Metric {
    /// Whether more of it is better.
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::RequestsPerSecond | Self::OfferedPerSecond | Self::Instances)
    }
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Round, from 0. Samples of one round are pairs of each other.
    pub round: u32,
    /// Identifier of the substrate.
    pub substrate: String,
    /// What was measured.
    pub measure: Measure,
    /// The figures.
    pub metrics: BTreeMap<Metric, f64>,
    /// Latency in milliseconds at each percentile (0 to 100), for loads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<(f64, f64)>,
    /// Stages of a start, each with the milliseconds after which it was reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<(String, f64)>,
    /// Why the sample does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided: Option<String>,
    /// What a reader must know of how the figure came about, such as an extrapolation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
