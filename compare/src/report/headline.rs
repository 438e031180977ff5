//! The answer in a few figures: a unikernel against one other substrate at a time.
//!
//! The goals are the project's own; reaching one is said, never assumed.

use super::factor::{Factor, Verdict, execution};
use super::table::brief;
use super::{labels, number};
use crate::record::{Cache, Counted, Generator, Load, Measure, Method, Metric};
use crate::results::{self, Results};
use crate::substrate::Execution;

/// Connections of the loads that the headline is about, where they were measured.
const CONNECTIONS: u32 = 16;
/// A unikernel and the Linux machine with the same virtual hardware, best first.
const MACHINES: [(&str, &str); 2] = [("hermit-q35", "linux-q35"), ("hermit-microvm", "linux-microvm")];
/// What else the unikernel is set against, each under its own label.
const OTHERS: [&str; 2] = ["docker-bridge", "original"];

/// A unikernel against another substrate.
pub struct Duel {
    /// The unikernel's name.
    pub unikernel: String,
    /// The other's name.
    pub other: String,
    /// What is compared with what.
    pub pairing: String,
    /// Whether both run on the same kind of processor.
    pub alike: bool,
    /// Which of the two was not measured and why, if so.
    pub missing: Option<String>,
    /// The figures.
    pub cards: Vec<Card>,
}

/// One figure of both.
pub struct Card {
    /// What was measured.
    pub title: String,
    /// The unikernel's median.
    pub own: Option<String>,
    /// The other's median.
    pub other: Option<String>,
    /// How many times better the unikernel is.
    pub factor: Option<Factor>,
    /// What "better" means, then "worse", such as `sooner`.
    pub words: (&'static str, &'static str),
    /// How a sentence tells that it is better and that it is worse, with `#` for how much.
    pub phrases: Option<(&'static str, &'static str)>,
    /// The goal, and whether it is reached where there is a figure.
    pub goal: Option<(String, Option<bool>)>,
}

impl Card {
    /// The factor with its word, such as `21.4× sooner`.
    pub fn verdict(&self) -> Option<(String, &'static str)> {
        let factor = self.factor.as_ref()?;
        let word = match factor.verdict() {
            Verdict::Better => self.words.0,
            Verdict::Worse => self.words.1,
            Verdict::Same => "no clear difference",
        };
        Some((number::times(factor.size().ratio), word))
    }
}

/// A goal for one figure.
enum Goal {
    Factor(f64),
    AtMost(f64),
}

struct Spec {
    measure: Measure,
    metric: Metric,
    words: (&'static str, &'static str),
    goal: Option<Goal>,
}

/// The connections of the loads that the headline is about: those measured that are nearest to 16.
pub fn connections(results: &Results) -> u32 {
    let loads = results.cells.iter().filter_map(|cell| match &cell.measure {
        Measure::Load(load) => Some(load.connections),
        _ => None,
    });
    loads.min_by_key(|connections| connections.abs_diff(CONNECTIONS)).unwrap_or(CONNECTIONS)
}

/// Identifier of the unikernel that the others are set against.
pub fn unikernel(results: &Results) -> &'static str {
    machines(results).0
}

/// The unikernel against the same code in a Linux machine, then against what else was compared.
pub fn duels(results: &Results) -> Vec<Duel> {
    let (unikernel, linux) = machines(results);
    let is_there = |id: &&str| results.substrates.iter().any(|row| row.id == **id);
    if !is_there(&unikernel) {
        return Vec::new();
    }
    let first =
        [linux].into_iter().filter(is_there).map(|id| duel(results, unikernel, id, like_specs(results)));
    let others = OTHERS.into_iter().filter(is_there);
    first.chain(others.map(|id| duel(results, unikernel, id, other_specs(results, id)))).collect()
}

/// The answer in sentences: against the same code in a Linux machine, then against what else there is.
pub fn answer(results: &Results) -> Vec<String> {
    let sentences: Vec<String> = duels(results).iter().filter_map(sentence).collect();
    if sentences.is_empty() {
        return vec!["This run has no unikernel and other substrate to set against each other.".to_owned()];
    }
    sentences
}

/// What the unikernel is better at, then what it is worse at, with what is compared with what.
fn sentence(duel: &Duel) -> Option<String> {
    let told = |verdict| -> Vec<String> {
        let cards =
            duel.cards.iter().filter(|card| card.factor.as_ref().map(Factor::verdict) == Some(verdict));
        cards.filter_map(phrase).collect()
    };
    let (gains, losses) = (listed(&told(Verdict::Better)), listed(&told(Verdict::Worse)));
    let what = match (gains, losses) {
        (Some(gains), Some(losses)) => format!("{gains}, but {losses}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return None,
    };
    Some(format!("Against {} ({}), the unikernel {what}.", duel.other, duel.pairing))
}

/// One figure of the unikernel, said.
fn phrase(card: &Card) -> Option<String> {
    let is_better = card.factor.as_ref()?.verdict() == Verdict::Better;
    let (better, worse) = card.phrases?;
    Some((if is_better { better } else { worse }).replace('#', &card.verdict()?.0))
}

/// Phrases as a list of a sentence.
fn listed(phrases: &[String]) -> Option<String> {
    let (last, others) = phrases.split_last()?;
    Some(if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) })
}

fn machines(results: &Results) -> (&'static str, &'static str) {
    let compared = |pair: &&(&str, &str)| {
        results.ratios.iter().any(|ratio| ratio.unikernel == pair.0 && ratio.against == pair.1)
    };
    let measured = |pair: &&(&str, &str)| results.cells.iter().any(|cell| cell.substrate == pair.0);
    let pair = MACHINES.iter().find(compared).or_else(|| MACHINES.iter().find(measured));
    *pair.unwrap_or(&MACHINES[0])
}

fn load(results: &Results, method: Method, keep_alive: bool) -> Measure {
    results::load(method, keep_alive, connections(results), Generator::Ab)
}

/// Figures that the project has goals for.
fn like_specs(results: &Results) -> Vec<Spec> {
    let factor = |factor| Some(Goal::Factor(factor));
    let at_most = |count| Some(Goal::AtMost(count));
    let counted = |of| Measure::Instructions { of };
    let rate = |keep_alive| load(results, Method::Get, keep_alive);
    vec![
        spec(Measure::Start { cache: Cache::Warm }, Metric::Ms, factor(15.0)),
        spec(Measure::LeastMemory, Metric::MemoryMib, factor(6.0)),
        spec(Measure::Resident, Metric::MemoryMib, None),
        spec(counted(Counted::Boot), Metric::Instructions, at_most(88e6)),
        spec(rate(false), Metric::RequestsPerSecond, factor(6.0)),
        spec(rate(true), Metric::RequestsPerSecond, factor(4.0)),
        spec(counted(Counted::GetClose), Metric::Instructions, at_most(28_000.0)),
        spec(counted(Counted::GetKeepAlive), Metric::Instructions, at_most(12_000.0)),
    ]
}

fn other_specs(results: &Results, id: &str) -> Vec<Spec> {
    let more = || (id == "original").then_some(Goal::Factor(1.0));
    let rate = |method, goal| spec(load(results, method, false), Metric::RequestsPerSecond, goal);
    vec![
        spec(Measure::Start { cache: Cache::Warm }, Metric::Ms, None),
        rate(Method::Get, more()),
        rate(Method::Post, more()),
        spec(Measure::Resident, Metric::MemoryMib, None),
    ]
}

fn spec(measure: Measure, metric: Metric, goal: Option<Goal>) -> Spec {
    let words = match metric {
        Metric::MemoryMib => ("less memory", "more memory"),
        Metric::RequestsPerSecond => ("as many requests", "fewer requests"),
        Metric::Instructions => ("fewer instructions", "more instructions"),
        _ => ("sooner", "later"),
    };
    Spec { measure, metric, words, goal }
}

fn missing(results: &Results, id: &str) -> Option<String> {
    let row = results.substrates.iter().find(|row| row.id == id)?;
    Some(format!("{} was not measured: {}", row.title, brief(row.missing.as_ref()?)))
}

/// How a sentence tells that it is better and that it is worse, with `#` for how much.
fn phrases(measure: &Measure) -> Option<(&'static str, &'static str)> {
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

fn duel(results: &Results, unikernel: &str, other: &str, specs: Vec<Spec>) -> Duel {
    let own = execution(results, unikernel).unwrap_or(Execution::Emulated);
    let others = execution(results, other).unwrap_or(Execution::Native);
    let compared = |spec: Spec| card(results, unikernel, other, spec);
    Duel {
        unikernel: results::title(unikernel).to_owned(),
        other: results::title(other).to_owned(),
        pairing: labels::pairing(own, others),
        alike: (own == Execution::Emulated) == (others == Execution::Emulated),
        missing: [unikernel, other].into_iter().find_map(|id| missing(results, id)),
        cards: specs.into_iter().filter_map(compared).collect(),
    }
}

/// A card, where either of the two has a figure.
fn card(results: &Results, unikernel: &str, other: &str, spec: Spec) -> Option<Card> {
    let Spec { measure, metric, words, goal } = spec;
    let median = |id| results.figure(id, &measure, metric).map(|summary| summary.median);
    let factor = Factor::find(results, unikernel, other, &measure, metric);
    let (own, others) = (median(unikernel), median(other));
    own.or(others)?;
    Some(Card {
        title: labels::capital(&labels::measure(&measure)),
        own: own.map(|value| number::figure(metric, value)),
        other: others.map(|value| number::figure(metric, value)),
        goal: goal.map(|goal| reached(&goal, metric, own, factor.as_ref())),
        factor,
        words,
        phrases: phrases(&measure),
    })
}

fn reached(goal: &Goal, metric: Metric, own: Option<f64>, factor: Option<&Factor>) -> (String, Option<bool>) {
    match goal {
        Goal::Factor(least) if *least > 1.0 => (
            format!("at least {}×", number::grouped(*least)),
            factor.map(|factor| factor.ratio.ratio >= *least),
        ),
        Goal::Factor(least) => ("more".to_owned(), factor.map(|factor| factor.ratio.ratio > *least)),
        Goal::AtMost(most) => {
            (format!("at most {}", number::figure(metric, *most)), own.map(|own| own <= *most))
        }
    }
}
