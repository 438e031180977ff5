//! What changed since an earlier run: for every figure that both have, the medians and whether the spreads
//! still meet.
//!
//! Judges nothing but direction: an earlier run on another machine is said to be one.

use std::collections::BTreeSet;

use super::labels;
use crate::record::{Measure, Metric};
use crate::results::{Results, title};
use crate::statistics::Summary;

/// Smaller differences are not worth a line, even between figures without a spread.
const NOTABLE_SHARE: f64 = 0.01;

/// What changed.
pub struct Changes {
    /// When the earlier run began, and of which commit it was.
    pub since: String,
    /// What makes the two runs hard to compare.
    pub warnings: Vec<String>,
    /// Every figure that both have: the notable ones first, and of them the largest.
    pub changes: Vec<Change>,
    /// How many would be notable if nothing had changed: few samples keep apart by chance.
    pub by_chance: f64,
    /// What only the earlier run has.
    pub gone: Vec<String>,
    /// What only the later run has.
    pub new: Vec<String>,
}

/// One figure then and now.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Name of the substrate.
    pub substrate: String,
    /// What was measured.
    pub measure: Measure,
    /// Which figure.
    pub metric: Metric,
    /// Then.
    pub old: Summary,
    /// Now.
    pub new: Summary,
}

impl Change {
    /// New median by old one; none where the old one is 0.
    pub fn ratio(&self) -> Option<f64> {
        (self.old.median > 0.0).then(|| self.new.median / self.old.median)
    }

    /// Whether the spreads do not meet, and the difference is worth a line.
    pub fn is_notable(&self) -> bool {
        let apart = self.new.low > self.old.high || self.new.high < self.old.low;
        let difference = (self.new.median - self.old.median).abs();
        apart && difference > NOTABLE_SHARE * self.old.median.abs()
    }

    /// Whether it is for the better.
    pub fn is_better(&self) -> bool {
        (self.new.median > self.old.median) == self.metric.more_is_better()
    }

    /// Whether it is worth a line where there is little room: not every percentile of every load.
    pub fn is_prominent(&self) -> bool {
        let of_load = matches!(self.metric, Metric::RequestsPerSecond | Metric::P99Ms);
        of_load || !matches!(self.measure, Measure::Load(_))
    }

    /// Notable ones first, and of them the largest.
    fn weight(&self) -> f64 {
        let size = self.ratio().map_or(0.0, |ratio| ratio.ln().abs());
        if self.is_notable() { 1.0 + size } else { 0.0 }
    }

    /// Probability that two sets of samples of one distribution keep apart; 0 where single ones are
    /// compared, which do not vary.
    fn chance(&self) -> f64 {
        let (old, new) = (self.old.count, self.new.count);
        if old == 1 && new == 1 {
            return 0.0;
        }
        // All of one set before all of the other, either way: 2 / binomial(old + new, new).
        (1..=new).map(|index| index as f64 / (old + index) as f64).product::<f64>() * 2.0
    }

    /// What it is about.
    pub fn name(&self) -> String {
        labels::figure(&self.measure, self.metric)
    }

    /// In one word.
    pub fn verdict(&self) -> &'static str {
        match (self.is_notable(), self.is_better()) {
            (false, _) => "within the spread",
            (true, true) => "better",
            (true, false) => "worse",
        }
    }
}

impl Changes {
    /// What changed from `old` to `new`.
    pub fn new(old: &Results, new: &Results) -> Self {
        let mut changes = changes(old, new);
        changes.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
        Self {
            since: format!("{}, commit {}", old.begun, old.commit),
            warnings: warnings(old, new),
            by_chance: changes.iter().map(Change::chance).sum(),
            changes,
            gone: only_in(old, new),
            new: only_in(new, old),
        }
    }

    /// How many changed, and how many would anyway.
    pub fn summary(&self) -> String {
        format!(
            "{} of {} figures changed beyond their spread; with so few samples about {:.0} would by chance alone",
            self.notable().count(),
            self.changes.len(),
            self.by_chance
        )
    }

    /// Those whose spreads do not meet.
    pub fn notable(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.is_notable())
    }
}

fn changes(old: &Results, new: &Results) -> Vec<Change> {
    let mut changes = Vec::new();
    for cell in &new.cells {
        // What was asked for is no result.
        for (metric, now) in cell.metrics.iter().filter(|(metric, _)| **metric != Metric::OfferedPerSecond) {
            let Some(then) = old.figure(&cell.substrate, &cell.measure, *metric) else { continue };
            changes.push(Change {
                substrate: title(&cell.substrate).to_owned(),
                measure: cell.measure.clone(),
                metric: *metric,
                old: then,
                new: *now,
            });
        }
    }
    changes
}

fn warnings(old: &Results, new: &Results) -> Vec<String> {
    let kind = |results: &Results| if results.quick { "short" } else { "full" }.to_owned();
    let machine =
        |results: &Results| format!("{}, {} cores", results.machine.processor, results.machine.cores);
    let facts = [
        ("processor", machine(old), machine(new)),
        ("accelerator", old.machine.accelerator.clone(), new.machine.accelerator.clone()),
        ("QEMU", old.machine.qemu.clone().unwrap_or_default(), new.machine.qemu.clone().unwrap_or_default()),
        ("kind of run", kind(old), kind(new)),
    ];
    let differs = |(name, then, now): (&str, String, String)| {
        (then != now).then(|| format!("another {name}: {then} then, {now} now"))
    };
    facts.into_iter().filter_map(differs).collect()
}

/// Substrates with figures, and measures of substrates that both have, which only `one` has.
fn only_in(one: &Results, other: &Results) -> Vec<String> {
    let measured = |results: &Results| -> BTreeSet<String> {
        let with = results.cells.iter().filter(|cell| !cell.metrics.is_empty());
        with.map(|cell| cell.substrate.clone()).collect()
    };
    let others = measured(other);
    let whole =
        measured(one).difference(&others).map(|id| format!("{}: all of it", title(id))).collect::<Vec<_>>();
    let cells = one.cells.iter().filter(|cell| others.contains(&cell.substrate) && !cell.metrics.is_empty());
    let has = |cell: &crate::results::Cell| {
        other.cell(&cell.substrate, &cell.measure).is_some_and(|cell| !cell.metrics.is_empty())
    };
    let single = cells
        .filter(|cell| !has(cell))
        .map(|cell| format!("{}: {}", title(&cell.substrate), labels::measure(&cell.measure)));
    whole.into_iter().chain(single).collect()
}
