//! The command line of `cargo image anatomy`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use image_build::tool::output;

#[derive(Parser)]
#[command(
    name = "cargo image anatomy",
    bin_name = "cargo image anatomy",
    about = "Draws an image, its boot and a request"
)]
struct Cli {
    /// The image
    #[arg(default_value = "vote-service")]
    service: String,
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => output::status(draw(&cli.service)),
        Err(error) => output::status_of_usage(&error),
    }
}

fn draw(service: &str) -> Result<ExitCode> {
    bail!("{service} is not drawn yet");
}
