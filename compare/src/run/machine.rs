//! What the report says of the machine, the time and the clone.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use image_build::tool::packages::table::QEMU;
use image_build::tool::process;
use image_build::tool::workspace::Workspace;

use crate::context::Context;
use crate::load;
use crate::record::Machine;

/// The time in RFC 3339, UTC.
///
/// # Errors
/// When `date` does not tell it.
pub fn now() -> Result<String> {
    let mut date = Command::new("date");
    Ok(process::output(date.args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]), "asking for the time")?.trim().to_owned())
}

/// The clone's commit, with `+` when files differ from it; `unknown` outside of git.
pub fn commit(workspace: &Workspace) -> String {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        process::output(git.current_dir(&workspace.root).args(arguments), "asking git").ok()
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    let dirty = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.trim().is_empty());
    commit.trim().to_owned() + if dirty { "+" } else { "" }
}

/// This machine.
///
/// # Errors
/// When the kernel's own files cannot be read.
pub fn describe(context: &Context) -> Result<Machine> {
    let cpuinfo = read("/proc/cpuinfo")?;
    let memory_kib = field(&read("/proc/meminfo")?, "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    Ok(Machine {
        processor: field(&cpuinfo, "model name").unwrap_or_else(|| "unknown".to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mib: memory_kib.unwrap_or(0) / 1024,
        system: system(),
        kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        qemu: version(QEMU.program, &["--version"]),
        docker: version("dockerd", &["--version"]).or_else(|| version("docker", &["--version"])),
        accelerator: context.accelerator.name().to_owned(),
        generators: load::versions(context),
    })
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn system() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let line = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.map_or_else(|| "unknown".to_owned(), |name| name.trim_matches('"').to_owned())
}

fn version(program: &str, arguments: &[&str]) -> Option<String> {
    let text = process::output(Command::new(program).args(arguments), "asking for a version").ok()?;
    Some(text.lines().next()?.to_owned())
}
