//! What changed since an earlier run.

use maud::{Markup, html};

use super::super::baseline::{Change, Changes};
use super::super::number;
use super::table;
use crate::statistics::Summary;

/// Changes that are seen at once.
const OPEN: usize = 15;

/// The changes: the largest open, the others folded.
pub fn section(changes: &Changes) -> Markup {
    let notable: Vec<&Change> = changes.notable().collect();
    let rest: Vec<&Change> = changes.changes.iter().filter(|change| !change.is_notable()).collect();
    let (first, more) = notable.split_at(notable.len().min(OPEN));
    html! {
        section id="changes" {
            h2 { "What changed" }
            p {
                "Since " (changes.since) ": " (changes.summary())
                ". A change is one where the spreads of both runs do not meet."
            }
            @for warning in &changes.warnings { p.warning role="note" { (warning) } }
            @if !first.is_empty() { (table_of("Changed, the largest first", first)) }
            (folded("smaller changes", more))
            (folded("figures within their spread", &rest))
            (list("Only in the earlier run", &changes.gone))
            (list("Only in this run", &changes.new))
        }
    }
}

fn folded(title: &str, changes: &[&Change]) -> Markup {
    let title = format!("{} {title}", changes.len());
    html! { @if !changes.is_empty() { details { summary { (title) } (table_of(&title, changes)) } } }
}

fn table_of(title: &str, changes: &[&Change]) -> Markup {
    let body = html! {
        table {
            (table::caption(title, &html! {}))
            (table::head(&["Substrate", "Figure"], &["Then", "Now", "Now / then", "Verdict"]))
            tbody { @for change in changes { (row(change)) } }
        }
    };
    table::scrolling(title, &body)
}

fn row(change: &Change) -> Markup {
    let verdict = change.verdict();
    html! {
        tr {
            th scope="row" { (change.substrate) }
            td.text { (change.name()) }
            (figure(change, &change.old))
            (figure(change, &change.new))
            td { (change.ratio().map_or_else(|| "–".to_owned(), number::times)) }
            td.better[verdict == "better"].worse[verdict == "worse"] { b { (verdict) } }
        }
    }
}

fn figure(change: &Change, summary: &Summary) -> Markup {
    html! {
        td {
            b { (number::figure(change.metric, summary.median)) }
            @if let Some(spread) = number::spread(change.metric, summary) { small { (spread) } }
        }
    }
}

fn list(title: &str, items: &[String]) -> Markup {
    html! { @if !items.is_empty() { h3 { (title) } ul { @for item in items { li { (item) } } } } }
}
