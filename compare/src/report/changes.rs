//! What changed since an earlier run: for every figure that both have, the medians and whether the spreads still meet.
//!
//! Judges nothing but direction: an earlier run on another machine is said to be one.

use std::collections::BTreeSet;

use super::document::{Block, NONE, Row, Section, Table, TableCell, Tone};
use super::{labels, number};
use crate::record::{Measure, Metric};
use crate::results::{self, Results};
use crate::statistics::Summary;

/// Smaller differences are not worth a line, even between figures without a spread.
const NOTABLE_SHARE: f64 = 0.01;
/// Changes that are seen at once.
const OPEN: usize = 15;

pub struct Changes {
    /// When the earlier run began, and of which commit it was.
    since: String,
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
    pub substrate: String,
    pub measure: Measure,
    metric: Metric,
    old: Summary,
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

    /// Whether it is among what tells most: not every percentile of every load.
    fn is_prominent(&self) -> bool {
        let of_load = matches!(self.metric, Metric::RequestsPerSecond | Metric::P99Ms);
        of_load || !matches!(self.measure, Measure::Load(_))
    }

    /// Notable ones first, of them the prominent ones, and of those the largest.
    fn weight(&self) -> (bool, bool, f64) {
        let size = self.ratio().map_or(0.0, |ratio| ratio.ln().abs());
        (self.is_notable(), self.is_prominent(), if self.is_notable() { size } else { 0.0 })
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

    /// Whether it is for the better.
    pub fn tone(&self) -> Tone {
        match (self.is_notable(), (self.new.median > self.old.median) == self.metric.more_is_better()) {
            (false, _) => Tone::Plain,
            (true, true) => Tone::Better,
            (true, false) => Tone::Worse,
        }
    }

    fn row(&self) -> Row {
        let figure = |summary: &Summary| TableCell {
            detail: number::spread(self.metric, summary).unwrap_or_default(),
            ..number::figure(self.metric, summary.median).into()
        };
        let tone = self.tone();
        let verdict = match tone {
            Tone::Better => "better",
            Tone::Worse => "worse",
            Tone::Plain | Tone::Same => "within the spread",
        };
        let ratio = self.ratio().map_or_else(|| NONE.to_owned(), number::times);
        let name = labels::figure(&self.measure, self.metric);
        let verdict = TableCell { tone, ..verdict.into() };
        Row::new(
            self.substrate.as_str(),
            [name.into(), figure(&self.old), figure(&self.new), ratio.into(), verdict],
        )
    }
}

impl Changes {
    /// What changed from `old` to `new`.
    pub fn new(old: &Results, new: &Results) -> Self {
        let mut changes = changes(old, new);
        changes.sort_by(|a, b| {
            let ((notable, prominent, size), of_b) = (a.weight(), b.weight());
            (of_b.0, of_b.1).cmp(&(notable, prominent)).then(of_b.2.total_cmp(&size))
        });
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
    fn summary(&self) -> Block {
        Block::Paragraph(format!(
            "Since {}: {} of {} figures changed beyond their spread; with so few samples about {:.0} would by chance \
             alone. A change is one where the spreads of both runs do not meet.",
            self.since,
            self.notable().count(),
            self.changes.len(),
            self.by_chance
        ))
    }

    /// Those whose spreads do not meet.
    pub fn notable(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.is_notable())
    }
}

/// The changes: the largest open, the others folded.
pub fn section(changes: &Changes) -> Section {
    let mut blocks = vec![changes.summary()];
    blocks.extend(changes.warnings.iter().cloned().map(Block::Warning));
    let notable: Vec<&Change> = changes.notable().collect();
    let rest: Vec<&Change> = changes.changes.iter().filter(|change| !change.is_notable()).collect();
    let (first, more) = notable.split_at(notable.len().min(OPEN));
    if !first.is_empty() {
        blocks.push(Block::Table(table("Changed, the largest first", first)));
    }
    for (what, changes, minor) in
        [("more changes", more, false), ("figures within their spread", &rest[..], true)]
    {
        let summary = format!("{} {what}", changes.len());
        let blocks_of = vec![Block::Table(table(&summary, changes))];
        blocks.extend((!changes.is_empty()).then_some(Block::Fold { summary, blocks: blocks_of, minor }));
    }
    for (heading, items) in [("Only in the earlier run", &changes.gone), ("Only in this run", &changes.new)] {
        if !items.is_empty() {
            blocks.extend([Block::Heading(heading), Block::List(items.clone())]);
        }
    }
    let title = "What changed";
    Section { link: Some(("changes", title)), title: title.to_owned(), blocks, ..Section::default() }
}

fn table(title: &str, changes: &[&Change]) -> Table {
    let mut table = Table::plain(
        title,
        &["Substrate", "Figure"],
        &["Then", "Now", "Now / then", "Verdict"],
        changes.iter().map(|change| change.row()).collect(),
    );
    table.columns.last_mut().into_iter().for_each(|verdict| verdict.is_text = true);
    table
}

fn changes(old: &Results, new: &Results) -> Vec<Change> {
    let mut changes = Vec::new();
    for cell in &new.cells {
        // What was asked for is no result.
        for (metric, now) in cell.metrics.iter().filter(|(metric, _)| **metric != Metric::OfferedPerSecond) {
            let Some(then) = old.figure(&cell.substrate, &cell.measure, *metric) else { continue };
            changes.push(Change {
                substrate: new.title(&cell.substrate).to_owned(),
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
    let facts = |of: &Results| {
        let machine = &of.machine;
        let kind = if of.quick { "short" } else { "full" };
        [
            ("processor", format!("{}, {} cores", machine.processor, machine.cores)),
            ("accelerator", machine.accelerator.clone()),
            ("QEMU", machine.qemu.clone().unwrap_or_default()),
            ("kind of run", kind.to_owned()),
        ]
    };
    let pairs = facts(old).into_iter().zip(facts(new)).filter(|(then, now)| then != now);
    pairs.map(|((name, then), (_, now))| format!("another {name}: {then} then, {now} now")).collect()
}

/// Substrates with figures, and measures of substrates that both have, which only `one` has.
fn only_in(one: &Results, other: &Results) -> Vec<String> {
    let measured = |of: &Results| -> BTreeSet<String> {
        of.cells.iter().filter(|cell| !cell.metrics.is_empty()).map(|cell| cell.substrate.clone()).collect()
    };
    let others = measured(other);
    let whole = measured(one);
    let whole = whole.difference(&others).map(|id| format!("{}: all of it", one.title(id)));
    let has = |cell: &&results::Cell| {
        let same = other.cell(&cell.substrate, &cell.measure);
        !others.contains(&cell.substrate) || same.is_some_and(|cell| !cell.metrics.is_empty())
    };
    let single = one.cells.iter().filter(|cell| !cell.metrics.is_empty() && !has(cell));
    let single =
        single.map(|cell| format!("{}: {}", one.title(&cell.substrate), labels::measure(&cell.measure)));
    whole.chain(single).collect()
}
