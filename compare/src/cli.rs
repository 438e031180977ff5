//! The command line of `cargo compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use image_build::tool::{output, process};
use image_build::vm::accelerator::Choice;

use crate::run::{self, Options};
use crate::{budget, exit_check, instruction_check, store_speed};

/// Measures the application as unikernels, Linux machines, containers and processes, and writes a report.
#[derive(Parser)]
#[command(
    name = "cargo compare",
    bin_name = "cargo compare",
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the report of a run again
    Report {
        /// The run's directory [default: the latest]
        directory: Option<PathBuf>,
        /// Say what changed since this results.json
        #[arg(long, value_name = "OLD.JSON")]
        baseline: Option<PathBuf>,
    },
    /// Counts the guest instructions of a boot, a GET and a POST, of a vote in the worker and an RPUSH in the store,
    /// and compares them with the committed ones
    Instructions {
        /// Write the new counts to compare/instructions.toml
        #[arg(long)]
        update: bool,
    },
    /// Counts how often a boot, a GET, a POST and a second of rest leave a guest under KVM, and compares that with the
    /// committed figures; in a machine with an emulated KVM where this one has none
    Exits {
        /// Write the new figures to compare/exits.toml
        #[arg(long)]
        update: bool,
    },
    /// Shows the guest instructions of a GET, a POST, a vote in the worker and an RPUSH in the store by layer
    Budget {
        /// Also list the most expensive functions
        #[arg(long, default_value_t = 0, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(0..=200))]
        functions: u16,
    },
    /// Loads the store and redis-server in turn with redis-benchmark
    Store {
        /// How often each test is repeated
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=100))]
        rounds: u16,
        /// Requests of each test in a round
        #[arg(long, default_value_t = 400_000, value_parser = clap::value_parser!(u32).range(1..))]
        requests: u32,
    },
    /// Measures what a run has planned (for `cargo compare`)
    #[command(hide = true)]
    Measure {
        directory: PathBuf,
        #[arg(long)]
        original: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t)]
        accel: Choice,
    },
    /// Counts exits on this machine (for `cargo compare exits`)
    #[command(name = exit_check::COUNT_COMMAND, hide = true)]
    CountExits {
        /// Only on these substrates
        only: Vec<String>,
        /// Descriptions of peers that are among them
        #[arg(long = "peer", value_name = "FILE")]
        peers: Vec<PathBuf>,
    },
    /// Becomes another program that ends with the process PARENT
    #[command(name = process::BOUND_COMMAND, hide = true)]
    ExecBound(process::Bound),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli { command: None, options }) => output::status(run::run(&options)),
        Ok(Cli { command: Some(command), .. }) => {
            output::status(dispatch(command).map(|()| ExitCode::SUCCESS))
        }
        Err(error) => output::status_of_usage(&error),
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Report { directory, baseline } => run::report(directory, baseline.as_deref()),
        Command::Instructions { update } => instruction_check::run(update),
        Command::Exits { update } => exit_check::run(update),
        Command::CountExits { only, peers } => exit_check::count_here(&only, &peers),
        Command::Budget { functions } => budget::run(usize::from(functions)),
        Command::Store { rounds, requests } => store_speed::run(usize::from(rounds), requests),
        Command::Measure { directory, original, accel } => run::measure(&directory, original, accel),
        Command::ExecBound(bound) => bound.exec(),
    }
}
