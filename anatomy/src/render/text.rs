//! The same as the pictures for a terminal: tables and bars of at most 80 columns.

use crate::model::number::{grouped, percent};
use crate::model::size::{GROUPS, Size};

/// Columns of a terminal.
const COLUMNS: usize = 80;
/// Columns of a bar.
const BAR: usize = 24;
/// Largest functions that are told.
const FUNCTIONS: usize = 10;
/// A part with less than this share of a file, in thousandths, is told with others.
const SHARE_MIN: u64 = 10;

/// A name, a number, its share and a bar.
fn row(name: &str, value: u64, whole: u64) -> String {
    let width = COLUMNS - BAR - 21;
    let filled = (BAR as u64 * value).div_ceil(whole.max(1)) as usize;
    let bar = "█".repeat(if value == 0 { 0 } else { filled.min(BAR) });
    format!("{:<width$} {:>11} {:>5}  {bar}\n", cut(name, width), grouped(value), percent(value, whole))
}

/// A text that is not longer than this many columns.
fn cut(text: &str, columns: usize) -> String {
    match text.chars().count() > columns {
        true => text.chars().take(columns - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// A service's size.
pub fn size(service: &str, size: &Size) -> String {
    let mut text = format!("What is in {service}.img: {} bytes\n", grouped(size.bytes));
    for group in GROUPS {
        text += &row(group.name(), size.group_bytes(group), size.bytes);
        let (large, small): (Vec<_>, Vec<_>) =
            size.of_group(group).partition(|part| part.bytes * 1000 >= size.bytes * SHARE_MIN);
        for part in large {
            text += &row(&format!("  {}", part.name), part.bytes, size.bytes);
        }
        if !small.is_empty() {
            let bytes = small.iter().map(|part| part.bytes).sum();
            text += &row(&format!("  {} smaller parts", small.len()), bytes, size.bytes);
        }
    }
    text +=
        &format!("\nThe largest of its functions and variables ({} symbols):\n", grouped(size.symbol_count));
    for (_, name, bytes) in size.largest(FUNCTIONS) {
        text += &format!("{:>9}  {}\n", grouped(bytes), cut(name, COLUMNS - 11));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::size::{Group, Part};

    #[test]
    fn no_line_is_longer_than_a_terminal_is_wide() {
        let symbols = vec![("a_very_long_name::".repeat(10), 600)];
        let part = Part { name: "x".repeat(90), group: Group::Crates, bytes: 1000, symbols };
        let text = size("x", &Size { bytes: 1000, symbol_count: 1, parts: vec![part] });
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        assert!(text.contains("1,000  100%  ████"), "{text}");
    }
}
