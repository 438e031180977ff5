//! The program of `cargo course`. It contains no logic.

use std::process::ExitCode;

fn main() -> ExitCode {
    course::cli::main()
}
