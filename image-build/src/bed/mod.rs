//! A machine with KVM, for machines that have none: Linux under QEMU, whose translator emulates AMD's SVM.
//!
//! Its file system is this machine's, read-only (9P), under a layer in memory: every program and file that is here is
//! there as well, and what is written there ends with it. It is good for whether something runs under KVM and how
//! often a guest is left, and says nothing about speed: it is slower than QEMU's translator alone.

mod machine;
mod script;

use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, stdin};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use tempfile::TempDir;

use crate::image::{self, manifest};
use crate::linux::debian::{Kernel, Packages};
use crate::tool::packages;
use crate::tool::process;
use crate::tool::workspace::Workspace;

use machine::Purpose;
pub use script::is_inside;

/// What `cargo image bed` is told.
#[derive(Args, Debug)]
pub struct Options {
    /// The program to run there, with its arguments; a shell without
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// Runs a program, or a shell, in a machine with KVM, and gives its status.
///
/// # Errors
/// When the machine cannot be made, or has ended before the program.
pub fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let is_shell = options.command.is_empty();
    ensure!(!is_shell || stdin().is_terminal(), "a shell needs a terminal: give `cargo image bed` a program");
    let mut bed = Bed::make(workspace, &options.command, Purpose::Use)?;
    if !is_shell {
        bed.command.stdin(Stdio::null());
    }
    let ended = bed.command.status().context("QEMU cannot be started")?;
    bed.program_status(ended).map(ExitCode::from)
}

/// Runs a program that counts in a machine with KVM, and gives each line that it writes, to its standard output or as
/// an error.
///
/// # Errors
/// When the machine cannot be made or has ended before the program, or when the program fails.
pub fn count_with_lines(
    workspace: &Workspace,
    program: &[String],
    mut take_line: impl FnMut(&str),
) -> Result<()> {
    let mut bed = Bed::make(workspace, program, Purpose::Count)?;
    bed.command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut qemu = bed.command.spawn().context("QEMU cannot be started")?;
    let output = qemu.stdout.take().context("QEMU has no output")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("the machine's output cannot be read")?;
        take_line(String::from_utf8_lossy(&line).trim_end());
    }
    let status = bed.program_status(qemu.wait().context("QEMU's state is not known")?)?;
    ensure!(status == 0, "the program in the machine with KVM failed with status {status}");
    Ok(())
}

/// A machine that is ready to start.
struct Bed {
    command: Command,
    folder: TempDir,
}

/// Fetches and builds whatever such a machine is made of and is not there yet.
///
/// # Errors
/// When a part cannot be fetched or built.
pub fn prepare(workspace: &Workspace) -> Result<()> {
    fetch(workspace)?;
    build(workspace)
}

fn fetch(workspace: &Workspace) -> Result<Packages> {
    packages::ensure_qemu()?;
    Packages::fetch(&workspace.state()?.join("bed"), Kernel::General)
        .context("no machine with KVM can be made here")
}

impl Bed {
    fn make(workspace: &Workspace, program: &[String], purpose: Purpose) -> Result<Self> {
        let debian = fetch(workspace)?;
        build(workspace)?;
        let folder = tempfile::tempdir_in(workspace.state()?).context("no room for the machine's files")?;
        script::write(folder.path(), workspace, program)?;
        let command = process::bound_in_foreground(&machine::command(&debian, folder.path(), purpose)?)?;
        note!("starting a machine with an emulated KVM; what takes long here says nothing about real speed");
        Ok(Self { command, folder })
    }

    /// The status of the program that ran there, once QEMU has ended.
    fn program_status(&self, qemu: ExitStatus) -> Result<u8> {
        let status = fs::read_to_string(self.folder.path().join(machine::STATUS)).unwrap_or_default();
        let status = status.trim().parse();
        status.map_err(|_| anyhow!("the machine has ended before its program (QEMU: {qemu})"))
    }
}

/// All images, and the tool that `cargo up` is. To compile in there would take hours.
fn build(workspace: &Workspace) -> Result<()> {
    let names: Vec<String> = manifest::read(workspace)?.into_keys().collect();
    image::build(workspace, &names)?;
    image::probe_image(workspace)?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&workspace.root).args(["build", "--quiet", "--profile", "tool"]);
    cargo.args(["--package", "cluster"]);
    process::output(&mut cargo, "building the tool").map(drop)
}
