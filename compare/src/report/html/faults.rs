//! What failed, what does not count, and what a reader must know of single figures.

use maud::{Markup, html};

use super::super::labels;
use super::super::notes::Notes;
use super::super::table::brief;
use super::table;
use crate::results::{self, Cell, Results, Row};

/// Failures with their logs, voided samples with their reasons, notes.
pub fn section(title: &str, results: &Results, notes: &Notes) -> Markup {
    let failed: Vec<&Row> = results.substrates.iter().filter(|row| !row.failures.is_empty()).collect();
    html! {
        section id="faults" {
            h2 { (title) }
            h3 { "Failed" }
            @if failed.is_empty() { p.faint { "Nothing failed." } }
            @for row in failed { @for failure in &row.failures { (failure_of(row, failure)) } }
            h3 id="voided" { "Samples that do not count" }
            (voided(results))
            h3 { "Notes" }
            @if notes.is_empty() { p.faint { "None." } }
            ol.notes { @for (number, note) in notes.all() { li id=(format!("note-{number}")) { (note) } } }
        }
    }
}

fn failure_of(row: &Row, failure: &str) -> Markup {
    html! { details { summary { (row.title) ": " (brief(failure)) } pre { (failure) } } }
}

fn voided(results: &Results) -> Markup {
    let cells: Vec<&Cell> = results.cells.iter().filter(|cell| !cell.voided.is_empty()).collect();
    if cells.is_empty() {
        return html! { p.faint { "All samples count." } };
    }
    let body = html! {
        table {
            (table::head(&["Substrate", "Measure", "Why"], table::NO_HEADS))
            tbody { @for cell in cells { @for reason in &cell.voided { (voided_row(cell, reason)) } } }
        }
    };
    table::scrolling("Samples that do not count", &body)
}

fn voided_row(cell: &Cell, reason: &str) -> Markup {
    html! {
        tr {
            th scope="row" { (results::title(&cell.substrate)) }
            td.text { (labels::measure(&cell.measure)) }
            td.text { (reason) }
        }
    }
}
