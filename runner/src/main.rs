//! The program of a runner image. It contains no logic.

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::main()
}
