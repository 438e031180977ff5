//! Results that have everything a report can meet: both executions, a missing and a failed substrate,
//! voided samples, notes, and texts that would be markup if they were let.

use std::collections::BTreeMap;

use crate::record::Execution;
use crate::record::Run;
use crate::record::{Cache, Counted, Generator, Measure, Method, Metric, Sample};
use crate::results::{self, Results};

/// What a log may say.
pub const HOSTILE: &str =
    "ended: <script>alert('1')</script> & \"quoted\" | piped\n</pre></details> second line";
/// Why a substrate is missing: as long as those that name all packages.
pub const MISSING: &str = "no <kernel> here; missing: linux, dockerd, containerd, runc, iptables: run `apt-get update && \
    apt-get install --yes --no-install-recommends containerd docker.io iptables linux-image-amd64 runc`; \
    found: the file /boot/vmlinuz cannot be read: No such file or directory (os error 2): a kernel is needed";
/// Why samples do not count.
pub const VOIDED: &str = "3 of 100 answers were <b>wrong</b>";
/// What is said of a figure.
pub const NOTE: &str = "extrapolated from <i>4</i> instances";

const ROUNDS: u32 = 3;

/// Why a machine's memory is not told in parts.
pub const NO_PARTS: &str = "the guest's part is not known: none of its mappings has the machine's 96 MiB";

/// The results of a run in which a native process is `speed` times as fast as here otherwise.
pub fn results(speed: f64) -> Results {
    let run = Run {
        commit: "0123456789ab".to_owned(),
        quick: false,
        rounds: ROUNDS,
        substrates: vec![
            ("hermit-q35".to_owned(), None),
            ("linux-q35".to_owned(), None),
            ("linux-microvm".to_owned(), Some(MISSING.to_owned())),
            ("docker-bridge".to_owned(), None),
            ("native".to_owned(), None),
        ],
        ..crate::run_dir::tests::run()
    };
    let mut samples: Vec<Sample> = (0..ROUNDS).flat_map(|round| round_of(round, speed)).collect();
    samples.push(Sample { voided: Some(VOIDED.to_owned()), ..sample(0, "linux-q35", rate(256), 1.0) });
    let failures = BTreeMap::from([("docker-bridge".to_owned(), vec![HOSTILE.to_owned()])]);
    Results::new(&run, true, execution, &samples, &failures)
}

/// The results of a run that was interrupted before its first sample.
pub fn nothing() -> Results {
    let run = Run {
        substrates: vec![("hermit-q35".to_owned(), None), ("linux-q35".to_owned(), None)],
        ..crate::run_dir::tests::run()
    };
    Results::new(&run, false, execution, &[], &BTreeMap::new())
}

/// GETs over kept connections by `ab`.
pub fn rate(connections: u32) -> Measure {
    results::load(Method::Get, true, connections, Generator::Ab)
}

fn execution(id: &str) -> Execution {
    match id {
        "native" | "docker-bridge" => Execution::Native,
        _ => Execution::Emulated,
    }
}

fn round_of(round: u32, speed: f64) -> Vec<Sample> {
    let noise = 1.0 + 0.01 * f64::from(round);
    let mut samples = Vec::new();
    for (id, factor) in [("hermit-q35", 1.0), ("linux-q35", 10.0), ("native", 0.1 / speed)] {
        let cost = factor * noise;
        samples.extend(starts(round, id, 100.0 * cost));
        samples.push(sample(round, id, rate(16), 20_000.0 / cost));
        samples.push(sample(round, id, rate(1), 5_000.0 / cost));
        samples.push(open_loop(round, id, cost));
        samples.push(resident(round, id, 40.0 * cost));
        samples.push(sample(round, id, Measure::Idle, 0.5 * cost));
        samples.push(sample(round, id, Measure::EndToEnd, 3.0 * cost));
        samples.push(sample(round, id, Measure::Scaling { instances: 2 }, 30_000.0 / cost));
        if round == 0 {
            samples.push(sample(round, id, Measure::Size, 500_000.0 * factor));
            let density = sample(round, id, Measure::Density, (25.0 / factor).round());
            samples.push(Sample { note: Some(NOTE.to_owned()), ..density });
        }
        if round == 0 && id != "native" {
            samples.push(sample(round, id, Measure::LeastMemory, 10.0 * factor));
            samples.push(sample(round, id, Measure::Instructions { of: Counted::Boot }, 87e6 * factor));
            samples.push(sample(
                round,
                id,
                Measure::Instructions { of: Counted::GetClose },
                29_000.0 * factor,
            ));
            let boot = Measure::Exits { of: Counted::Boot, connections: 1 };
            samples.push(sample(round, id, boot, 500.0 * factor));
            samples.push(sample(round, id, Measure::ExitsAtRest, 3.25 * factor));
        }
    }
    samples
}

fn starts(round: u32, id: &str, ms: f64) -> [Sample; 2] {
    [(Cache::Warm, ms), (Cache::Cold, 1.5 * ms)].map(|(cache, ms)| Sample {
        timeline: vec![("firmware <x>".to_owned(), 0.4 * ms), ("first 200".to_owned(), ms)],
        ..sample(round, id, Measure::Start { cache }, ms)
    })
}

/// Memory under load; of a unikernel in its parts, and of a Linux machine with why there are none.
fn resident(round: u32, id: &str, mib: f64) -> Sample {
    let whole = sample(round, id, Measure::Resident, mib);
    match id {
        "hermit-q35" => {
            let parts = [(Metric::GuestMemoryMib, 0.3 * mib), (Metric::VmmMemoryMib, 0.7 * mib)];
            Sample { metrics: whole.metrics.into_iter().chain(parts).collect(), ..whole }
        }
        "linux-q35" => Sample { note: Some(NO_PARTS.to_owned()), ..whole },
        _ => whole,
    }
}

fn open_loop(round: u32, id: &str, ms: f64) -> Sample {
    let measure = results::load(Method::Get, true, 16, Generator::OhaSameRate);
    let curve = vec![(50.0, ms), (90.0, 2.0 * ms), (99.0, 4.0 * ms), (99.9, 8.0 * ms)];
    let metrics = [Metric::P50Ms, Metric::P90Ms, Metric::P99Ms, Metric::P999Ms];
    let metrics = metrics.into_iter().zip(curve.iter().map(|(_, ms)| *ms)).collect();
    Sample { curve, metrics, ..sample(round, id, measure, 0.0) }
}

fn sample(round: u32, substrate: &str, measure: Measure, value: f64) -> Sample {
    let metric = match measure {
        Measure::Load(_) | Measure::Scaling { .. } => Metric::RequestsPerSecond,
        Measure::Size => Metric::CompressedBytes,
        Measure::LeastMemory | Measure::Resident => Metric::MemoryMib,
        Measure::Idle => Metric::CorePercent,
        Measure::Density => Metric::Instances,
        Measure::Instructions { .. } => Metric::Instructions,
        Measure::Exits { .. } | Measure::ExitsAtRest => Metric::Exits,
        Measure::Start { .. } | Measure::EndToEnd => Metric::Ms,
    };
    Sample {
        round,
        substrate: substrate.to_owned(),
        measure,
        metrics: [(metric, value)].into(),
        curve: Vec::new(),
        timeline: Vec::new(),
        voided: None,
        note: None,
    }
}
