//! The results of a run, `results.json`: summaries of samples, and ratios of paired ones.
//!
//! Documented in `docs/comparison-schema.md`. Draws no picture; `report` does.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::peer::Peer;
use crate::record::{Execution, Generator, Load, Machine, Measure, Method, Metric, Run, Sample};
use crate::statistics::{self, Ratio, Summary};
use crate::substrate;

/// Version of the schema; a reader refuses what it does not know.
pub const SCHEMA: u32 = 1;
/// Connections of the loads that a report's first figures are about, where they were measured.
const USUAL_CONNECTIONS: u32 = 16;
/// Ratios are those of each unikernel to each of the others.
const UNIKERNELS: [&str; 6] = [
    "hermit-q35",
    "hermit-microvm",
    "hermit-uhyve",
    "hermit-firecracker",
    "hermit-cloud-hypervisor",
    "one-image",
];

/// Everything that a report says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When the run began, in RFC 3339, UTC.
    pub begun: String,
    /// Commit that was measured, with `+` when files differed from it.
    pub commit: String,
    /// Whether it was the short run.
    pub quick: bool,
    /// Rounds that were planned.
    pub rounds: u32,
    /// Whether every planned visit was made.
    pub complete: bool,
    pub machine: Machine,
    /// One for each substrate, measured or not.
    pub substrates: Vec<SubstrateRecord>,
    /// One for each measure of each substrate.
    pub cells: Vec<Cell>,
    /// Unikernels against the others.
    pub ratios: Vec<PairedRatio>,
}

/// A substrate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubstrateRecord {
    pub id: String,
    pub title: String,
    /// What runs its instructions.
    pub execution: Execution,
    /// Why it was not measured, if so.
    pub missing: Option<String>,
    /// What failed, each with its log.
    pub failures: Vec<String>,
}

/// A measure of a substrate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub substrate: String,
    pub measure: Measure,
    /// Its figures over all samples that count.
    pub metrics: BTreeMap<Metric, Summary>,
    /// Latency at each percentile, of the sample with the median p99.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<(f64, f64)>,
    /// Stages of a start: medians.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<(String, f64)>,
    /// Why samples do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voided: Vec<String>,
    /// What a reader must know of how the figures came about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A figure of a unikernel by the same figure of another substrate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedRatio {
    pub unikernel: String,
    pub against: String,
    /// Whether both run on the same kind of processor: both emulated, or both not.
    pub alike: bool,
    pub measure: Measure,
    pub metric: Metric,
    /// The unikernel's figure by the other's.
    pub ratio: Ratio,
}

impl Results {
    /// The results of a run's samples.
    pub fn new(
        run: &Run,
        complete: bool,
        executions: impl Fn(&str) -> Execution,
        samples: &[Sample],
        failures: &BTreeMap<String, Vec<String>>,
    ) -> Self {
        let substrate = |(id, missing): &(String, Option<String>)| SubstrateRecord {
            id: id.clone(),
            title: title(&run.peers, id),
            execution: executions(id),
            missing: missing.clone(),
            failures: failures.get(id).cloned().unwrap_or_default(),
        };
        let groups = by_cell(samples);
        Self {
            schema: SCHEMA,
            begun: run.begun.clone(),
            commit: run.commit.clone(),
            quick: run.quick,
            rounds: run.rounds,
            complete,
            machine: run.machine.clone(),
            ratios: ratios(&groups, &executions),
            cells: groups.into_iter().map(|((id, measure), samples)| cell(id, measure, &samples)).collect(),
            substrates: run.substrates.iter().map(substrate).collect(),
        }
    }

    /// A substrate of the run.
    pub fn substrate(&self, id: &str) -> Option<&SubstrateRecord> {
        self.substrates.iter().find(|substrate| substrate.id == id)
    }

    /// Name of a substrate for people.
    pub fn title<'a>(&'a self, id: &'a str) -> &'a str {
        self.substrate(id).map_or(id, |substrate| &substrate.title)
    }

    /// The loads that were measured, some several times.
    pub fn loads(&self) -> impl Iterator<Item = Load> {
        self.cells.iter().filter_map(|cell| match cell.measure {
            Measure::Load(load) => Some(load),
            _ => None,
        })
    }

    /// Numbers of connections that were measured with a generator.
    pub fn connections(&self, generator: Generator) -> Vec<u32> {
        let loads = self.loads().filter(|load| load.generator == generator);
        loads.map(|load| load.connections).collect::<BTreeSet<u32>>().into_iter().collect()
    }

    /// The connections that were measured that are nearest to the usual ones.
    pub fn usual_connections(&self) -> u32 {
        let connections = self.loads().map(|load| load.connections);
        connections.min_by_key(|of| of.abs_diff(USUAL_CONNECTIONS)).unwrap_or(USUAL_CONNECTIONS)
    }

    /// The cell of a measure of a substrate.
    pub fn cell(&self, substrate: &str, measure: &Measure) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.substrate == substrate && cell.measure == *measure)
    }

    /// A figure of it.
    pub fn figure(&self, substrate: &str, measure: &Measure, metric: Metric) -> Option<Summary> {
        self.cell(substrate, measure)?.metrics.get(&metric).copied()
    }
}

/// Name of a run's substrate for people.
fn title(peers: &[Peer], id: &str) -> String {
    substrate::find(peers, id).map_or(id, |candidate| candidate.title).to_owned()
}

/// Whether a substrate runs the application as unikernels.
pub fn is_unikernel(id: &str) -> bool {
    UNIKERNELS.contains(&id)
}

type Groups<'a> = BTreeMap<(String, Measure), Vec<&'a Sample>>;

fn by_cell(samples: &[Sample]) -> Groups<'_> {
    let mut groups = Groups::new();
    for sample in samples {
        groups.entry((sample.substrate.clone(), sample.measure.clone())).or_default().push(sample);
    }
    groups
}

fn cell(substrate: String, measure: Measure, samples: &[&Sample]) -> Cell {
    let counted: Vec<&Sample> = samples.iter().copied().filter(|sample| sample.voided.is_none()).collect();
    let mut values: BTreeMap<Metric, Vec<f64>> = BTreeMap::new();
    for (metric, value) in counted.iter().flat_map(|sample| &sample.metrics) {
        values.entry(*metric).or_default().push(*value);
    }
    let metrics = values
        .into_iter()
        .filter_map(|(metric, values)| Some((metric, statistics::summary(&values)?)))
        .collect();
    let mut notes: Vec<String> = counted.iter().filter_map(|sample| sample.note.clone()).collect();
    notes.sort();
    notes.dedup();
    Cell {
        substrate,
        measure,
        metrics,
        curve: middle_curve(&counted),
        timeline: median_timeline(&counted),
        voided: samples.iter().filter_map(|sample| sample.voided.clone()).collect(),
        notes,
    }
}

fn middle_curve(samples: &[&Sample]) -> Vec<(f64, f64)> {
    let p99 = |sample: &Sample| sample.metrics.get(&Metric::P99Ms).copied().unwrap_or(f64::MAX);
    let mut with: Vec<&&Sample> = samples.iter().filter(|sample| !sample.curve.is_empty()).collect();
    with.sort_by(|a, b| p99(a).total_cmp(&p99(b)));
    with.get(with.len().saturating_sub(1) / 2).map(|sample| sample.curve.clone()).unwrap_or_default()
}

/// The median of each stage that all samples reached, in the order of the first sample's.
fn median_timeline(samples: &[&Sample]) -> Vec<(String, f64)> {
    let Some(first) = samples.first() else { return Vec::new() };
    let reached = |stage: &str| -> Vec<f64> {
        let times = samples.iter().flat_map(|sample| &sample.timeline);
        times.filter(|(name, _)| name == stage).map(|(_, ms)| *ms).collect()
    };
    let stage = |(name, _): &(String, f64)| Some((name.clone(), statistics::summary(&reached(name))?.median));
    first.timeline.iter().filter_map(stage).collect()
}

fn ratios(groups: &Groups, executions: &impl Fn(&str) -> Execution) -> Vec<PairedRatio> {
    let emulated = |id: &str| executions(id).is_emulated();
    let mut ratios = Vec::new();
    for ((unikernel, measure), own) in groups.iter().filter(|((id, _), _)| is_unikernel(id)) {
        let others = groups.iter().filter(|((id, what), _)| what == measure && id != unikernel);
        for ((against, _), other) in others {
            let metrics: BTreeSet<Metric> =
                own.iter().flat_map(|sample| sample.metrics.keys().copied()).collect();
            let paired = |metric| {
                let ratio = statistics::paired_ratio(&pairs(own, other, metric))?;
                let (alike, measure) = (emulated(unikernel) == emulated(against), measure.clone());
                let (unikernel, against) = (unikernel.clone(), against.clone());
                Some(PairedRatio { unikernel, against, alike, measure, metric, ratio })
            };
            ratios.extend(metrics.into_iter().filter_map(paired));
        }
    }
    ratios
}

/// Values of samples of the same round, in their order within it.
fn pairs(own: &[&Sample], other: &[&Sample], metric: Metric) -> Vec<(f64, f64)> {
    let of = |samples: &[&Sample], round| -> Vec<f64> {
        let counted = samples.iter().filter(|sample| sample.round == round && sample.voided.is_none());
        counted.filter_map(|sample| sample.metrics.get(&metric).copied()).collect()
    };
    let rounds = own.iter().map(|sample| sample.round).collect::<BTreeSet<u32>>();
    rounds.into_iter().flat_map(|round| of(own, round).into_iter().zip(of(other, round))).collect()
}

/// The measure of a load.
pub fn load(method: Method, keep_alive: bool, connections: u32, generator: Generator) -> Measure {
    Measure::Load(Load { method, keep_alive, connections, generator })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_dir::tests::run;

    fn sample(substrate: &str, round: u32, rate: f64) -> Sample {
        Sample {
            round,
            substrate: substrate.to_owned(),
            measure: load(Method::Get, true, 16, Generator::Ab),
            metrics: [(Metric::RequestsPerSecond, rate)].into(),
            curve: Vec::new(),
            timeline: Vec::new(),
            voided: None,
            note: None,
        }
    }

    fn results(samples: &[Sample]) -> Results {
        let execution = |id: &str| if id == "native" { Execution::Native } else { Execution::Emulated };
        Results::new(&run(), true, execution, samples, &BTreeMap::new())
    }

    #[test]
    fn samples_of_a_round_are_paired_and_voided_samples_are_left_out() {
        let voided = Sample { voided: Some("3 of 10 failed".to_owned()), ..sample("linux-q35", 1, 1.0) };
        let results = results(&[
            sample("hermit-q35", 0, 400.0),
            sample("hermit-q35", 1, 999.0),
            sample("hermit-q35", 2, 800.0),
            sample("linux-q35", 0, 100.0),
            voided,
            sample("linux-q35", 2, 200.0),
        ]);
        let comparison = results.ratios.first().expect("a ratio");
        assert!((comparison.ratio.ratio - 4.0).abs() < 1e-9 && comparison.ratio.pairs == 2);
        assert!(comparison.alike);
        let cell = results.cell("linux-q35", &load(Method::Get, true, 16, Generator::Ab)).expect("a cell");
        assert_eq!(cell.voided, ["3 of 10 failed"]);
        assert_eq!(cell.metrics[&Metric::RequestsPerSecond].count, 2);
    }

    #[test]
    fn emulated_against_native_is_marked() {
        let results = results(&[sample("hermit-q35", 0, 2.0), sample("native", 0, 1.0)]);
        assert_eq!(results.ratios.iter().map(|ratio| ratio.alike).collect::<Vec<_>>(), [false]);
    }

    #[test]
    fn results_come_back_as_they_were_written() {
        let results = results(&[sample("hermit-q35", 0, 2.5)]);
        let text = serde_json::to_string(&results).expect("serializable");
        assert_eq!(serde_json::from_str::<Results>(&text).expect("readable"), results);
    }
}
