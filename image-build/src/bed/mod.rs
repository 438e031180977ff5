//! A machine with KVM, for machines that have none: Linux under QEMU, whose translator emulates AMD's SVM.
//!
//! Its file system is this machine's, read-only (9P), under a layer in memory: every program and file that is here is
//! there as well, and what is written there ends with it. It is good for whether something runs under KVM and how
//! often a guest is left, and says nothing about speed: it is slower than QEMU's translator alone.

mod machine;
mod script;

use std::fs;
use std::io::{IsTerminal, stdin};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;

use crate::image::{self, manifest};
use crate::linux::debian::{Kernel, Packages};
use crate::tool::packages;
use crate::tool::process;
use crate::tool::workspace::Workspace;

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
    packages::ensure_qemu()?;
    let debian = Packages::fetch(&workspace.state()?.join("bed"), Kernel::General)
        .context("no machine with KVM can be made here")?;
    build(workspace)?;
    let folder = tempfile::tempdir_in(workspace.state()?).context("no room for the machine's files")?;
    script::write(folder.path(), workspace, &options.command)?;
    let command = machine::command(&debian, folder.path())?;
    note!("starting a machine with an emulated KVM; what takes long here says nothing about real speed");
    let mut machine = process::bound_in_foreground(&command)?;
    if !is_shell {
        machine.stdin(Stdio::null());
    }
    let ended = machine.status().context("QEMU cannot be started")?;
    let status = fs::read_to_string(folder.path().join(machine::STATUS)).unwrap_or_default();
    let status = status.trim().parse::<u8>();
    status
        .map(ExitCode::from)
        .map_err(|_| anyhow!("the machine has ended before its program (QEMU: {ended})"))
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
