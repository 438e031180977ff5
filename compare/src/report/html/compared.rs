//! What was compared, how, and on what machine.

use maud::{Markup, html};

use super::super::method;
use super::super::table::by_execution;
use super::table;
use crate::results::{Results, Row};

/// Method, substrates and machine.
pub fn section(title: &str, results: &Results) -> Markup {
    html! {
        section id="what" {
            h2 { (title) }
            @for paragraph in method::paragraphs(results) { p { (paragraph) } }
            (table::scrolling("Substrates", &substrates(results)))
            h3 { "The machine" }
            dl.machine { @for (name, value) in method::machine(results) { dt { (name) } dd { (value) } } }
        }
    }
}

fn substrates(results: &Results) -> Markup {
    let rows = by_execution(results.substrates.iter().map(|row| (row.execution, row)));
    html! {
        table {
            (table::caption("Substrates", &html! {}))
            (table::head(&["Substrate", "Runs", "Measured"], table::NO_HEADS))
            @for (execution, rows) in &rows {
                tbody { (table::group(*execution, 3)) @for row in rows { (substrate(row)) } }
            }
        }
    }
}

fn substrate(row: &Row) -> Markup {
    html! {
        tr {
            th scope="row" { (table::name(&row.id, &row.title)) }
            td.text { (table::label(row.execution)) }
            td.text {
                @match &row.missing { Some(reason) => { b { "no: " } (reason) }, None => "yes" }
                @if !row.failures.is_empty() { " " a href="#faults" { (row.failures.len()) " failed" } }
            }
        }
    }
}
