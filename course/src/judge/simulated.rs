//! A step that runs a program on the host, such as a simulation with a seed.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use image_build::toolchain::Toolchain;

use crate::exercise::format::{Ends, Simulate};
use crate::judge::bench::Bench;
use crate::judge::limits::{End, Limits, OUTPUT_BYTES_MAX, Ran};
use crate::judge::verdict::Fault;
use crate::judge::{answered, compiler, panic};

/// Memory of a program.
const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// Builds the program, runs it, and looks at its end and its last line.
///
/// # Errors
/// When it is not the work that keeps it from running.
pub fn judge(bench: &Bench<'_>, step: &Simulate) -> Result<Option<Fault>> {
    let arguments = match answered::fill(bench, &step.arguments)? {
        Ok(arguments) => arguments,
        Err(fault) => return Ok(Some(fault)),
    };
    let programs = match compiler::compile(bench, cargo(bench, step, &Toolchain::find(bench.workspace)?))? {
        Ok(programs) => programs,
        Err(fault) => return Ok(Some(fault)),
    };
    let Some((_, program)) = programs.into_iter().find(|(name, _)| *name == step.program) else {
        return Ok(Some(Fault::new(format!("a program {}", step.program), "a package without it")));
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&bench.folder).env("RUST_BACKTRACE", "0");
    let limits = Limits { time: Duration::from_secs(step.limit_s), memory_bytes: Some(MEMORY_BYTES_MAX) };
    Ok(fault(step, &bench.run(&command, limits)?))
}

/// The work's program is built beside other works, the repository's where it is built anyway.
fn cargo(bench: &Bench<'_>, step: &Simulate, toolchain: &Toolchain) -> Command {
    let (folder, target) = match step.package {
        Some(_) => (&bench.workspace.root, &bench.workspace.target),
        None => (&bench.folder, &bench.target),
    };
    let mut cargo = toolchain.cargo();
    cargo.env_remove("RUSTC_BOOTSTRAP").env("CARGO_INCREMENTAL", "0").env("CARGO_ENCODED_RUSTFLAGS", "");
    cargo.current_dir(folder).args(["build", "--release", "--quiet", "--bin", &step.program]);
    cargo.args(["--message-format", "json-render-diagnostics", "--target-dir"]).arg(target);
    if let Some(package) = &step.package {
        cargo.args(["--package", package]);
    }
    cargo
}

fn fault(step: &Simulate, ran: &Ran) -> Option<Fault> {
    let what = format!("`{} {}`", step.program, step.arguments.join(" "));
    let last = ran.output.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let wanted = match step.ends {
        Ends::Failure => "with an error",
        _ => "without an error",
    };
    let status = match ran.end {
        End::TimedOut => {
            return Some(Fault::new(format!("{what} to end within {} s", step.limit_s), "no end of it"));
        }
        End::TooMuchOutput => {
            return Some(Fault::new(format!("less than {} MiB of output", OUTPUT_BYTES_MAX >> 20), "more"));
        }
        End::Exited(status) => status,
    };
    // A signal is an error of another kind than a program's own.
    let is_failure = status.code().is_some_and(|code| code != 0);
    if (step.ends == Ends::Failure) != is_failure || status.code().is_none() {
        let words = panic::first(&ran.errors).map_or_else(|| last.to_owned(), |panic| panic.told());
        return Some(Fault::new(format!("{what} to end {wanted}"), format!("{status}: {words}")));
    }
    let pattern = step.last_line_has.as_ref().filter(|pattern| !pattern.is_in(last))?;
    Some(Fault::new(format!("{what} to end with a line that has `{}`", pattern.text()), format!("`{last}`")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;
    use crate::judge::verdict::{Style, Verdict};

    fn said(ends: &str, status: i32, output: &str) -> String {
        let step: Simulate = toml::from_str(&format!(
            "program = \"p\"\narguments = [\"--seed\", \"{{seed}}\"]\nends = \"{ends}\"\nlast_line_has = \"lost\""
        ))
        .expect("a step");
        let end = End::Exited(ExitStatus::from_raw(status));
        let ran = Ran { end, output: output.to_owned(), errors: String::new() };
        match fault(&step, &ran) {
            None => "right".to_owned(),
            Some(fault) => Verdict::NotYet(fault, String::new()).line("n", Style::Plain),
        }
    }

    #[test]
    fn a_program_must_end_as_it_is_to_and_say_so() {
        assert_eq!(said("failure", 1 << 8, "seed 7\na vote is lost\n\n"), "right");
        let end = said("failure", 0, "all is well\n");
        assert_eq!(
            end,
            "n: not yet: expected `p --seed {seed}` to end with an error; came exit status: 0: all is well"
        );
        assert!(said("failure", 9, "lost").contains("signal: 9"));
        assert!(said("success", 0, "all is well").ends_with("that has `lost`; came `all is well`"));
    }
}
