//! A figure of the book, measured again.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::book::figures::{self, COMMAND_LIMIT, FILE};
use crate::judge::bench::Bench;
use crate::judge::limits::Limits;

/// The figure's value now; that of the file, if it has no command that measures it.
///
/// # Errors
/// When there is no such figure, or its command does not tell it.
pub fn measure(bench: &Bench<'_>, name: &str) -> Result<f64> {
    let root = &bench.workspace.root;
    let figure = figures::read(root)?.remove(name).with_context(|| format!("{FILE} has no figure {name}"))?;
    let Some(command) = figure.command else { return Ok(figure.value) };
    note!("measuring {name}: {command} ...");
    let mut shell = Command::new("sh");
    // It stops at the first command that fails.
    shell.args(["-e", "-c", &command]).current_dir(root);
    let ran = bench.run(&shell, Limits { time: COMMAND_LIMIT, memory_bytes: None })?;
    ensure!(ran.is_success(), "`{command}` failed: {}", reason(&ran.errors));
    figures::find(name, &ran.output).with_context(|| format!("`{command}` does not print {name}"))
}

/// The last error that a command tells, or else its last line.
fn reason(errors: &str) -> &str {
    let mut lines = errors.lines().rev();
    let error = lines.clone().find(|line| line.starts_with("error") || line.contains(" panicked at "));
    error.or_else(|| lines.next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_failure_is_its_last_error() {
        assert_eq!(reason("building\nerror: no room\nnote: more\n"), "error: no room");
        assert_eq!(reason("one\ntwo\n"), "two");
    }
}
