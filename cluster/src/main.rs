//! The program of the commands for the whole application. It contains no logic.

use std::process::ExitCode;

fn main() -> ExitCode {
    cluster::cli::main()
}
