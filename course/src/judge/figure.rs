//! A figure of the book, measured again.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::judge::bench::Bench;
use crate::judge::limits::Limits;

/// The file with the book's figures.
const FILE: &str = "docs/course/figures.toml";
/// Time for a measurement, which may build an image.
const LIMIT: Duration = Duration::from_secs(600);

/// What is known of a figure here.
#[derive(Debug, Deserialize)]
struct Figure {
    value: f64,
    command: Option<String>,
}

/// The figure's value now; that of the file, if it has no command that measures it.
///
/// # Errors
/// When there is no such figure, or its command does not tell it.
pub fn measure(bench: &Bench<'_>, name: &str) -> Result<f64> {
    let root = &bench.workspace.root;
    let text = fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    let mut figures: BTreeMap<String, Figure> =
        toml::from_str(&text).with_context(|| format!("{FILE} is not well formed"))?;
    let figure = figures.remove(name).with_context(|| format!("{FILE} has no figure {name}"))?;
    let Some(command) = figure.command else { return Ok(figure.value) };
    note!("measuring {name}: {command} ...");
    let mut shell = Command::new("sh");
    // It stops at the first command that fails.
    shell.args(["-e", "-c", &command]).current_dir(root);
    let ran = bench.run(&shell, Limits { time: LIMIT, memory_bytes: None })?;
    ensure!(ran.is_success(), "`{command}` failed: {}", reason(&ran.errors));
    find(name, &ran.output).with_context(|| format!("`{command}` does not print {name}"))
}

/// The last error that a command tells, or else its last line.
fn reason(errors: &str) -> &str {
    let mut lines = errors.lines().rev();
    let error = lines.clone().find(|line| line.starts_with("error") || line.contains(" panicked at "));
    error.or_else(|| lines.next()).unwrap_or_default()
}

/// The number in the line `"NAME" = NUMBER`, or a number alone.
fn find(name: &str, printed: &str) -> Option<f64> {
    let of_name = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim().trim_matches('"') == name).then(|| value.trim().parse().ok()).flatten()
    };
    printed.lines().find_map(of_name).or_else(|| printed.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_failure_is_its_last_error() {
        assert_eq!(reason("building\nerror: no room\nnote: more\n"), "error: no room");
        assert_eq!(reason("one\ntwo\n"), "two");
    }

    #[test]
    fn a_figure_is_found_by_its_whole_name() {
        let printed = "\"image.a.bytes\" = 17\n\"image.a\" = 3.5\n";
        assert_eq!((find("image.a", printed), find("image", printed)), (Some(3.5), None));
        assert_eq!(find("any", "42\n"), Some(42.0));
    }
}
