//! A unikernel against other substrates: the answer in sentences, a few figures as cards, and every figure that
//! decides.
//!
//! The goals are the project's own; reaching one is said, never assumed.

use super::document::{
    Block, Column, Form, Group, NONE, Pairing, Row, Section, Table, TableCell, Tone, by_execution,
};
use super::factor::Factor;
use super::{labels, number};
use crate::record::{Cache, Counted, Generator, KINDS, Measure, Method, Metric, SCALING};
use crate::results::{self, Results, SubstrateRecord};

/// A unikernel and the Linux machine with the same virtual hardware, best first.
const MACHINES: [(&str, &str); 2] = [("hermit-q35", "linux-q35"), ("hermit-microvm", "linux-microvm")];
/// What else the unikernel is set against, each under its own label.
const OTHERS: [&str; 2] = ["docker-bridge", "original"];

/// A unikernel against another substrate.
struct Comparison<'a> {
    unikernel: &'a SubstrateRecord,
    other: &'a SubstrateRecord,
    figures: Vec<Figure>,
}

/// One figure of both.
struct Figure {
    measure: Measure,
    metric: Metric,
    /// The medians of the unikernel and of the other one.
    own: Option<f64>,
    others: Option<f64>,
    factor: Option<Factor>,
    goal: Option<Goal>,
}

/// A goal of the unikernel's for one figure.
#[derive(Clone, Copy)]
enum Goal {
    Factor(f64),
    AtMost(f64),
}

/// The answer: against the same code in a Linux machine, then against what else there is.
pub fn answer(results: &Results) -> Vec<String> {
    let sentences: Vec<String> = comparisons(results).iter().filter_map(Comparison::sentence).collect();
    match sentences.is_empty() {
        true => vec!["This run has no unikernel and other substrate to set against each other.".to_owned()],
        false => sentences,
    }
}

/// A section for each substrate that the unikernel is set against.
pub fn sections(results: &Results) -> Vec<Section> {
    let mut sections: Vec<Section> = comparisons(results).iter().map(Comparison::section).collect();
    if let Some(first) = sections.first_mut() {
        first.link = Some(("answer", "The answer"));
    }
    sections
}

fn comparisons(results: &Results) -> Vec<Comparison<'_>> {
    let (unikernel, linux) = machines(results);
    let Some(unikernel) = results.substrate(unikernel) else { return Vec::new() };
    let compare = |id: &str| {
        let other = results.substrate(id)?;
        let specs = if id == linux { like_specs(results) } else { other_specs(results, id) };
        let figure = |(measure, metric, goal)| figure(results, unikernel, other, measure, metric, goal);
        Some(Comparison { unikernel, other, figures: specs.into_iter().filter_map(figure).collect() })
    };
    [linux].into_iter().chain(OTHERS).filter_map(compare).collect()
}

/// The unikernel that the others are set against, and its Linux machine: those that were compared, else measured.
fn machines(results: &Results) -> (&'static str, &'static str) {
    let compared = |(own, other): &&(&str, &str)| {
        results.ratios.iter().any(|ratio| ratio.unikernel == *own && ratio.against == *other)
    };
    let measured = |(own, _): &&(&str, &str)| results.cells.iter().any(|cell| cell.substrate == *own);
    let pair = MACHINES.iter().find(compared).or_else(|| MACHINES.iter().find(measured));
    *pair.unwrap_or(&MACHINES[0])
}

type Spec = (Measure, Metric, Option<Goal>);

/// Figures that the project has goals for.
fn like_specs(results: &Results) -> Vec<Spec> {
    let connections = results.usual_connections();
    let rate = |keep_alive, least| {
        let measure = results::load(Method::Get, keep_alive, connections, Generator::Ab);
        (measure, Metric::RequestsPerSecond, Some(Goal::Factor(least)))
    };
    let counted = |of, most| (Measure::Instructions { of }, Metric::Instructions, Some(Goal::AtMost(most)));
    vec![
        (Measure::Start { cache: Cache::Warm }, Metric::Ms, Some(Goal::Factor(15.0))),
        (Measure::LeastMemory, Metric::MemoryMib, Some(Goal::Factor(6.0))),
        (Measure::Resident, Metric::MemoryMib, None),
        counted(Counted::Boot, 88e6),
        rate(false, 6.0),
        rate(true, 4.0),
        counted(Counted::GetClose, 28_000.0),
        counted(Counted::GetKeepAlive, 12_000.0),
    ]
}

fn other_specs(results: &Results, id: &str) -> Vec<Spec> {
    let goal = (id == "original").then_some(Goal::Factor(1.0));
    let rate = |method| {
        let measure = results::load(method, false, results.usual_connections(), Generator::Ab);
        (measure, Metric::RequestsPerSecond, goal)
    };
    vec![
        (Measure::Start { cache: Cache::Warm }, Metric::Ms, None),
        rate(Method::Get),
        rate(Method::Post),
        (Measure::Resident, Metric::MemoryMib, None),
    ]
}

/// A figure that either of the two has.
fn figure(
    results: &Results,
    unikernel: &SubstrateRecord,
    other: &SubstrateRecord,
    measure: Measure,
    metric: Metric,
    goal: Option<Goal>,
) -> Option<Figure> {
    let median =
        |of: &SubstrateRecord| results.figure(&of.id, &measure, metric).map(|summary| summary.median);
    let factor = Factor::find(results, &unikernel.id, &other.id, (&measure, metric));
    let (own, others) = (median(unikernel), median(other));
    own.or(others)?;
    Some(Figure { measure, metric, own, others, factor, goal })
}

impl Comparison<'_> {
    fn pairing(&self) -> Pairing {
        Pairing::new(self.unikernel.execution, self.other.execution)
    }

    /// What the unikernel is better at, then what it is worse at, with what is compared with what.
    fn sentence(&self) -> Option<String> {
        let told = |tone| listed(&self.figures.iter().filter_map(|of| of.phrase(tone)).collect::<Vec<_>>());
        let what = match (told(Tone::Better), told(Tone::Worse)) {
            (Some(gains), Some(losses)) => format!("{gains}, but {losses}"),
            (gains, losses) => gains.or(losses)?,
        };
        Some(format!("Against {} ({}), the unikernel {what}.", self.other.title, self.pairing().name))
    }

    fn section(&self) -> Section {
        let title = format!("{} against {}", self.unikernel.title, self.other.title);
        let missing = [self.unikernel, self.other].into_iter().find_map(|of| {
            Some(format!("{} was not measured: {}", of.title, labels::brief(of.missing.as_ref()?)))
        });
        let block = missing.map_or_else(|| Block::Table(self.cards(&title)), Block::Paragraph);
        Section { title, pairing: Some(self.pairing()), blocks: vec![block], ..Section::default() }
    }

    fn cards(&self, title: &str) -> Table {
        let figures = [&self.unikernel.title, &self.other.title].map(Column::figure);
        let words = ["Factor", "95% interval", "Goal"].map(Column::text);
        let rows = self.figures.iter().map(Figure::row).collect();
        Table {
            title: title.to_owned(),
            form: Form::Cards,
            columns: [Column::text("Figure")].into_iter().chain(figures).chain(words).collect(),
            groups: vec![Group { execution: None, rows }],
            ..Table::default()
        }
    }
}

impl Figure {
    /// It in a sentence, if the unikernel is as good or bad at it as `tone` says.
    fn phrase(&self, tone: Tone) -> Option<String> {
        let factor = self.factor.as_ref().filter(|factor| factor.verdict() == tone)?;
        let (better, worse) = labels::phrases(&self.measure)?;
        let phrase = if tone == Tone::Better { better } else { worse };
        Some(phrase.replace('#', &number::times(factor.size().ratio)))
    }

    fn row(&self) -> Row {
        let median = |value: Option<f64>| {
            TableCell::from(value.map_or_else(|| NONE.to_owned(), |value| number::figure(self.metric, value)))
        };
        let (factor, interval) = match &self.factor {
            Some(factor) => (self.factor_cell(factor), number::interval(&factor.size()).into()),
            None => (NONE.into(), NONE.into()),
        };
        let goal = self.goal.map_or_else(TableCell::default, |goal| self.goal_cell(goal));
        let title = labels::capital(&labels::measure(&self.measure));
        Row::new(title, [median(self.own), median(self.others), factor, interval, goal])
    }

    /// Such as `21.4×` with `sooner`.
    fn factor_cell(&self, factor: &Factor) -> TableCell {
        let tone = factor.verdict();
        let (better, worse) = labels::better_and_worse(self.metric);
        let word = match tone {
            Tone::Better => better,
            Tone::Worse => worse,
            Tone::Same | Tone::Plain => "no clear difference",
        };
        TableCell { detail: word.to_owned(), tone, ..number::times(factor.size().ratio).into() }
    }

    fn goal_cell(&self, goal: Goal) -> TableCell {
        let ratio = self.factor.as_ref().map(|factor| factor.ratio.ratio);
        let (text, reached) = match goal {
            Goal::Factor(1.0) => ("more".to_owned(), ratio.map(|ratio| ratio > 1.0)),
            Goal::Factor(least) => {
                (format!("at least {}×", number::grouped(least)), ratio.map(|ratio| ratio >= least))
            }
            Goal::AtMost(most) => {
                (format!("at most {}", number::figure(self.metric, most)), self.own.map(|own| own <= most))
            }
        };
        match reached {
            Some(true) => TableCell { tone: Tone::Better, ..format!("✓ goal: {text}").into() },
            Some(false) => TableCell { tone: Tone::Worse, ..format!("✗ goal: {text}").into() },
            None => format!("goal: {text}, not measured").into(),
        }
    }
}

/// Phrases as a list of a sentence.
fn listed(phrases: &[String]) -> Option<String> {
    let (last, others) = phrases.split_last()?;
    Some(if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) })
}

/// Where each unikernel wins and where it loses: the headline's open, the others folded.
pub fn overview(results: &Results) -> Section {
    let first = machines(results).0;
    let mut substrates: Vec<&SubstrateRecord> = results.substrates.iter().collect();
    substrates.sort_by_key(|of| of.id != first);
    let tables: Vec<Table> = substrates.into_iter().filter_map(|of| factors(results, of)).collect();
    let about = "How many times better (▲) or worse (▼) the unikernel is than each other substrate, from paired runs, \
                 with the 95% interval of the geometric mean; ≈ where the interval holds 1, or a single pair of times \
                 is less than 25% apart.";
    let unlike = "Columns under “emulated against native” compare a guest whose every instruction QEMU translates with \
                  programs on the bare processor: they say what one gets on a machine without KVM, not what \
                  unikernels cost.";
    let mut blocks = vec![Block::Paragraph(about.to_owned())];
    if results.ratios.iter().any(|ratio| !ratio.alike) {
        blocks.push(Block::Paragraph(unlike.to_owned()));
    }
    if tables.is_empty() {
        blocks.push(Block::Faint("This run has no pairs to compare."));
    }
    for (index, table) in tables.into_iter().enumerate() {
        let summary = table.title.clone();
        let table = Block::Table(table);
        blocks.push(if index == 0 {
            table
        } else {
            Block::Fold { summary, blocks: vec![table], minor: false }
        });
    }
    let title = "Where it wins, where it loses";
    Section { link: Some(("where", title)), title: title.to_owned(), blocks, ..Section::default() }
}

/// The factors of one unikernel over all others, those on the same kind of processor first.
fn factors(results: &Results, unikernel: &SubstrateRecord) -> Option<Table> {
    let is_compared = |of: &&SubstrateRecord| {
        results.ratios.iter().any(|ratio| ratio.unikernel == unikernel.id && ratio.against == of.id)
    };
    let others = results.substrates.iter().filter(is_compared).map(|of| (of.execution, of));
    let others: Vec<&SubstrateRecord> =
        by_execution(others).into_iter().flat_map(|(_, group)| group).collect();
    let row = |(measure, metric): (Measure, Metric)| {
        let find = |of: &&SubstrateRecord| Factor::find(results, &unikernel.id, &of.id, (&measure, metric));
        let factors: Vec<Option<Factor>> = others.iter().map(find).collect();
        let name = labels::capital(&labels::figure(&measure, metric));
        let cells = factors.iter().map(|factor| Factor::cell(factor.as_ref()));
        factors.iter().any(Option::is_some).then(|| Row::new(name, cells))
    };
    let rows: Vec<Row> = decisive(results).into_iter().filter_map(row).collect();
    let column = |of: &&SubstrateRecord| Column {
        over: Some((of.execution, Pairing::new(unikernel.execution, of.execution).name)),
        ..Column::figure(&of.title)
    };
    let columns = [Column::text("Figure")].into_iter().chain(others.iter().map(column)).collect();
    (!rows.is_empty()).then(|| Table {
        title: format!("{} against the others", unikernel.title),
        execution: Some(unikernel.execution),
        columns,
        groups: vec![Group { execution: None, rows }],
        ..Table::default()
    })
}

/// The figures that decide. All other ratios are in `results.json`.
fn decisive(results: &Results) -> Vec<(Measure, Metric)> {
    let connections = results.usual_connections();
    let load = |(method, keep_alive), generator| results::load(method, keep_alive, connections, generator);
    let mut figures = vec![
        (Measure::Start { cache: Cache::Warm }, Metric::Ms),
        (Measure::Start { cache: Cache::Cold }, Metric::Ms),
        (Measure::Size, Metric::CompressedBytes),
        (Measure::LeastMemory, Metric::MemoryMib),
        (Measure::Resident, Metric::MemoryMib),
        (Measure::Density, Metric::Instances),
    ];
    figures.extend(KINDS.map(|kind| (load(kind, Generator::Ab), Metric::RequestsPerSecond)));
    figures.extend(KINDS.map(|kind| (load(kind, Generator::OhaSameRate), Metric::P99Ms)));
    figures.extend([(Measure::EndToEnd, Metric::Ms), (Measure::Idle, Metric::CorePercent)]);
    figures.extend(SCALING.map(|instances| (Measure::Scaling { instances }, Metric::RequestsPerSecond)));
    figures.extend(Counted::ALL.map(|of| (Measure::Instructions { of }, Metric::Instructions)));
    figures
}
