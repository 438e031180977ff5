//! The command line of `cargo course`. Each command is implemented in the module of its name.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use image_build::tool::output;
use image_build::tool::workspace::Workspace;

use crate::{book, judge};

#[derive(Parser)]
#[command(
    name = "cargo course",
    bin_name = "cargo course",
    about = "The course: how a unikernel is built and booted. Without a command: shows progress, serves the book and opens it"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the book into target/course/book
    Build,
    /// Judges exercises: a chapter (`6`), one exercise (`6.2`), or `all`
    Check {
        /// Which: CHAPTER or CHAPTER.EXERCISE
        exercise: String,
    },
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => output::status(dispatch(cli.command)),
        Err(error) => output::status_of_usage(&error),
    }
}

fn dispatch(command: Option<Command>) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match command {
        None => book::serve(&workspace)?,
        Some(Command::Build) => book::build(&workspace)?,
        Some(Command::Check { exercise }) => return judge::check(&workspace, &exercise),
    }
    Ok(ExitCode::SUCCESS)
}
