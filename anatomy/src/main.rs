//! The program behind `cargo image anatomy`. It contains no logic.

use std::process::ExitCode;

fn main() -> ExitCode {
    anatomy::cli::main()
}
