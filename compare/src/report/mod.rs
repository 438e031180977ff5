//! The report of a run: `results.json`, `report.html`, `report.md`, and a few lines on the terminal.
//!
//! Measures nothing: a report can be written anew from a run's samples at any time.

mod baseline;
mod chart;
mod factor;
mod figures;
mod headline;
mod html;
mod labels;
mod markdown;
mod matrix;
mod method;
mod notes;
mod number;
mod table;
mod tables;
mod terminal;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use image_build::say;

use self::baseline::Changes;
use crate::results::Results;

/// What a report without some of its figures says of that.
const INCOMPLETE: &str = "This run is not complete: it was interrupted, or a short run's five minutes were over. \
    `cargo compare --resume` measures what is missing.";
/// The page, below a run's directory.
const PAGE: &str = "report.html";

/// Writes the report into a run's directory; `baseline` is what it is compared with.
///
/// # Errors
/// When a chart cannot be drawn or a file cannot be written.
pub fn write(directory: &Path, results: &Results, baseline: Option<&Results>) -> Result<()> {
    let changes = baseline.map(|baseline| Changes::new(baseline, results));
    put(directory, "results.json", &serde_json::to_string_pretty(results)?)?;
    put(directory, "report.md", &markdown::document(results, changes.as_ref()))?;
    put(directory, PAGE, &html::document(results, changes.as_ref())?)
}

/// Says on the terminal the most important of it, and where the report is.
///
/// # Errors
/// When nobody reads it any more, or not all of it can be written.
pub fn print(directory: &Path, results: &Results, baseline: Option<&Results>) -> Result<()> {
    let changes = baseline.map(|baseline| Changes::new(baseline, results));
    let text = terminal::text(results, changes.as_ref());
    Ok(say!("{text}{}", directory.join(PAGE).display())?)
}

fn put(directory: &Path, name: &str, text: &str) -> Result<()> {
    let path = directory.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
