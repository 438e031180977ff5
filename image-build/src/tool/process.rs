//! Other programs: run quietly, with their last output kept for the error, or bound to this process.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use clap::Args;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Hidden subcommand that [`bound`] goes through.
pub const BOUND_COMMAND: &str = "exec-bound";
/// Where the tool's own executable is, when this library runs inside another one.
pub const TOOL_VARIABLE: &str = "IMAGE_BUILD_TOOL";
static TOOL: OnceLock<PathBuf> = OnceLock::new();
/// Directories of programs for administrators.
const ADMINISTRATORS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// Lines of a failed program's output that are shown.
const LAST_WORDS_LINES: usize = 30;

/// Runs `command` to its end and returns what it wrote to its standard output.
///
/// # Errors
/// When it cannot be started or fails; then with the end of what it wrote.
pub fn output(command: &mut Command, purpose: &str) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| not_started(command, error))?;
    if output.status.success() {
        return String::from_utf8(output.stdout)
            .with_context(|| format!("{purpose}: the output is not UTF-8"));
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    bail!("{purpose} failed ({}):\n{}", output.status, last_words(&text))
}

fn not_started(command: &Command, error: std::io::Error) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    match error.kind() {
        ErrorKind::NotFound => anyhow!("{program} is not installed"),
        _ => anyhow!("{program} cannot be started: {error}"),
    }
}

fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_WORDS_LINES)..].join("\n")
}

/// Whether a variable of the environment steers cargo or rustc builds.
///
/// What is built for the toolchain must not depend on how this tool was called; what says where
/// packages come from stays.
fn steers_builds(name: &str) -> bool {
    let kept =
        ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_"];
    let rust = ["RUSTFLAGS", "RUSTC", "RUSTC_BOOTSTRAP", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];
    (name.starts_with("CARGO") && !kept.iter().any(|kept| name.starts_with(kept))) || rust.contains(&name)
}

/// Takes from `command` every variable of this process's environment that steers builds, and compilers that a
/// configuration puts around the compiler.
pub fn forget_build_settings(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(steers_builds) {
            command.env_remove(name);
        }
    }
    // Empty, they are above those that a configuration names.
    command.env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "")
}

/// The same command in a process group of its own, killed by the system when this process ends in any way.
///
/// # Errors
/// As [`bound_in_foreground`].
pub fn bound(command: &Command) -> Result<Command> {
    let mut outer = bound_in_foreground(command)?;
    outer.process_group(0);
    Ok(outer)
}

/// The same command, killed by the system when this process ends in any way. It may read from the terminal.
///
/// The setting belongs to a process and outlives `exec`, so the tool starts itself, makes it, and
/// becomes the program. It counts from the *thread* that starts the command: let that be one that
/// lives as long as the process. Streams are set on the result.
///
/// # Errors
/// When the tool's own executable is not known.
pub fn bound_in_foreground(command: &Command) -> Result<Command> {
    let mut outer = Command::new(tool()?);
    outer.arg(BOUND_COMMAND).arg(std::process::id().to_string()).arg("--");
    outer.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        outer.current_dir(directory);
    }
    Ok(outer)
}

/// Names the tool's own executable, in a program that is not the tool. [`TOOL_VARIABLE`] counts before it.
pub fn set_tool(path: &Path) {
    TOOL.get_or_init(|| path.to_owned());
}

fn tool() -> Result<PathBuf> {
    match env::var_os(TOOL_VARIABLE).map(PathBuf::from).or_else(|| TOOL.get().cloned()) {
        Some(path) => Ok(path),
        None => env::current_exe().context("the path of this program is not known"),
    }
}

/// The arguments of [`BOUND_COMMAND`]: the program to execute, which ends with the process that started it.
#[derive(Args, Debug)]
pub struct Bound {
    parent: i32,
    program: OsString,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Bound {
    /// Becomes the program, to be killed when the parent ends. Returns only when that fails.
    ///
    /// # Errors
    /// When the parent has gone already, or the program cannot be started.
    pub fn exec(&self) -> Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have gone before the setting was made.
        ensure!(
            getppid().map(Pid::as_raw_nonzero).is_some_and(|pid| pid.get() == self.parent),
            "the starter has gone"
        );
        Err(become_program(Command::new(&self.program).args(&self.arguments)))
    }
}

/// Becomes another program. Returns only when that fails, with the reason.
pub fn become_program(command: &mut Command) -> Error {
    let error = command.exec();
    not_started(command, error)
}

/// Whether a program of this name is there.
pub fn is_installed(program: &str) -> bool {
    find(program).is_some()
}

/// Where a program of this name is: in one of the directories of `PATH`, else where administrators' programs are,
/// which not everybody has in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(ADMINISTRATORS.map(PathBuf::from));
    places.map(|directory| directory.join(program)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_settings_and_package_sources_are_told_apart() {
        for name in
            ["CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "CARGO", "RUSTFLAGS", "CARGO_BUILD_TARGET"]
        {
            assert!(steers_builds(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_PROXY", "RUSTUP_TOOLCHAIN", "PATH"] {
            assert!(!steers_builds(name), "{name}");
        }
    }

    #[test]
    fn a_failure_names_the_purpose_and_keeps_the_last_output_lines() {
        let mut command = Command::new("sh");
        command.args(["-c", "seq 100; echo bad >&2; exit 7"]);
        let error = output(&mut command, "counting").expect_err("it fails").to_string();
        assert!(error.starts_with("counting failed (exit status: 7):\n72\n"), "{error}");
        assert!(error.ends_with("\n100\nbad"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = output(&mut Command::new("no-such-program"), "x").expect_err("missing");
        assert_eq!(error.to_string(), "no-such-program is not installed");
    }
}
