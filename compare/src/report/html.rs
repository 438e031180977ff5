//! A report as a page: one file, which loads nothing and follows the reader's choice of light or dark.
//!
//! What is put into it is escaped by `maud`; only the style sheet, which is our own, is not.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::{self, Chart, Colour, Plot};
use super::document::{Block, Column, Document, Form, Group, Pairing, Row, Section, Table, TableCell, Tone};
use super::drawing::STYLE;
use super::{labels, number};
use crate::record::Execution;

pub fn render(document: &Document) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (document.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (document.title) }
                    @for sentence in &document.answer { p.answer { (sentence) } }
                    p.facts { (document.facts) }
                    @for warning in &document.warnings { p.warning role="note" { (warning) } }
                    nav aria-label="Sections" {
                        @for (id, name) in document.sections.iter().filter_map(|section| section.link) {
                            a href=(format!("#{id}")) { (name) }
                        }
                    }
                }
                main { @for part in &document.sections { (section(part)) } }
                footer { p { (document.footer) } }
            }
        }
    };
    page.into_string()
}

fn section(section: &Section) -> Markup {
    let unlike = section.pairing.as_ref().is_some_and(|pairing| !pairing.alike);
    html! {
        section.comparison[section.pairing.is_some()].unlike[unlike] id=[section.link.map(|(id, _)| id)] {
            h2 {
                (section.title)
                @if let Some(Pairing { name, alike }) = &section.pairing {
                    " " span.label.unlike[!alike] { (name) }
                }
            }
            @for part in &section.blocks { (block(part)) }
        }
    }
}

fn block(part: &Block) -> Markup {
    html! {
        @match part {
            Block::Heading(text) => h3 { (text) },
            Block::Paragraph(text) => p { (text) },
            Block::Faint(text) => p.faint { (text) },
            Block::Warning(text) => p.warning role="note" { (text) },
            Block::List(items) => ul { @for item in items { li { (item) } } },
            Block::Table(table) if table.form == Form::Cards => (cards(table)),
            Block::Table(table) => (rows(table)),
            Block::Charts(charts) => div.figures { @for chart in charts { (figure(chart)) } },
            Block::Log { summary, text } => details { summary { (summary) } pre { (text) } },
            Block::Fold { summary, blocks, .. } => {
                details { summary { (summary) } @for part in blocks { (block(part)) } }
            }
            Block::Notes(notes) => ol.notes {
                @for (index, note) in notes.iter().enumerate() { li id=(format!("note-{}", index + 1)) { (note) } }
            },
        }
    }
}

/// A table in a box that it scrolls in where a screen is narrow, and that a keyboard can reach.
fn rows(table: &Table) -> Markup {
    html! {
        div.scroll role="region" tabindex="0" aria-label=(table.title) {
            table {
                caption {
                    div {
                        (table.title)
                        @if let Some(execution) = table.execution {
                            @let name = labels::execution(execution);
                            span class=(format!("label {name}")) { (name) }
                        }
                        @if !table.about.is_empty() { span.about { (table.about) } }
                    }
                }
                thead {
                    (over(&table.columns))
                    tr { @for column in &table.columns { th.text[column.is_text] scope="col" { (column.title) } } }
                }
                @for part in &table.groups { (group(part, &table.columns)) }
            }
        }
    }
}

/// What columns beside each other have in common, above them.
fn over(columns: &[Column]) -> Markup {
    let runs: Vec<&[Column]> = columns.chunk_by(|one, other| one.over == other.over).collect();
    html! {
        @if columns.iter().any(|column| column.over.is_some()) {
            tr {
                @for run in runs {
                    @match &run[0].over {
                        Some((execution, name)) => {
                            th scope="colgroup" colspan=(run.len()) class=(labels::execution(*execution)) { (name) }
                        }
                        None => td colspan=(run.len()) {},
                    }
                }
            }
        }
    }
}

fn group(group: &Group, columns: &[Column]) -> Markup {
    html! {
        tbody {
            @if let Some(execution) = group.execution {
                tr class=(labels::execution(execution)) {
                    th scope="rowgroup" colspan=(columns.len()) { span { (heading(execution)) } }
                }
            }
            @for row in &group.rows { (line(row, columns)) }
        }
    }
}

fn line(row: &Row, columns: &[Column]) -> Markup {
    // What begins before the last column goes on to the end, in words.
    let rest = columns.len() - row.cells.len();
    html! {
        tr {
            th scope="row" {
                @match row.name.colour {
                    Some(colour) => span.name { (swatch(colour)) (row.name.text) },
                    None => (row.name.text),
                }
            }
            @for (cell, column) in row.cells.iter().zip(&columns[1..]) {
                td.text[column.is_text].absent[rest > 1].better[cell.tone == Tone::Better]
                    .worse[cell.tone == Tone::Worse].same[cell.tone == Tone::Same]
                    colspan=[(rest > 1).then_some(rest)] { (content(cell, column.is_text || rest > 1)) }
            }
        }
    }
}

fn content(cell: &TableCell, is_text: bool) -> Markup {
    html! {
        @if is_text && cell.tone == Tone::Plain { (cell.text) } @else { b { (cell.text) } }
        @for note in &cell.notes { sup { a href=(format!("#note-{note}")) { (note) } } }
        @if !cell.detail.is_empty() { small { (cell.detail) } }
        @if cell.voided > 0 { small { a.voided href="#faults" { (cell.voided) " voided" } } }
    }
}

/// Its columns are two figures, their ratio, its interval and a goal.
fn cards(table: &Table) -> Markup {
    let heads: Vec<&str> = table.columns.iter().map(|column| column.title.as_str()).collect();
    html! {
        div.cards {
            @for Row { name, cells } in table.groups.iter().flat_map(|group| &group.rows) {
                article.card {
                    h3 { (name.text) }
                    @if let [own, other, factor, interval, goal] = &cells[..] {
                        p.big.better[factor.tone == Tone::Better].worse[factor.tone == Tone::Worse] {
                            (factor.text) small { (factor.detail) }
                        }
                        p.faint { (heads[4]) ": " (interval.text) }
                        dl.versus { dt { "Unikernel" } dd { (own.text) } dt { (heads[2]) } dd { (other.text) } }
                        p.goal.better[goal.tone == Tone::Better].worse[goal.tone == Tone::Worse] { (goal.text) }
                    }
                }
            }
        }
    }
}

fn figure(chart: &Chart) -> Markup {
    html! {
        figure {
            figcaption { (chart.title) }
            (chart::draw(chart))
            @if let Plot::Timeline { names, panels } = &chart.plot {
                ul.stages {
                    @for item in panels.iter().filter(|of| of.remark != chart::MAGNIFIED).flat_map(|of| &of.items) {
                        li {
                            strong { (item.name) }
                            ol {
                                @for (index, from, to) in chart::spans(&item.data, names) {
                                    li {
                                        (swatch(Colour::Stage(index)))
                                        (index + 1) " " (names[index]) " " b { (number::figure(chart.metric, to - from)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn swatch(colour: Colour) -> Markup {
    html! { span.swatch style=(format!("background:{}", colour.css())) aria-hidden="true" {} }
}

fn heading(execution: Execution) -> &'static str {
    match execution {
        Execution::Native => "Native: the host's processor, no virtual machine",
        Execution::Accelerated => "Accelerated: the host's processor in a virtual machine (KVM)",
        Execution::Emulated => "Emulated: QEMU translates every instruction (TCG)",
    }
}
