//! The report in Markdown, for where a page cannot go: the same tables, no charts.

use std::fmt::Write as _;

use super::baseline::{Change, Changes};
use super::factor::{Factor, Verdict};
use super::headline::{self, Duel};
use super::matrix::{self, Matrix};
use super::notes::Notes;
use super::table::{Body, Entry, Table, brief};
use super::{labels, method, number, tables};
use crate::results::{self, Results};

/// Lines of a failure's log that are quoted.
const LOG_LINES: usize = 12;

/// The document.
pub fn document(results: &Results, changes: Option<&Changes>) -> String {
    let notes = Notes::new(results);
    let mut text = head(results);
    for duel in headline::duels(results) {
        text += &duel_of(&duel);
    }
    if let Some(changes) = changes {
        text += &changes_of(changes);
    }
    text += "\n## Where it wins, where it loses\n";
    text += "\nTimes better (▲) or worse (▼), with the 95% interval; ≈ where the interval holds 1,\nor a single pair of times is less than 25% apart.\n";
    matrix::matrices(results).iter().for_each(|matrix| text += &matrix_of(matrix));
    text += &compared(results);
    let sections = [
        tables::start,
        tables::memory,
        tables::throughput,
        tables::latency,
        tables::application,
        tables::instructions,
    ];
    for table in sections.into_iter().flat_map(|section| section(results, &notes)) {
        text += &table_of(&table);
    }
    text + &faults(results, &notes)
}

fn head(results: &Results) -> String {
    let kind = if results.quick { ", the short run" } else { "" };
    let unfinished = if results.complete { String::new() } else { format!("\n**{}**\n", super::INCOMPLETE) };
    format!(
        "# Why not a container?\n\n{}\n\n{} · commit {} · {} rounds{kind}\n{unfinished}",
        inline(&headline::answer(results).join(" ")),
        results.begun,
        inline(&results.commit),
        results.rounds
    )
}

fn duel_of(duel: &Duel) -> String {
    let mut text = format!("\n## {} against {} ({})\n", duel.unikernel, duel.other, duel.pairing);
    if let Some(missing) = &duel.missing {
        return text + &format!("\n{}\n", inline(missing));
    }
    let heads = ["Figure", &duel.unikernel, &duel.other, "Factor", "95% interval", "Goal"];
    let none = || "–".to_owned();
    let rows = duel.cards.iter().map(|card| {
        let factor = card.verdict().map_or_else(none, |(times, word)| format!("**{times}** {word}"));
        let interval = card.factor.as_ref().map_or_else(none, |factor| number::interval(&factor.size()));
        let goal = card.goal.as_ref().map_or_else(String::new, |(goal, reached)| match reached {
            Some(true) => format!("✓ {goal}"),
            Some(false) => format!("✗ {goal}"),
            None => format!("{goal}: not measured"),
        });
        let figure = |figure: &Option<String>| figure.clone().unwrap_or_else(none);
        vec![card.title.clone(), figure(&card.own), figure(&card.other), factor, interval, goal]
    });
    text += &grid(&heads, rows);
    text
}

fn matrix_of(matrix: &Matrix) -> String {
    let column = |column: &matrix::Column| format!("{} ({})", column.row.title, column.pairing);
    let heads: Vec<String> =
        std::iter::once(matrix.unikernel.title.clone()).chain(matrix.columns.iter().map(column)).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let cell = |factor: &Option<Factor>| factor.as_ref().map_or_else(|| "–".to_owned(), factor_of);
    let rows = matrix.rows.iter();
    let rows =
        rows.map(|(name, factors)| std::iter::once(name.clone()).chain(factors.iter().map(cell)).collect());
    grid(&heads, rows)
}

fn factor_of(factor: &Factor) -> String {
    let size = factor.size();
    let sign = match factor.verdict() {
        Verdict::Better => "▲",
        Verdict::Worse => "▼",
        Verdict::Same => "≈",
    };
    format!("{sign} {} ({})", number::times(size.ratio), number::interval(&size))
}

fn compared(results: &Results) -> String {
    let mut text = "\n## What was compared\n".to_owned();
    for paragraph in method::paragraphs(results) {
        let _ = write!(text, "\n{paragraph}\n");
    }
    let rows = results.substrates.iter().map(|row| {
        let measured =
            row.missing.as_ref().map_or("yes".to_owned(), |reason| format!("no: {}", brief(reason)));
        vec![row.title.clone(), labels::execution(row.execution).to_owned(), measured]
    });
    text += &grid(&["Substrate", "Runs", "Measured"], rows);
    let machine = method::machine(results).into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    text + &grid(&["The machine", ""], machine)
}

/// A table with what runs each row in a column of its own.
fn table_of(table: &Table) -> String {
    let mut text = format!("\n## {}\n\n{}\n", table.title, table.about);
    let heads: Vec<&str> =
        ["Substrate", "Runs"].into_iter().chain(table.heads.iter().map(String::as_str)).collect();
    let rows = table.groups.iter().flat_map(|(execution, lines)| {
        lines.iter().map(|line| {
            let mut row = vec![line.title.clone(), labels::execution(*execution).to_owned()];
            match &line.body {
                Body::Figures(entries) => row.extend(entries.iter().map(entry_of)),
                Body::Absent(reason) => row.push(reason.clone()),
            }
            row
        })
    });
    text += &grid(&heads, rows);
    text
}

fn entry_of(entry: &Entry) -> String {
    let mut text = entry.text.clone();
    if let Some(spread) = &entry.spread {
        let _ = write!(text, " ({spread})");
    }
    entry.notes.iter().for_each(|note| text += &format!("[^{note}]"));
    if entry.voided > 0 {
        let _ = write!(text, ", {} voided", entry.voided);
    }
    text
}

fn changes_of(changes: &Changes) -> String {
    let mut text = format!("\n## What changed\n\nSince {}: {}.\n", inline(&changes.since), changes.summary());
    changes.warnings.iter().for_each(|warning| text += &format!("\n**{}**\n", inline(warning)));
    let row = |change: &Change| {
        let figure = |summary: &crate::statistics::Summary| number::figure(change.metric, summary.median);
        let ratio = change.ratio().map_or_else(|| "–".to_owned(), number::times);
        vec![
            change.substrate.clone(),
            change.name(),
            figure(&change.old),
            figure(&change.new),
            ratio,
            change.verdict().to_owned(),
        ]
    };
    text += &grid(&["Substrate", "Figure", "Then", "Now", "Now / then", ""], changes.notable().map(row));
    changes.gone.iter().for_each(|name| text += &format!("\n- only in the earlier run: {}", inline(name)));
    changes.new.iter().for_each(|name| text += &format!("\n- only in this run: {}", inline(name)));
    text + "\n"
}

fn faults(results: &Results, notes: &Notes) -> String {
    let mut text = "\n## Faults and notes\n".to_owned();
    for row in &results.substrates {
        for failure in &row.failures {
            // A quoted block ends at nothing that a log can hold.
            let lines: Vec<String> =
                failure.lines().take(LOG_LINES).map(|line| format!("    {line}")).collect();
            let _ = write!(text, "\n{} failed:\n\n{}\n", row.title, lines.join("\n"));
        }
    }
    for cell in &results.cells {
        for reason in &cell.voided {
            let (title, measure) = (results::title(&cell.substrate), labels::measure(&cell.measure));
            let _ = write!(text, "\n- does not count: {title}, {measure}: {}", inline(reason));
        }
    }
    text += "\n";
    for (number, note) in notes.all() {
        let _ = write!(text, "\n[^{number}]: {}\n", inline(note));
    }
    text
}

/// A table of Markdown; short rows are filled up.
fn grid(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line =
        |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    let mut text = "\n".to_owned() + &line(&mut heads.iter().map(|head| inline(head)));
    text += &line(&mut (0..heads.len()).map(|index| if index == 0 { "---" } else { "---:" }.to_owned()));
    for row in rows {
        let cell = |index: usize| row.get(index).map(|cell| inline(cell)).unwrap_or_default();
        text += &line(&mut (0..heads.len()).map(cell));
    }
    text
}

/// A text that neither ends a table's cell nor becomes markup of HTML.
fn inline(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = if text.contains('\n') { one_line } else { text.to_owned() };
    text.replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|")
}
