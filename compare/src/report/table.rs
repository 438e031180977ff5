//! A table of medians with their spreads, one row for each substrate: those that run alike together.
//!
//! How it looks is the business of `html` and `markdown`.

use super::notes::Notes;
use super::{labels, number};
use crate::record::{Measure, Metric};
use crate::results::{Cell, Results, Row};
use crate::substrate::Execution;

/// Which of a summary's figures a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The median, with its spread.
    Median,
    /// The 95th percentile.
    P95,
    /// How many values there are.
    Count,
}

/// A figure that a table shows.
#[derive(Clone, Debug)]
pub struct Pick(pub Measure, pub Metric, pub Statistic);

/// What a table shows.
pub struct Spec {
    /// Its heading.
    pub title: String,
    /// What a reader should know of all its figures.
    pub about: String,
    /// Headings of the columns.
    pub heads: Vec<String>,
    /// Lines for each substrate, each with a suffix of the substrate's name and a figure for each column.
    pub lines: Vec<(String, Vec<Pick>)>,
}

/// A table.
pub struct Table {
    /// Its heading.
    pub title: String,
    /// What a reader should know of all its figures.
    pub about: String,
    /// Headings of the columns.
    pub heads: Vec<String>,
    /// Rows that run alike, together.
    pub groups: Vec<(Execution, Vec<Line>)>,
}

/// A row.
pub struct Line {
    /// Identifier of the substrate.
    pub id: String,
    /// Its name, with what sets this row apart.
    pub title: String,
    /// Its figures.
    pub body: Body,
}

/// What a row says.
pub enum Body {
    /// A figure for each column.
    Figures(Vec<Entry>),
    /// Why there is none.
    Absent(String),
}

/// A figure, or why there is none.
#[derive(Default)]
pub struct Entry {
    /// The figure; `–` where there is none.
    pub text: String,
    /// Least to largest.
    pub spread: Option<String>,
    /// Numbers of its notes.
    pub notes: Vec<usize>,
    /// How many samples did not count.
    pub voided: usize,
}

/// Order of executions: guests before processes.
pub fn rank(execution: Execution) -> u8 {
    match execution {
        Execution::Emulated => 0,
        Execution::Accelerated => 1,
        Execution::Native => 2,
    }
}

/// Items by what runs their instructions, in their order.
pub fn by_execution<T>(items: impl IntoIterator<Item = (Execution, T)>) -> Vec<(Execution, Vec<T>)> {
    let mut groups: Vec<(Execution, Vec<T>)> = Vec::new();
    for (execution, item) in items {
        match groups.iter_mut().find(|(other, _)| *other == execution) {
            Some((_, group)) => group.push(item),
            None => groups.push((execution, vec![item])),
        }
    }
    groups.sort_by_key(|(execution, _)| rank(*execution));
    groups
}

impl Spec {
    /// The table; none where no substrate has any of its figures.
    pub fn table(self, results: &Results, notes: &Notes) -> Option<Table> {
        let picks = || self.lines.iter().flat_map(|(_, picks)| picks);
        let is_known = |pick: &Pick| results.cells.iter().any(|cell| cell.measure == pick.0);
        if !picks().any(is_known) {
            return None;
        }
        let lines = results.substrates.iter().flat_map(|row| {
            let lines = self.substrate(results, notes, row);
            lines.into_iter().map(|line| (row.execution, line))
        });
        let groups = by_execution(lines);
        Some(Table { title: self.title, about: self.about, heads: self.heads, groups })
    }

    fn substrate(&self, results: &Results, notes: &Notes, row: &Row) -> Vec<Line> {
        let known = |pick: &Pick| results.cell(&row.id, &pick.0).is_some_and(|cell| pick.is_said_of(cell));
        let lines: Vec<&(String, Vec<Pick>)> =
            self.lines.iter().filter(|(_, picks)| picks.iter().any(known)).collect();
        if lines.is_empty() {
            let body = Body::Absent(absence(row));
            return vec![Line { id: row.id.clone(), title: row.title.clone(), body }];
        }
        let line = |(suffix, picks): &&(String, Vec<Pick>)| Line {
            id: row.id.clone(),
            title: format!("{}{suffix}", row.title),
            body: Body::Figures(picks.iter().map(|pick| pick.entry(results, notes, &row.id)).collect()),
        };
        lines.iter().map(line).collect()
    }
}

impl Pick {
    /// Whether a cell has the figure, or samples of it that do not count.
    fn is_said_of(&self, cell: &Cell) -> bool {
        cell.metrics.contains_key(&self.1) || !cell.voided.is_empty()
    }

    fn entry(&self, results: &Results, notes: &Notes, id: &str) -> Entry {
        let none = || Entry { text: "–".to_owned(), ..Entry::default() };
        let Some(cell) = results.cell(id, &self.0) else { return none() };
        let voided = if self.2 == Statistic::Median { cell.voided.len() } else { 0 };
        let Some(summary) = cell.metrics.get(&self.1) else { return Entry { voided, ..none() } };
        let (text, spread) = match self.2 {
            Statistic::Median => (number::figure(self.1, summary.median), number::spread(self.1, summary)),
            Statistic::P95 => (number::figure(self.1, summary.p95), None),
            Statistic::Count => (summary.count.to_string(), None),
        };
        let notes = if self.2 == Statistic::Median { notes.numbers(cell) } else { Vec::new() };
        Entry { text, spread, notes, voided }
    }
}

/// Why a substrate has none of a table's figures.
fn absence(row: &Row) -> String {
    match (&row.missing, row.failures.first()) {
        (Some(reason), _) => format!("not measured: {}", brief(reason)),
        (None, Some(_)) => "no figure: does not apply, or is among what failed".to_owned(),
        (None, None) => {
            format!("does not apply, or was not part of this run ({})", labels::execution(row.execution))
        }
    }
}

/// The first line of a reason, whole: how to mend it may be at its end.
pub fn brief(reason: &str) -> &str {
    reason.lines().next().unwrap_or_default()
}
