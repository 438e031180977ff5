//! The sections of the page below its headline.

use maud::{Markup, PreEscaped, html};

use super::super::baseline::{Change, Changes};
use super::super::chart::ink::Ink;
use super::super::factor::{Factor, Verdict};
use super::super::figures::Figure;
use super::super::matrix::Matrix;
use super::super::notes::Notes;
use super::super::table::{Table, by_execution};
use super::super::{labels, number};
use super::table;
use crate::record::Metric;
use crate::results::{self, Results, Row};

/// Charts and tables of a section that are seen at once; more of them are folded.
const OPEN_CHARTS: usize = 4;
const OPEN_TABLES: usize = 1;
/// Changes that are seen at once.
const OPEN_CHANGES: usize = 15;

/// Measured figures: charts, then tables.
pub fn measured(id: &str, title: &str, charts: &[Figure], tables: &[Table]) -> Markup {
    let (charts, more_charts) = charts.split_at(charts.len().min(OPEN_CHARTS));
    // Several tables of one kind are for looking a figure up; the charts show the same.
    let open = if tables.len() > OPEN_TABLES { 0 } else { OPEN_TABLES };
    let has_none = tables.is_empty();
    let (tables, more_tables) = tables.split_at(tables.len().min(open));
    html! {
        section id=(id) {
            h2 { (title) }
            @if has_none { p.faint { "This run has no figures for this." } }
            (figures(charts))
            @if !more_charts.is_empty() { details { summary { (more_charts.len()) " more charts" } (figures(more_charts)) } }
            @for table in tables { (table::markup(table)) }
            @if !more_tables.is_empty() {
                details {
                    summary { (more_tables.len()) " tables with every figure" }
                    @for table in more_tables { (table::markup(table)) }
                }
            }
        }
    }
}

fn figures(figures: &[Figure]) -> Markup {
    html! {
        div.figures {
            @for figure in figures {
                figure {
                    figcaption { (figure.title) }
                    (PreEscaped(&figure.svg))
                    @if !figure.stages.is_empty() { (stages(figure)) }
                }
            }
        }
    }
}

/// Names of the numbered stages with the time that each took.
fn stages(figure: &Figure) -> Markup {
    html! {
        ul.stages {
            @for item in &figure.stages {
                li {
                    strong { (item.name) }
                    ol {
                        @for (index, (name, from, to)) in item.spans().into_iter().enumerate() {
                            li {
                                span.swatch style=(format!("background:var({})", Ink::Stage(index).variable())) aria-hidden="true" {}
                                (index + 1) " " (name) " " b { (number::figure(Metric::Ms, to - from)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Each unikernel against the others; the first open, the others folded.
pub fn matrices(title: &str, matrices: &[Matrix]) -> Markup {
    let has_unlike = matrices
        .iter()
        .flat_map(|of| &of.rows)
        .flat_map(|(_, factors)| factors)
        .flatten()
        .any(|of| !of.alike);
    html! {
        section id="where" {
            h2 { (title) }
            p {
                "How many times better (▲) or worse (▼) the unikernel is than each other substrate, from paired \
                 runs, with the 95% interval of the geometric mean; ≈ where the interval holds 1."
                @if has_unlike {
                    " Columns under “emulated against native” compare a guest whose every instruction QEMU \
                     translates with programs on the bare processor: they say what one gets on a machine without \
                     KVM, not what unikernels cost."
                }
            }
            @for (index, of) in matrices.iter().enumerate() {
                @if index == 0 { (matrix(of)) }
                @else { details { summary { (of.unikernel.title) " against the others" } (matrix(of)) } }
            }
            @if matrices.is_empty() { p.faint { "This run has no pairs to compare." } }
        }
    }
}

fn matrix(matrix: &Matrix) -> Markup {
    let pairings = by_execution(matrix.columns.iter().map(|column| (column.row.execution, column)));
    table::scrolling(
        &matrix.unikernel.title,
        &html! {
            table {
                (table::caption(&format!("{} against the others", matrix.unikernel.title), &table::label(matrix.unikernel.execution)))
                thead {
                    tr {
                        td {}
                        @for (execution, columns) in &pairings {
                            th scope="colgroup" colspan=(columns.len()) class=(labels::execution(*execution)) {
                                (columns.first().map_or("", |column| column.pairing.as_str()))
                            }
                        }
                    }
                    tr { th scope="col" { "Figure" } @for column in &matrix.columns { th scope="col" { (column.row.title) } } }
                }
                tbody {
                    @for (name, factors) in &matrix.rows {
                        tr { th.figure scope="row" { (name) } @for factor in factors { (factor_cell(factor.as_ref())) } }
                    }
                }
            }
        },
    )
}

fn factor_cell(factor: Option<&Factor>) -> Markup {
    let Some(factor) = factor else { return html! { td { "–" } } };
    let (class, sign) = match factor.verdict() {
        Verdict::Better => ("better", "▲"),
        Verdict::Worse => ("worse", "▼"),
        Verdict::Same => ("same", "≈"),
    };
    let size = factor.size();
    html! { td class=(class) { b { (sign) " " (number::times(size.ratio)) } small { (number::interval(&size)) } } }
}

/// Substrates, method and machine.
pub fn compared(title: &str, results: &Results) -> Markup {
    let rows = by_execution(results.substrates.iter().map(|row| (row.execution, row)));
    html! {
        section id="what" {
            h2 { (title) }
            @for paragraph in super::super::method::paragraphs(results) { p { (paragraph) } }
            (table::scrolling("Substrates", &html! {
                table {
                    (table::caption("Substrates", &html! {}))
                    thead { tr { th scope="col" { "Substrate" } th.text scope="col" { "Runs" } th.text scope="col" { "Measured" } } }
                    @for (execution, rows) in &rows {
                        tbody { (table::group(*execution, 3)) @for row in rows { (substrate(row)) } }
                    }
                }
            }))
            h3 { "The machine" }
            dl.machine { @for (name, value) in super::super::method::machine(results) { dt { (name) } dd { (value) } } }
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

/// What changed since an earlier run.
pub fn changes(changes: &Changes) -> Markup {
    let notable: Vec<&Change> = changes.notable().collect();
    let rest: Vec<&Change> = changes.changes.iter().filter(|change| !change.is_notable()).collect();
    html! {
        section id="changes" {
            h2 { "What changed" }
            p { "Since " (changes.since) ": " (changes.summary()) ". A change is one where the spreads of both runs do not meet." }
            @for warning in &changes.warnings { p.warning role="note" { (warning) } }
            @let (first, more) = notable.split_at(notable.len().min(OPEN_CHANGES));
            @if !first.is_empty() { (change_table("Changed, the largest first", first)) }
            @if !more.is_empty() { details { summary { (more.len()) " smaller changes" } (change_table("Smaller changes", more)) } }
            @if !rest.is_empty() { details { summary { (rest.len()) " figures within their spread" } (change_table("Within the spread", &rest)) } }
            (list("Only in the earlier run", &changes.gone))
            (list("Only in this run", &changes.new))
        }
    }
}

fn change_table(title: &str, changes: &[&Change]) -> Markup {
    table::scrolling(
        title,
        &html! {
            table {
                (table::caption(title, &html! {}))
                thead { tr { @for head in ["Substrate", "Figure"] { th.text scope="col" { (head) } } @for head in ["Then", "Now", "Now / then", "Verdict"] { th scope="col" { (head) } } } }
                tbody { @for change in changes { (change_row(change)) } }
            }
        },
    )
}

fn change_row(change: &Change) -> Markup {
    let figure = |summary: &crate::statistics::Summary| {
        html! {
            td {
                b { (number::figure(change.metric, summary.median)) }
                @if let Some(spread) = number::spread(change.metric, summary) { small { (spread) } }
            }
        }
    };
    let verdict = change.verdict();
    html! {
        tr {
            th scope="row" { (change.substrate) }
            td.text { (change.name()) }
            (figure(&change.old)) (figure(&change.new))
            td { (change.ratio().map_or_else(|| "–".to_owned(), number::times)) }
            td class=(verdict) { b { (verdict) } }
        }
    }
}

fn list(title: &str, items: &[String]) -> Markup {
    html! { @if !items.is_empty() { h3 { (title) } ul { @for item in items { li { (item) } } } } }
}

/// What failed, what does not count, and what a reader must know.
pub fn faults(title: &str, results: &Results, notes: &Notes) -> Markup {
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
    html! { details { summary { (row.title) ": " (super::super::table::brief(failure)) } pre { (failure) } } }
}

fn voided(results: &Results) -> Markup {
    let cells: Vec<_> = results.cells.iter().filter(|cell| !cell.voided.is_empty()).collect();
    if cells.is_empty() {
        return html! { p.faint { "All samples count." } };
    }
    table::scrolling(
        "Samples that do not count",
        &html! {
            table {
                thead { tr { @for head in ["Substrate", "Measure", "Why"] { th.text scope="col" { (head) } } } }
                tbody {
                    @for cell in cells { @for reason in &cell.voided {
                        tr {
                            th scope="row" { (results::title(&cell.substrate)) }
                            td.text { (labels::measure(&cell.measure)) }
                            td.text { (reason) }
                        }
                    } }
                }
            }
        },
    )
}
