//! The same as the pictures for a terminal: tables and bars of at most 80 columns.

use crate::model::boot::{Boot, milliseconds};
use crate::model::fault::{Fault, Node, What};
use crate::model::memory::{Memory, Region};
use crate::model::number::{self, grouped, percent};
use crate::model::request::{Passage, Request, Station};
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

/// A service's memory.
pub fn memory(service: &str, memory: &Memory) -> String {
    let mut text = format!("The memory of {service}\n{:>16}  {:>9}  {:<3}  \n", "address", "size", "may");
    let mut last: Option<&Region> = None;
    for region in memory.low.iter().chain(&memory.high) {
        if last.is_some_and(|last| region.is_apart_from(last)) {
            text += "             ...\n";
        }
        last = Some(region);
        let size = number::size(region.span.bytes());
        let name = cut(&region.span.name, COLUMNS - 34);
        text += &format!("{:>#16x}  {size:>9}  {:<3}  {name}\n", region.span.start, region.rights);
    }
    if memory.tables.count() > 0 {
        let levels: Vec<String> =
            memory.tables.tables.iter().map(|tables| tables.len().to_string()).collect();
        text += &format!("{} page tables; of level 4 to 1: {}\n", memory.tables.count(), levels.join(", "));
    }
    text
}

/// A service's boot.
pub fn boot(service: &str, boot: &Boot) -> String {
    let all = boot.instructions();
    let mut text = format!(
        "How {service} boots: {} instructions, {} at a nanosecond each\n",
        grouped(all),
        milliseconds(all)
    );
    for stage in &boot.stages {
        text += &row(stage.name, stage.instructions, all);
    }
    text
}

/// A request to a service.
pub fn request(service: &str, request: &Request) -> String {
    let all = request.instructions();
    let mut text = format!("A {} through {service}: {} instructions\n", request.method, grouped(all));
    for passage in &request.passages {
        text += if passage.is_from_store { "  the store answers\n" } else { "  the voter's frame comes\n" };
        text += &stations(passage, all);
    }
    text
}

fn stations(passage: &Passage, all: u64) -> String {
    let station = |station: &Station| {
        let row = row(&format!("    {}", station.layer), station.instructions, all);
        row + &cut(&format!("      {}", station.function()), COLUMNS) + "\n"
    };
    passage.stations.iter().map(station).collect()
}

/// A fault.
pub fn fault(fault: &Fault) -> String {
    let name = |node: Node| match node {
        Node::Worker => "worker",
        Node::Store => "store",
        Node::Disk => "disk",
    };
    let mut text = format!("A store loses its power before it can reply (seed {})\n", fault.seed);
    for event in &fault.events {
        let to = match event.what {
            What::Message { to, is_lost: true } => format!("-x {}", name(to)),
            What::Message { to, .. } => format!("-> {}", name(to)),
            _ => String::new(),
        };
        let at = event.at.as_secs_f64() * 1000.0;
        text += &cut(&format!("{at:>9.1} ms  {:<6} {to:<9} {}", name(event.node), event.text), COLUMNS);
        text += "\n";
    }
    let (sent, counted) = fault.votes;
    text + &format!("{sent} vote was sent, and {counted} counts.\n")
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
