//! Sections of measured figures: charts first, tables for who looks a figure up.

use maud::{Markup, PreEscaped, html};

use super::super::chart::ink::Ink;
use super::super::figures::Figure;
use super::super::number;
use super::super::table::Table;
use super::table;
use crate::record::Metric;

/// Charts and tables of a section that are seen at once; more of them are folded.
const OPEN_CHARTS: usize = 4;
const OPEN_TABLES: usize = 1;

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
            @if !more_charts.is_empty() {
                details { summary { (more_charts.len()) " more charts" } (figures(more_charts)) }
            }
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
                        @for (name, from, to) in item.spans() {
                            @let index = figure.names.iter().position(|other| other == name).unwrap_or(0);
                            li {
                                (table::swatch(Ink::Stage(index)))
                                (index + 1) " " (name) " " b { (number::figure(Metric::Ms, to - from)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
