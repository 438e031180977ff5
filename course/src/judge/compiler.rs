//! What cargo and the compiler say of a work that they cannot build: the first error, with its line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use image_build::image::compile::executables;
use image_build::tool::progress::Patience;
use rustix::fs::statvfs;

use crate::judge::bench::Bench;
use crate::judge::limits::{End, Limits};
use crate::judge::verdict::Fault;

/// Time for one build, with all that a work depends on.
const LIMIT: Duration = Duration::from_secs(300);
/// What the system says when a disk is full.
const DISK_FULL: &str = "No space left on device";
/// Least room of a disk on which a build is expected to find some.
const ROOM_BYTES_MIN: u64 = 1 << 20;
/// What cargo says of a package that it may not fetch.
const OFFLINE: &str = "--offline";

/// Programs by the names of their targets.
pub type Programs = Vec<(String, PathBuf)>;

/// Runs a cargo that compiles without a network, and returns the programs that it has made.
///
/// # Errors
/// When it is not the work that keeps it from compiling.
pub fn compile(bench: &Bench<'_>, mut cargo: Command) -> Result<Result<Programs, Fault>> {
    cargo.arg("--offline");
    let patience = Patience::start("compiling; the first time it takes a minute or two");
    let ran = bench.run(&cargo, Limits { time: LIMIT, memory_bytes: None })?;
    drop(patience);
    if ran.is_success() {
        return executables(ran.output.as_bytes()).map(Ok);
    }
    if ran.errors.contains(DISK_FULL) || is_full(&bench.target) {
        bail!("the disk is full ({}): make room and check again", bench.target.display());
    }
    let code = "code that compiles";
    Ok(Err(match ran.end {
        End::TimedOut => Fault::new(
            format!("{code} within {} s", LIMIT.as_secs()),
            "no end of it (if the machine is busy, check again: the crates that are compiled stay)",
        ),
        End::TooMuchOutput => Fault::new(code, "a compiler that has more to say than anybody can read"),
        End::Exited(status) => {
            let first = first_error(&ran.errors).unwrap_or_else(|| format!("a cargo that ended ({status})"));
            Fault::new(code, first)
        }
    }))
}

/// Whether a disk has hardly any room left: not every tool says what keeps it from writing.
fn is_full(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM_BYTES_MIN)
}

/// The first error, in one line.
fn first_error(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_error = |line: &&str| line.starts_with("error: ") || line.starts_with("error[");
    let at = lines.iter().position(is_error)?;
    let error = lines[at];
    if let Some(place) =
        lines[at + 1..].iter().take_while(|line| !line.is_empty()).find_map(|line| place(line))
    {
        return Some(format!("`{error}` at {place}"));
    }
    if let Some(symbol) = lines.iter().find_map(|line| line.split_once("undefined symbol: ")) {
        return Some(format!("a program that uses `{}`, which nothing defines", symbol.1.trim()));
    }
    if text.contains(OFFLINE) {
        return Some(
            "a package in Cargo.toml that the repository does not use: exercises need no other".to_owned(),
        );
    }
    // Cargo's own: the last cause says the most.
    let causes = text.rsplit_once("Caused by:").map(|(_, last)| last.trim()).unwrap_or_default();
    let causes: Vec<&str> = causes.lines().map(str::trim).filter(|line| !line.is_empty()).take(4).collect();
    Some(format!("`{error}` {}", causes.join(" ")).trim_end().to_owned())
}

/// The place that a line of the compiler's names: ` --> src/lib.rs:1:2`.
fn place(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("--> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_s_first_error_is_told_with_its_line() {
        let text = "warning: unused\n --> src/lib.rs:1:1\n\nerror[E0308]: mismatched types\n  --> src/lib.rs:9:5\n   |\n\
                    \nerror: aborting\n";
        assert_eq!(first_error(text).expect("one"), "`error[E0308]: mismatched types` at src/lib.rs:9:5");
    }

    #[test]
    fn what_has_no_line_is_told_in_words() {
        let link = "error: linking with `rust-lld` failed: exit status: 1\n  |\n  = note: rust-lld: error: undefined \
                    symbol: outb\n";
        assert_eq!(first_error(link).expect("one"), "a program that uses `outb`, which nothing defines");
        let manifest =
            "error: failed to parse manifest at `/x/Cargo.toml`\n\nCaused by:\n  no targets specified\n";
        assert_eq!(
            first_error(manifest).expect("one"),
            "`error: failed to parse manifest at `/x/Cargo.toml`` no targets specified"
        );
        let missing = "error: no matching package named `rand` found\nAs a reminder, you're using offline mode \
                       (--offline)\n";
        assert!(first_error(missing).expect("one").contains("the repository does not use"));
        assert_eq!(first_error("killed\n"), None);
    }
}
