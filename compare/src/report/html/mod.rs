//! The page: one file, which loads nothing and follows the reader's choice of light or dark.
//!
//! What is put into it is escaped by `maud`; only charts and the style sheet, which are our own, are not.

mod changes;
mod compared;
mod faults;
mod headline;
mod matrix;
mod sections;
mod table;

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::baseline::Changes;
use super::matrix::matrices;
use super::notes::Notes;
use super::{figures, tables};
use crate::results::Results;

/// Sections with their headings, in the order of the page.
const SECTIONS: [(&str, &str); 10] = [
    ("answer", "The answer"),
    ("where", "Where it wins, where it loses"),
    ("what", "What was compared"),
    ("start", "Start"),
    ("memory", "Memory and size"),
    ("throughput", "Throughput"),
    ("latency", "Latency"),
    ("application", "The whole application"),
    ("instructions", "Instructions"),
    ("faults", "Faults and notes"),
];

/// The page.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn document(results: &Results, changes: Option<&Changes>) -> Result<String> {
    let notes = Notes::new(results);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Why not a container? " (results.begun) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header { (headline::header(results)) (navigation(changes.is_some())) }
                main { (content(results, &notes, changes)?) }
                footer { (footer(results)) }
            }
        }
    };
    Ok(page.into_string())
}

fn navigation(has_baseline: bool) -> Markup {
    html! {
        nav aria-label="Sections" {
            @for (id, title) in SECTIONS { a href=(format!("#{id}")) { (title) } }
            @if has_baseline { a href="#changes" { "What changed" } }
        }
    }
}

fn content(results: &Results, notes: &Notes, changes: Option<&Changes>) -> Result<Markup> {
    let section = |id, charts: Vec<figures::Figure>, tables: Vec<super::table::Table>| {
        sections::measured(id, heading(id), &charts, &tables)
    };
    Ok(html! {
        (headline::duels(results))
        @if let Some(changes) = changes { (changes::section(changes)) }
        (matrix::section(heading("where"), &matrices(results)))
        (compared::section(heading("what"), results))
        (section("start", figures::start(results)?, tables::start(results, notes)))
        (section("memory", figures::memory(results)?, tables::memory(results, notes)))
        (section("throughput", figures::throughput(results)?, tables::throughput(results, notes)))
        (section("latency", figures::latency(results)?, tables::latency(results, notes)))
        (section("application", figures::application(results)?, tables::application(results, notes)))
        (section("instructions", figures::instructions(results)?, tables::instructions(results, notes)))
        (faults::section(heading("faults"), results, notes))
    })
}

fn heading(id: &str) -> &'static str {
    SECTIONS.iter().find(|(other, _)| *other == id).map_or("", |(_, title)| title)
}

fn footer(results: &Results) -> Markup {
    html! {
        p {
            "Written by " code { "cargo compare" } " from commit " code { (results.commit) } ", run of "
            (results.begun) ". All figures and all ratios are in " code { "results.json" }
            " beside this file, single samples in " code { "samples.jsonl" } "."
        }
    }
}
