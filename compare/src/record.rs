//! The words of a run: what is measured, in which visits, and what one measurement gives, a sample.
//!
//! They are what `run.json` and `samples.jsonl` are made of. Draws no conclusions; `results` does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::peer::Peer;

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
    /// Exits under KVM per boot, GET, POST and second of rest.
    Exits,
}

impl Group {
    /// Its name in files.
    pub fn name(self) -> String {
        name(self)
    }
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
    /// Memory that the vote service holds on the host while it is loaded ([`Metric::MemoryMib`]); of a virtual
    /// machine also its parts ([`Metric::GuestMemoryMib`], [`Metric::VmmMemoryMib`]).
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
    Instructions { of: Counted },
    /// [`Metric::Exits`] under KVM for one of these, of so many requests at the same time; a boot is with its first
    /// answer.
    Exits { of: Counted, connections: u32 },
    /// [`Metric::Exits`] under KVM in a second without requests.
    ExitsAtRest,
    /// Several vote instances, each with a generator of its own ([`Metric::RequestsPerSecond`] in all).
    Scaling { instances: u32 },
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Load {
    pub method: Method,
    pub keep_alive: bool,
    /// Connections at the same time.
    pub connections: u32,
    pub generator: Generator,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// The vote page.
    Get,
    /// A vote of a new voter.
    Post,
}

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

/// What instructions and exits are counted for.
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

impl Counted {
    /// Everything that is counted.
    pub const ALL: [Self; 5] =
        [Self::Boot, Self::GetClose, Self::GetKeepAlive, Self::PostClose, Self::PostKeepAlive];

    /// Its name in files.
    pub fn name(self) -> String {
        name(self)
    }

    /// Kind of request and whether its connection is kept; none for the boot.
    pub fn request(self) -> Option<(Method, bool)> {
        let place = Self::ALL[1..].iter().position(|of| *of == self)?;
        KINDS.get(place).copied()
    }
}

/// What a value without parameters is called in files.
fn name(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// The four kinds of load: what is asked, and whether connections are kept.
pub const KINDS: [(Method, bool); 4] =
    [(Method::Get, false), (Method::Get, true), (Method::Post, false), (Method::Post, true)];
/// Numbers of vote instances that are loaded together.
pub const SCALING: [u32; 3] = [1, 2, 4];

/// A figure's meaning; its unit is part of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    RequestsPerSecond,
    /// Requests each second that an open loop asked for.
    OfferedPerSecond,
    Ms,
    P50Ms,
    P90Ms,
    P99Ms,
    P999Ms,
    Bytes,
    /// Bytes after gzip.
    CompressedBytes,
    MemoryMib,
    /// The part of it that is a guest's memory.
    GuestMemoryMib,
    /// The part that is its VMM's own.
    VmmMemoryMib,
    /// Share of one core in percent.
    CorePercent,
    Instances,
    Instructions,
    /// Reads and writes of emulated devices' registers by the guest.
    DeviceAccesses,
    /// Times that the processor leaves the guest, without those for interrupts of the host.
    Exits,
}

impl Metric {
    /// Whether more of it is better.
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::RequestsPerSecond | Self::OfferedPerSecond | Self::Instances)
    }

    /// Whether it is a count, which hardly varies, and not a time.
    pub fn is_count(self) -> bool {
        let sizes = matches!(self, Self::Bytes | Self::CompressedBytes | Self::Instances);
        sizes || matches!(self, Self::Instructions | Self::DeviceAccesses | Self::Exits)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Round, from 0. Samples of one round are pairs of each other.
    pub round: u32,
    pub substrate: String,
    pub measure: Measure,
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

/// One group of measurements on one substrate in one round.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Visit {
    pub round: u32,
    pub group: Group,
    pub substrate: String,
}

/// What a run is, decided when it begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// When it began, in RFC 3339, UTC.
    pub begun: String,
    /// Commit of the clone, with `+` when files differ from it.
    pub commit: String,
    /// Whether it is the short run.
    pub quick: bool,
    /// How often each measurement is repeated.
    pub rounds: u32,
    /// Substrates that are measured, by identifier; each with why it cannot be, if so.
    pub substrates: Vec<(String, Option<String>)>,
    /// Peers among them, as they were described when it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
    pub machine: Machine,
}

/// The machine that was measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Model of its processor.
    pub processor: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub system: String,
    pub kernel: String,
    /// Version of QEMU, if there is one.
    pub qemu: Option<String>,
    /// Version of Docker's engine, if there is one.
    pub docker: Option<String>,
    /// What runs guests: `kvm` or `tcg`.
    pub accelerator: String,
    /// Load generators with their versions.
    pub generators: Vec<String>,
}

/// What runs a substrate's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Execution {
    /// The host's processor, without a virtual machine.
    Native,
    /// The host's processor in a virtual machine (KVM).
    Accelerated,
    /// QEMU's translator (TCG).
    Emulated,
}

impl Execution {
    pub fn is_emulated(self) -> bool {
        self == Self::Emulated
    }
}
