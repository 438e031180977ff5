//! The command line of the host tool. Each command is implemented in the module of its name.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command as Process, ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::bed;
use crate::image::{self, manifest};
use crate::new::{self, Created};
use crate::oci;
use crate::tool::workspace::Workspace;
use crate::tool::{output, packages, process};
use crate::vm::run;

#[derive(Parser)]
#[command(
    name = "cargo image",
    bin_name = "cargo image",
    about = "Builds programs as Hermit unikernels, and boots one"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Does the one-time set-up: core, alloc and the kernel for Hermit, the loader, QEMU
    Setup {
        /// Also install the programs that the tests use, as `cargo test` does
        #[arg(long)]
        tests: bool,
    },
    /// Builds bootable images, target/hermit/NAME.img
    Build {
        /// The program to build [default: all]
        #[arg(short, long = "package", value_name = "NAME")]
        packages: Vec<String>,
    },
    /// Makes a new service: a package in a folder of its own, and its entry in the description of an application
    New(new::Options),
    /// Boots a built program (cargo calls this for `cargo run --target x86_64-unknown-hermit`)
    Run(run::Options),
    /// Makes OCI images of services, for engines that start unikernels or containers
    Oci(oci::Options),
    /// Opens a shell, or runs a program, in a machine with an emulated KVM, where the images and this tool are at hand
    Bed(bed::Options),
    /// Draws what an image consists of, its memory, its boot, a request and a fault: `cargo image anatomy --help`
    #[command(disable_help_flag = true)]
    Anatomy {
        /// What it is told
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
    /// Becomes another program that ends with the process PARENT
    #[command(name = process::BOUND_COMMAND, hide = true)]
    ExecBound(process::Bound),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => output::status(dispatch(cli.command)),
        Err(error) => output::status_of_usage(&error),
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Setup { tests } => set_up(&Workspace::find()?, tests)?,
        Command::Build { packages } => build(&Workspace::find()?, packages)?,
        Command::New(options) => create(&Workspace::find()?, &options)?,
        Command::Run(options) => return run::run(&Workspace::find()?, &options),
        Command::Oci(options) => oci::run(&Workspace::find()?, &options)?,
        Command::Bed(options) => return bed::run(&Workspace::find()?, &options),
        Command::Anatomy { arguments } => return draw(&Workspace::find()?, &arguments),
        Command::ExecBound(bound) => bound.exec()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts the program that draws, which is built on this tool and on the comparison.
fn draw(workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
    let mut cargo = Process::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&workspace.root).args(["run", "--profile", "tool", "--package", "anatomy", "--"]);
    let status = cargo.args(arguments).status().context("cargo cannot be started")?;
    // Ended by a signal, it has no status.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn set_up(workspace: &Workspace, tests: bool) -> Result<()> {
    // All at once: what is missing is told in one line. QEMU is among what tests use.
    if tests {
        packages::ensure_tests()?;
    } else {
        packages::ensure_qemu()?;
    }
    image::set_up(workspace)?;
    note!("ready: cargo run --target x86_64-unknown-hermit");
    Ok(())
}

fn create(workspace: &Workspace, options: &new::Options) -> Result<()> {
    let here = env::current_dir().context("this folder is gone")?;
    let Created { folder, description, is_member, port } = new::create(workspace, &here, options)?;
    let name = &options.name;
    let shown = |path: &Path| path.strip_prefix(&here).unwrap_or(path).display().to_string();
    say!("{name} is a service in {}, which {} boots:\n", shown(&folder), shown(&description))?;
    let file = match &options.file {
        Some(file) => format!(" --file {}", file.display()),
        None => String::new(),
    };
    let package = match is_member {
        true => format!("-p {name}"),
        false => format!("--manifest-path {}", shown(&folder.join("Cargo.toml"))),
    };
    let mut commands = vec![
        (format!("cargo up{file}"), format!("its page is at http://127.0.0.1:{port}")),
        (format!("cargo test {package}"), "in the simulator".to_owned()),
        (format!("cargo run {package}"), "as a Linux process".to_owned()),
    ];
    if is_member {
        let alone = format!("cargo run --target x86_64-unknown-hermit {package}");
        commands.push((alone, "alone, as a unikernel".to_owned()));
    }
    let width = commands.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    commands.iter().try_for_each(|(command, what)| Ok(say!("  {command:width$}  # {what}")?))
}

fn build(workspace: &Workspace, mut names: Vec<String>) -> Result<()> {
    if names.is_empty() {
        names = manifest::read(workspace)?.into_keys().collect();
    }
    for image in image::build(workspace, &names)? {
        let path = image.path.strip_prefix(&workspace.root).unwrap_or(&image.path);
        let name = path.to_str().context("the target directory's name is not UTF-8")?;
        say!("{:>8} bytes  {name}", image.bytes)?;
    }
    Ok(())
}
