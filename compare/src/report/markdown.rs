//! A report in Markdown, for where a page cannot go: the same without charts.

use super::document::{Block, Column, Document, Form, Row, Section, Table, TableCell, Tone};
use super::labels;

/// Lines of a log that are quoted.
const LOG_LINES: usize = 12;

pub fn render(document: &Document) -> String {
    let mut text = format!("# {}\n", document.title);
    let paragraphs = document.answer.iter().chain([&document.facts]).map(|line| inline(line));
    let warnings = document.warnings.iter().map(|warning| format!("**{warning}**"));
    paragraphs.chain(warnings).for_each(|line| text += &format!("\n{line}\n"));
    document.sections.iter().for_each(|part| text += &section(part));
    text + &format!("\n{}\n", inline(&document.footer))
}

fn section(section: &Section) -> String {
    let pairing = section.pairing.as_ref().map_or_else(String::new, |pairing| format!(" ({})", pairing.name));
    let mut text = format!("\n## {}{pairing}\n", section.title);
    for part in &section.blocks {
        match part {
            // It has one table, with this heading.
            Block::Table(of) if of.title == section.title => text += &grid(of),
            part => text += &block(part),
        }
    }
    text
}

fn block(part: &Block) -> String {
    match part {
        Block::Heading(text) => format!("\n### {text}\n"),
        Block::Paragraph(text) => format!("\n{}\n", inline(text)),
        Block::Faint(text) => format!("\n{text}\n"),
        Block::Warning(text) => format!("\n**{}**\n", inline(text)),
        Block::List(items) => {
            items.iter().map(|item| format!("\n- {}", inline(item))).collect::<String>() + "\n"
        }
        Block::Table(table) => {
            let execution =
                table.execution.map_or_else(String::new, |of| format!(" ({})", labels::execution(of)));
            format!("\n### {}{execution}\n{}", inline(&table.title), grid(table))
        }
        Block::Charts(_) | Block::Fold { minor: true, .. } => String::new(),
        Block::Log { summary, text } => {
            // A quoted block ends at nothing that a log can hold.
            let lines: String = text.lines().take(LOG_LINES).map(|line| format!("    {line}\n")).collect();
            format!("\n{}\n\n{lines}", inline(summary))
        }
        Block::Fold { blocks, .. } => blocks.iter().map(block).collect(),
        Block::Notes(notes) => {
            let note = |(index, note): (usize, &String)| format!("\n[^{}]: {}\n", index + 1, inline(note));
            notes.iter().enumerate().map(note).collect()
        }
    }
}

/// What is said of a table, and its rows, with what runs each of them in a column of its own.
fn grid(table: &Table) -> String {
    let is_grouped = table.is_grouped();
    let about = if table.about.is_empty() { String::new() } else { format!("\n{}\n", inline(&table.about)) };
    let (first, others) =
        table.columns.split_first().map_or(("", &[][..]), |(first, of)| (&*first.title, of));
    let runs = is_grouped.then(|| "Runs".to_owned());
    let heads: Vec<String> = [inline(first)].into_iter().chain(runs).chain(others.iter().map(head)).collect();
    let rules = others.iter().map(|column| if column.is_text { "---" } else { "---:" }.to_owned());
    let runs = is_grouped.then(|| "---".to_owned());
    let rules: Vec<String> = ["---".to_owned()].into_iter().chain(runs).chain(rules).collect();
    let mut lines = vec![line(&heads), line(&rules)];
    for group in &table.groups {
        let runs = group.execution.map(|execution| labels::execution(execution).to_owned());
        lines.extend(group.rows.iter().map(|row| line(&cells(row, &runs, heads.len(), table.form))));
    }
    format!("{about}\n{}", lines.concat())
}

fn head(column: &Column) -> String {
    let over = column.over.as_ref().map_or_else(String::new, |(_, name)| format!(" ({name})"));
    inline(&column.title) + &over
}

fn cells(row: &Row, runs: &Option<String>, columns: usize, form: Form) -> Vec<String> {
    let cells = row.cells.iter().map(|of| cell(of, form));
    let mut cells: Vec<String> =
        [cell(&row.name, form)].into_iter().chain(runs.clone()).chain(cells).collect();
    cells.resize(columns, String::new());
    cells
}

fn cell(cell: &TableCell, form: Form) -> String {
    let mut text = inline(&cell.text);
    let detail = inline(&cell.detail);
    match form {
        _ if detail.is_empty() => {}
        Form::Rows => text += &format!(" ({detail})"),
        Form::Cards if cell.tone == Tone::Plain => text += &format!(" {detail}"),
        Form::Cards => text = format!("**{text}** {detail}"),
    }
    cell.notes.iter().for_each(|note| text += &format!("[^{note}]"));
    if cell.voided > 0 { format!("{text}, {} voided", cell.voided) } else { text }
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// A text that neither ends a table's cell nor becomes markup of HTML.
fn inline(text: &str) -> String {
    let text = if text.contains('\n') {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        text.to_owned()
    };
    text.replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|")
}
