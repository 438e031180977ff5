//! The most important of a report as lines of text.

use super::document::{Block, Form, Row, Section, Table};

/// Sections without charts and logs.
pub fn render(sections: &[Section]) -> String {
    let section = |section: &Section| {
        let pairing = section.pairing.as_ref().map_or_else(String::new, |of| format!(" ({})", of.name));
        let blocks: String = section.blocks.iter().map(block).collect();
        format!("\n{}{pairing}\n{blocks}", section.title)
    };
    sections.iter().map(section).collect::<String>() + "\n"
}

fn block(block: &Block) -> String {
    match block {
        Block::Table(table) => aligned(table),
        Block::Paragraph(text) | Block::Warning(text) => format!("  {text}\n"),
        Block::Fold { summary, minor: false, .. } => format!("  {summary}: the report has them\n"),
        Block::List(items) => items.iter().map(|item| format!("  {item}\n")).collect(),
        _ => String::new(),
    }
}

/// Columns as wide as their widest cell, figures to the right.
fn aligned(table: &Table) -> String {
    let words = |row: &Row| -> Vec<String> {
        let with_detail = table.form == Form::Cards;
        let word = |cell: &super::document::TableCell| {
            let detail = if with_detail { cell.detail.as_str() } else { "" };
            format!("{} {detail}", cell.text).trim_end().to_owned()
        };
        [&row.name].into_iter().chain(&row.cells).map(word).collect()
    };
    let rows: Vec<Vec<String>> = table.groups.iter().flat_map(|group| &group.rows).map(words).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let line =
        |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).zip(&table.columns);
            let cells = cells.map(|((cell, width), column)| {
                if column.is_text { format!("  {cell:<width$}") } else { format!("  {cell:>width$}") }
            });
            cells.collect::<String>().trim_end().to_owned() + "\n"
        };
    rows.iter().map(line).collect()
}
