//! The host tool as a program. No logic lives here.

use std::process::ExitCode;

fn main() -> ExitCode {
    image_build::cli::main()
}
