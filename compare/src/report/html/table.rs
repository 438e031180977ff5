//! Tables on the page: they scroll within their box where a screen is narrow.

use maud::{Markup, html};

use super::super::chart::ink::Ink;
use super::super::labels;
use super::super::table::{Body, Entry, Line, Table};
use crate::substrate::Execution;

/// A table, grouped by what runs its rows.
pub fn markup(table: &Table) -> Markup {
    let columns = table.heads.len() + 1;
    html! {
        (scrolling(&table.title, &html! {
            table {
                (caption(&table.title, &html! { span.about { (table.about) } }))
                (head(&["Substrate"], &table.heads))
                @for (execution, lines) in &table.groups {
                    tbody {
                        (group(*execution, columns))
                        @for line in lines { (row(line, table.heads.len())) }
                    }
                }
            }
        }))
    }
}

/// A box that a wide table scrolls in, which a keyboard can reach.
pub fn scrolling(label: &str, table: &Markup) -> Markup {
    html! { div.scroll role="region" tabindex="0" aria-label=(label) { (table) } }
}

/// No columns of figures.
pub const NO_HEADS: &[&str] = &[];

/// Headings of columns: of words, then of figures.
pub fn head(words: &[&str], figures: &[impl AsRef<str>]) -> Markup {
    html! {
        thead {
            tr {
                @for word in words { th.text scope="col" { (word) } }
                @for figure in figures { th scope="col" { (figure.as_ref()) } }
            }
        }
    }
}

/// A table's title, which stays in sight while the table is scrolled.
pub fn caption(title: &str, more: &Markup) -> Markup {
    html! { caption { div { (title) (more) } } }
}

/// A row that says what runs the rows below it.
pub fn group(execution: Execution, columns: usize) -> Markup {
    html! {
        tr class=(labels::execution(execution)) {
            th scope="rowgroup" colspan=(columns) { span { (labels::execution_heading(execution)) } }
        }
    }
}

/// A substrate's name with its colour.
pub fn name(id: &str, title: &str) -> Markup {
    html! { span.name { (swatch(Ink::of(id))) (title) } }
}

/// A square of a colour.
pub fn swatch(ink: Ink) -> Markup {
    let style = format!("background:var({})", ink.variable());
    html! { span.swatch style=(style) aria-hidden="true" {} }
}

/// What runs a substrate, as a label.
pub fn label(execution: Execution) -> Markup {
    let name = labels::execution(execution);
    html! { span class=(format!("label {name}")) { (name) } }
}

fn row(line: &Line, columns: usize) -> Markup {
    html! {
        tr {
            th scope="row" { (name(&line.id, &line.title)) }
            @match &line.body {
                Body::Figures(entries) => @for entry in entries { (cell(entry)) },
                Body::Absent(reason) => td.absent colspan=(columns) { (reason) },
            }
        }
    }
}

fn cell(entry: &Entry) -> Markup {
    html! {
        td {
            b { (entry.text) }
            @for note in &entry.notes { sup { a href=(format!("#note-{note}")) { (note) } } }
            @if let Some(spread) = &entry.spread { small { (spread) } }
            @if entry.voided > 0 { small { a.voided href="#voided" { (entry.voided) " voided" } } }
        }
    }
}
