//! The report of a run: `results.json`, `report.html`, `report.md`, and a few lines on the terminal.
//!
//! Measures nothing: a report can be written anew from a run's samples at any time.

mod changes;
mod chart;
mod charts;
mod comparison;
mod contents;
mod document;
pub mod drawing;
mod factor;
mod html;
mod labels;
mod markdown;
mod measured;
mod number;
mod terminal;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use image_build::say;

use crate::results::Results;
use changes::Changes;

/// Writes the report into a run's directory, and says the most important of it on the terminal; `baseline` is what it
/// is compared with.
pub fn write(directory: &Path, results: &Results, baseline: Option<&Results>) -> Result<()> {
    let changes = baseline.map(|baseline| Changes::new(baseline, results));
    let document = contents::document(results, changes.as_ref());
    let page = directory.join("report.html");
    let files = [
        (directory.join("results.json"), serde_json::to_string_pretty(results)?),
        (directory.join("report.md"), markdown::render(&document)),
        (page.clone(), html::render(&document)),
    ];
    for (path, text) in files {
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let outline = terminal::render(&contents::outline(results, changes.as_ref()));
    Ok(say!("{outline}{}", page.display())?)
}
