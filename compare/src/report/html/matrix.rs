//! Where each unikernel wins and where it loses, as a table of factors.

use maud::{Markup, html};

use super::super::factor::{Factor, Verdict};
use super::super::matrix::Matrix;
use super::super::table::by_execution;
use super::super::{labels, number};
use super::table;

/// Each unikernel against the others; the first open, the others folded.
pub fn section(title: &str, matrices: &[Matrix]) -> Markup {
    let factors = matrices.iter().flat_map(|of| &of.rows).flat_map(|(_, factors)| factors).flatten();
    let has_unlike = factors.into_iter().any(|factor| !factor.alike);
    html! {
        section id="where" {
            h2 { (title) }
            p {
                "How many times better (▲) or worse (▼) the unikernel is than each other substrate, from \
                 paired runs, with the 95% interval of the geometric mean; ≈ where the interval holds 1, or a \
                 single pair of times is less than 25% apart."
                @if has_unlike {
                    " Columns under “emulated against native” compare a guest whose every instruction QEMU \
                     translates with programs on the bare processor: they say what one gets on a machine \
                     without KVM, not what unikernels cost."
                }
            }
            @for (index, of) in matrices.iter().enumerate() {
                @if index == 0 { (table_of(of)) }
                @else { details { summary { (of.unikernel.title) " against the others" } (table_of(of)) } }
            }
            @if matrices.is_empty() { p.faint { "This run has no pairs to compare." } }
        }
    }
}

fn table_of(matrix: &Matrix) -> Markup {
    let title = format!("{} against the others", matrix.unikernel.title);
    let body = html! {
        table {
            (table::caption(&title, &table::label(matrix.unikernel.execution)))
            (head(matrix))
            tbody {
                @for (name, factors) in &matrix.rows {
                    tr { th scope="row" { (name) } @for factor in factors { (cell(factor.as_ref())) } }
                }
            }
        }
    };
    table::scrolling(&title, &body)
}

/// Names of the others, under what is compared with what.
fn head(matrix: &Matrix) -> Markup {
    let pairings = by_execution(matrix.columns.iter().map(|column| (column.row.execution, column)));
    html! {
        thead {
            tr {
                td {}
                @for (execution, columns) in &pairings {
                    th scope="colgroup" colspan=(columns.len()) class=(labels::execution(*execution)) {
                        (columns.first().map_or("", |column| column.pairing.as_str()))
                    }
                }
            }
            tr {
                th scope="col" { "Figure" }
                // In the order of the rows' factors, which is that of the pairings above.
                @for column in &matrix.columns { th scope="col" { (column.row.title) } }
            }
        }
    }
}

fn cell(factor: Option<&Factor>) -> Markup {
    let Some(factor) = factor else { return html! { td { "–" } } };
    let (class, sign) = match factor.verdict() {
        Verdict::Better => ("better", "▲"),
        Verdict::Worse => ("worse", "▼"),
        Verdict::Same => ("same", "≈"),
    };
    let size = factor.size();
    html! {
        td class=(class) { b { (sign) " " (number::times(size.ratio)) } small { (number::interval(&size)) } }
    }
}
