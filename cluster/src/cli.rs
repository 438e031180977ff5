//! The command line of `cargo up` and its kin. What a command does is in the module of its name.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use image_build::tool::workspace::Workspace;
use image_build::tool::{output, process};

use crate::commands::options::{AttachOptions, FaultOptions, LogsOptions, PsOptions, UpOptions};
use crate::commands::{attach, doctor, down, fault, logs, ps, run_dir, supervise, up};

#[derive(Parser)]
#[command(name = "cargo", bin_name = "cargo", about = "Runs the voting application as Hermit unikernels")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boots the whole application and waits until it is healthy
    Up(UpOptions),
    /// Stops the application
    Down,
    /// Says what runs and how it is
    Ps(PsOptions),
    /// Prints what the services say
    Logs(LogsOptions),
    /// Shows where a service's program is, or debugs it
    Attach(AttachOptions),
    /// Makes the running application's network lose, delay or cut off frames
    Fault(FaultOptions),
    /// Says what this machine has and lacks
    Doctor,
    /// Holds a running application together (for `up`)
    #[command(hide = true)]
    Supervise,
    /// Becomes another program that ends with the process PARENT
    #[command(name = process::BOUND_COMMAND, hide = true)]
    ExecBound {
        parent: i32,
        program: OsString,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
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
        Command::ExecBound { parent, program, arguments } => {
            process::exec_bound(parent, &program, &arguments).map(|()| ExitCode::SUCCESS)
        }
        Command::Supervise => supervise::supervise().map(|()| ExitCode::SUCCESS),
        command => for_users(command, &Workspace::find()?),
    }
}

fn for_users(command: Command, workspace: &Workspace) -> Result<ExitCode> {
    let run_dir = || run_dir(workspace);
    match command {
        Command::Up(options) => return up::up(workspace, &run_dir()?, &options),
        Command::Down => down::down(&run_dir()?)?,
        Command::Ps(options) => ps::ps(&run_dir()?, options)?,
        Command::Logs(options) => logs::logs(&run_dir()?, &options)?,
        Command::Attach(options) => return attach::attach(&run_dir()?, &options),
        Command::Fault(options) => fault::fault(&run_dir()?, &options)?,
        Command::Doctor => return doctor::run(workspace),
        Command::ExecBound { .. } | Command::Supervise => {}
    }
    Ok(ExitCode::SUCCESS)
}
