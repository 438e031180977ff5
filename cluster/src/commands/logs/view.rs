//! The logs of several instances as one stream: in the order of time, each line after its instance's name. It reads
//! files and writes none.

use std::io::{self, Write};

use anyhow::{Context, Result};

use crate::log::entry::Entry;
use crate::log::file::{Line, LogReader};
use crate::state::run_dir::RunDir;
use crate::terminal::style::Style;
use image_build::tool::output;

/// How lines are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Behind their instance's name, for people.
    Text(Style),
    /// As one JSON object each.
    Json,
}

/// Logs that are looked at together.
#[derive(Debug)]
pub struct LogView {
    readers: Vec<(String, LogReader)>,
    width: usize,
    shape: Shape,
}

impl LogView {
    /// The logs of these instances, from their oldest lines on.
    pub fn new(run_dir: &RunDir, instances: &[String], shape: Shape) -> Self {
        let reader = |name: &String| (name.clone(), LogReader::from_start(run_dir.log_path(name)));
        let width = instances.iter().map(String::len).max().unwrap_or(0);
        Self { readers: instances.iter().map(reader).collect(), width, shape }
    }

    /// Prints what has come since the last call; of each instance at most the last `lines_max` lines.
    ///
    /// # Errors
    /// When a log cannot be read or the output not be written, also when there is nothing new.
    pub fn print_new(&mut self, lines_max: usize) -> Result<()> {
        let mut lines = Vec::new();
        self.write_new(&mut lines, lines_max).context("a log cannot be read")?;
        output::check()?;
        Ok(output::print_bytes(&lines)?)
    }

    fn write_new(&mut self, output: &mut impl Write, lines_max: usize) -> io::Result<()> {
        let mut all: Vec<(usize, Line)> = Vec::new();
        for (index, (_, reader)) in self.readers.iter_mut().enumerate() {
            let lines = reader.read()?;
            let skipped = lines.len().saturating_sub(lines_max);
            all.extend(lines.into_iter().skip(skipped).map(|line| (index, line)));
        }
        // The sort keeps lines of one instance in order when they came within one millisecond.
        all.sort_by_key(|(_, line)| line.at_ms);
        for (index, line) in &all {
            let name = &self.readers[*index].0;
            match self.shape {
                Shape::Json => writeln!(output, "{}", serde_json::to_string(&Entry::new(name, line))?)?,
                Shape::Text(style) => {
                    let prefix = style.instance(*index, &format!("{name:width$} |", width = self.width));
                    writeln!(output, "{prefix} {}", line.text)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::file::{LOG_BYTES_MAX, LogWriter};
    use crate::state::run_dir::tests::temporary;

    #[test]
    fn lines_of_all_instances_come_in_the_order_of_time() {
        let (_folder, run_dir) = temporary();
        let names = ["store-1".to_owned(), "vote-1".to_owned()];
        let open = |name| LogWriter::new(run_dir.log_path(name), LOG_BYTES_MAX);
        let (mut store, mut vote) = (open("store-1"), open("vote-1"));
        let line = |at_ms, text: &str| Line { at_ms, text: text.to_owned() };
        store.write(&line(10, "listening")).expect("room");
        vote.write(&line(5, "starting")).expect("room");
        vote.write(&line(15, "ready")).expect("room");
        let mut view = LogView::new(&run_dir, &names, Shape::Text(Style::Plain));
        let mut output = Vec::new();
        view.write_new(&mut output, usize::MAX).expect("readable");
        let expected = "vote-1  | starting\nstore-1 | listening\nvote-1  | ready\n";
        assert_eq!(String::from_utf8(output).expect("text"), expected);
        store.write(&line(20, "a")).expect("room");
        store.write(&line(21, "b")).expect("room");
        let mut output = Vec::new();
        view.write_new(&mut output, 1).expect("readable");
        assert_eq!(output, b"store-1 | b\n");
        let mut output = Vec::new();
        LogView::new(&run_dir, &names, Shape::Json).write_new(&mut output, 1).expect("readable");
        let lines = String::from_utf8(output).expect("text");
        let messages: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
        let message = |index: usize| messages[index]["message"].as_str();
        assert_eq!((messages.len(), message(0), message(1)), (2, Some("ready"), Some("b")));
    }
}
