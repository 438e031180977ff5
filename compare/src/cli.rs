//! The command line of `cargo compare`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use image_build::accelerator::Choice;
use image_build::{output, process};

use crate::{budget, conductor, gate};

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

/// What a run is asked for.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The short run: fewer rounds and loads, less than five minutes
    #[arg(long)]
    pub quick: bool,
    /// How often each measurement is repeated (3; 2 with --quick)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
    /// Measure only these substrates, such as hermit-q35,linux-q35
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    pub only: Vec<String>,
    /// Continue a run: the latest, or the one in DIRECTORY
    #[arg(long, value_name = "DIRECTORY", num_args = 0..=1, conflicts_with_all = ["quick", "rounds", "only"])]
    pub resume: Option<Option<PathBuf>>,
    /// Say what changed since this results.json
    #[arg(long, value_name = "OLD.JSON")]
    pub baseline: Option<PathBuf>,
    /// Where measuring the original application is wanted: a checkout of it
    #[arg(long, value_name = "PATH")]
    pub original: Option<PathBuf>,
    /// What runs the guests
    #[arg(long, value_enum, default_value_t)]
    pub accel: Choice,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the report of a run anew
    Report {
        /// The run's directory; the latest without
        directory: Option<PathBuf>,
        /// Say what changed since this results.json
        #[arg(long, value_name = "OLD.JSON")]
        baseline: Option<PathBuf>,
    },
    /// Counts the guest instructions of a boot, a GET and a POST, and compares them with the committed ones
    Instructions {
        /// Commit to what is counted now: write it to compare/instructions.toml
        #[arg(long)]
        update: bool,
    },
    /// Tells what the guest instructions of a GET and a POST are spent on, layer by layer
    Budget {
        /// Name the functions, too, that take most
        #[arg(long, default_value_t = 0, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(0..=200))]
        functions: u16,
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
        Ok(Cli { command: None, options }) => output::status(conductor::run(&options)),
        Ok(Cli { command: Some(command), .. }) => {
            output::status(dispatch(command).map(|()| ExitCode::SUCCESS))
        }
        Err(error) => output::status_of_usage(&error),
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Report { directory, baseline } => conductor::report(directory, baseline.as_deref()),
        Command::Instructions { update } => gate::run(update),
        Command::Budget { functions } => budget::run(usize::from(functions)),
        Command::Measure { directory, original, accel } => conductor::measure(&directory, original, accel),
        Command::ExecBound { parent, program, arguments } => {
            process::exec_bound(parent, &program, &arguments)
        }
    }
}
