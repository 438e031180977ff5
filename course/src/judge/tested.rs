//! A step that tests a work on the host.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Result, ensure};
use image_build::toolchain::Toolchain;

use crate::exercise::format::Test;
use crate::judge::bench::Bench;
use crate::judge::compiler;
use crate::judge::limits::{End, Limits, OUTPUT_BYTES_MAX, Ran};
use crate::judge::panic::{self, Panic};
use crate::judge::verdict::Fault;

/// Memory of a test.
const MEMORY_BYTES_MAX: u64 = 2 << 30;
/// The folder of the judge's tests.
const FOLDER: &str = "tests";

/// Builds the judge's tests with the work, and runs them one after the other.
///
/// # Errors
/// When it is not the work that keeps them from running.
pub fn judge(bench: &Bench<'_>, step: &Test) -> Result<Option<Fault>> {
    let names = names(bench)?;
    let cargo = cargo(bench, &Toolchain::find(bench.workspace)?, &names);
    let programs = match compiler::compile(bench, cargo)? {
        Ok(programs) => programs,
        Err(fault) => return Ok(Some(fault)),
    };
    for name in &names {
        let program = programs.iter().find(|(built, _)| built == name);
        ensure!(program.is_some(), "cargo has made no test {name}");
        if let Some((_, program)) = program {
            let mut test = Command::new(program);
            test.args(["--test-threads=1", "--nocapture"])
                .current_dir(&bench.folder)
                .env("RUST_BACKTRACE", "0");
            let limits =
                Limits { time: Duration::from_secs(step.limit_s), memory_bytes: Some(MEMORY_BYTES_MAX) };
            if let Some(fault) = fault(&bench.run(&test, limits)?, limits.time) {
                return Ok(Some(fault));
            }
        }
    }
    Ok(None)
}

/// The tests that the judge has laid over the work.
fn names(bench: &Bench<'_>) -> Result<Vec<String>> {
    let files = bench.exercise.judges_files(&bench.workspace.root)?;
    let is_test =
        |path: &&Path| path.parent() == Some(Path::new(FOLDER)) && path.extension() == Some(OsStr::new("rs"));
    let names: Vec<String> = files
        .files()
        .map(|(path, _)| path)
        .filter(is_test)
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    let folder = bench.exercise.folder.join("judge").join(FOLDER);
    ensure!(!names.is_empty(), "{} has no test", folder.display());
    Ok(names)
}

fn cargo(bench: &Bench<'_>, toolchain: &Toolchain, names: &[String]) -> Command {
    let mut cargo = toolchain.cargo();
    cargo.env_remove("RUSTC_BOOTSTRAP").env("CARGO_INCREMENTAL", "0").env("CARGO_ENCODED_RUSTFLAGS", "");
    cargo.current_dir(&bench.folder).args(["test", "--no-run", "--quiet"]);
    cargo.args(["--message-format", "json-render-diagnostics", "--target-dir"]).arg(&bench.target);
    // Whoever wants to debug builds it on their own.
    cargo.args(["--config", "profile.dev.debug=0", "--config", "profile.test.debug=0"]);
    for name in names {
        cargo.args(["--test", name]);
    }
    cargo
}

/// What is wrong with a work whose tests ended so.
fn fault(ran: &Ran, limit: Duration) -> Option<Fault> {
    if let Some(panic) = panic::first(&ran.errors) {
        return Some(of_panic(&panic));
    }
    let name = running(&ran.output);
    match ran.end {
        End::Exited(status) if status.success() && ran.output.contains("\ntest result: ok.") => None,
        End::Exited(status) => Some(Fault::new(format!("{name} to end"), ended(status, &ran.errors))),
        End::TimedOut => Some(Fault::new(
            format!("{name} to end within {} s", limit.as_secs()),
            "no end of it: is there a loop that is never left?",
        )),
        End::TooMuchOutput => {
            Some(Fault::new(format!("less than {} MiB of output", OUTPUT_BYTES_MAX >> 20), "more"))
        }
    }
}

fn of_panic(panic: &Panic<'_>) -> Fault {
    if panic.place.starts_with("tests/") {
        return Fault::told(&panic.told());
    }
    Fault::new("no panic", format!("a panic at {}: {}", panic.place, panic.message))
}

/// The test that had begun and not ended, as libtest names it before it runs.
fn running(output: &str) -> String {
    let begun = output.lines().rev().find_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
    begun.map_or_else(|| "the tests".to_owned(), |(name, _)| format!("the test {name}"))
}

fn ended(status: ExitStatus, errors: &str) -> String {
    let last = errors.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let words = if errors.contains("has overflowed its stack") {
        "a stack overflow: is there a function that calls itself without end?"
    } else if status.success() {
        "an exit before all tests had run"
    } else {
        last
    };
    format!("{status} {words}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::judge::verdict::{Style, Verdict};

    fn line(end: End, output: &str, errors: &str) -> String {
        let ran = Ran { end, output: output.to_owned(), errors: errors.to_owned() };
        match fault(&ran, Duration::from_secs(60)) {
            None => "passed".to_owned(),
            Some(fault) => Verdict::NotYet(fault, String::new()).line("", Style::Plain),
        }
    }

    const BEGUN: &str = "\nrunning 2 tests\ntest a ... ok\ntest b ... ";

    #[test]
    fn only_tests_that_all_ran_have_passed() {
        let exited = |code: i32| End::Exited(ExitStatus::from_raw(code));
        assert_eq!(line(exited(0), "\ntest result: ok. 2 passed\n", ""), "passed");
        assert!(
            line(exited(0), BEGUN, "")
                .contains("expected the test b to end; came exit status: 0 an exit before")
        );
        let overflow = "\nthread 'b' (7) has overflowed its stack\nfatal runtime error: stack overflow\n";
        assert!(line(exited(6), BEGUN, overflow).contains("calls itself without end"));
        assert!(
            line(End::TimedOut, BEGUN, "").contains("expected the test b to end within 60 s; came no end")
        );
    }

    #[test]
    fn a_panic_in_the_work_is_told_with_its_line_and_one_of_the_judge_in_its_words() {
        let exited = End::Exited(ExitStatus::from_raw(101 << 8));
        let own = "thread 'b' (9) panicked at src/lib.rs:4:5:\nindex out of bounds\nnote: run with `RUST_BACKTRACE=1`\n";
        assert!(
            line(exited, BEGUN, own)
                .contains("expected no panic; came a panic at src/lib.rs:4:5: index out of")
        );
        let judge = "thread 'b' (9) panicked at tests/judge.rs:4:5:\nexpected 26; came 24\n";
        assert!(line(exited, BEGUN, judge).ends_with("not yet: expected 26; came 24"));
    }
}
