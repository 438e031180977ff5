//! The most important figures as lines of text.

use std::fmt::Write as _;

use super::baseline::Changes;
use super::headline::{self, Duel};
use super::table::brief;
use super::{labels, number};
use crate::results::Results;

/// Changes of a kind that are listed.
const CHANGES_MAX: usize = 12;

/// What is said when a run is over.
pub fn text(results: &Results, changes: Option<&Changes>) -> String {
    let mut text = String::new();
    for duel in headline::duels(results) {
        text += &duel_of(&duel);
    }
    if let Some(changes) = changes {
        text += &changes_of(changes);
    }
    text + &unmeasured(results) + "\n"
}

fn duel_of(duel: &Duel) -> String {
    let mut text = format!("\n{} against {} ({})\n", duel.unikernel, duel.other, duel.pairing);
    if let Some(missing) = &duel.missing {
        return text + &format!("  {missing}\n");
    }
    let none = || "–".to_owned();
    let rows = duel.cards.iter().map(|card| {
        let verdict = card.verdict().map_or_else(none, |(times, word)| format!("{times} {word}"));
        let interval = card.factor.as_ref().map_or_else(none, |factor| number::interval(&factor.size()));
        let goal = card.goal.as_ref().map_or_else(String::new, |(goal, reached)| match reached {
            Some(true) => format!("goal reached: {goal}"),
            Some(false) => format!("goal missed: {goal}"),
            None => format!("goal not measured: {goal}"),
        });
        let figure = |figure: &Option<String>| figure.clone().unwrap_or_else(none);
        [card.title.clone(), figure(&card.own), figure(&card.other), verdict, interval, goal]
    });
    text += &aligned(&rows.collect::<Vec<_>>());
    text
}

fn changes_of(changes: &Changes) -> String {
    let mut text = format!("\nchanged since {}\n", changes.since);
    changes.warnings.iter().for_each(|warning| text += &format!("  {warning}\n"));
    text += &format!("  {}\n", changes.summary());
    let prominent = changes.notable().filter(|change| change.is_prominent()).take(CHANGES_MAX);
    let rows = prominent.map(|change| {
        let ratio = change.ratio().map_or_else(|| "–".to_owned(), number::times);
        let old = number::figure(change.metric, change.old.median);
        let new = number::figure(change.metric, change.new.median);
        [format!("{}: {}", change.substrate, change.name()), old, new, ratio, change.verdict().to_owned()]
    });
    let rows: Vec<_> = rows.collect();
    text += &aligned(&rows);
    let more = changes.notable().count() - rows.len();
    if more > 0 {
        text += &format!("  and {more} more: the report has them\n");
    }
    for (title, names) in [("no longer there", &changes.gone), ("new", &changes.new)] {
        names.iter().take(CHANGES_MAX).for_each(|name| text += &format!("  {title}: {name}\n"));
        if names.len() > CHANGES_MAX {
            text += &format!("  {title}: {} more\n", names.len() - CHANGES_MAX);
        }
    }
    text
}

/// What was not measured, what failed, and how many samples do not count.
fn unmeasured(results: &Results) -> String {
    let mut text = String::new();
    for row in &results.substrates {
        if let Some(reason) = &row.missing {
            let _ = write!(
                text,
                "\n{} ({}): not measured: {}",
                row.title,
                labels::execution(row.execution),
                brief(reason)
            );
        }
        for failure in &row.failures {
            let _ = write!(text, "\n{}: failed: {}", row.title, brief(failure));
        }
    }
    let voided: usize = results.cells.iter().map(|cell| cell.voided.len()).sum();
    if voided > 0 {
        let _ = write!(text, "\n{voided} sample(s) do not count: the report says why");
    }
    if !results.complete {
        let _ = write!(text, "\n{}", super::INCOMPLETE);
    }
    if text.is_empty() { text } else { text + "\n" }
}

/// Columns as wide as their widest cell; the first to the left, figures to the right, words to the left.
fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let is_figure = column == 1 || column == 2;
            let _ =
                if is_figure { write!(line, "  {cell:>width$}") } else { write!(line, "  {cell:<width$}") };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}
