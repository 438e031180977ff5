//! The command line of `cargo up` and the related commands. Each command is implemented in the module of its name.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use image_build::tool::workspace::Workspace;
use image_build::tool::{output, process};

use crate::commands::options::{
    AttachOptions, DoctorOptions, FaultOptions, LogsOptions, PsOptions, UpOptions,
};
use crate::commands::{attach, doctor, down, fault, logs, ps, run_dir, supervise, up};

#[derive(Parser)]
#[command(
    name = "cargo",
    bin_name = "cargo",
    about = "Runs applications of Hermit unikernels, as a TOML file describes them"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boots an application, the voting application if no other is named, and waits until it is healthy
    Up(UpOptions),
    /// Stops the application
    Down,
    /// Shows what runs, its health and its resource usage
    Ps(PsOptions),
    /// Prints the services' logs
    Logs(LogsOptions),
    /// Opens a debugger in a running service, or prints what a debugger needs
    Attach(AttachOptions),
    /// Drops, delays or blocks frames on the running application's network
    Fault(FaultOptions),
    /// Lists what this machine has and lacks
    Doctor(DoctorOptions),
    /// Holds a running application together (for `up`)
    #[command(hide = true)]
    Supervise,
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
    let here = || run_dir(&Workspace::find()?);
    match command {
        Command::Up(options) => {
            let workspace = Workspace::find()?;
            return up::up(&workspace, &run_dir(&workspace)?, &options);
        }
        Command::Down => down::down(&here()?)?,
        Command::Ps(options) => ps::ps(&here()?, options)?,
        Command::Logs(options) => logs::logs(&here()?, &options)?,
        Command::Attach(options) => return attach::attach(&here()?, &options),
        Command::Fault(options) => fault::fault(&here()?, &options)?,
        Command::Doctor(options) => return doctor::run(&Workspace::find()?, &options),
        Command::Supervise => supervise::supervise()?,
        Command::ExecBound(bound) => bound.exec()?,
    }
    Ok(ExitCode::SUCCESS)
}
