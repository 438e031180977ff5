//! The commands about the whole application, as a program. No logic lives here.

use std::process::ExitCode;

fn main() -> ExitCode {
    cluster::cli::main()
}
