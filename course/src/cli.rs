//! The command line of `cargo course`. Each command is implemented in the module of its name.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use image_build::tool::output;
use image_build::tool::workspace::Workspace;

use crate::book::{mdbook, repository};
use crate::{book, judge};

#[derive(Parser)]
#[command(
    name = "cargo course",
    bin_name = "cargo course",
    about = "The course: how a unikernel is built and booted. Without a command: shows progress, serves the book and opens it"
)]
struct Cli {
    /// Serves the book without opening it in a browser
    #[arg(long)]
    no_open: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the book into target/course/book
    Build,
    /// What mdBook runs: makes pages of the repository's files that the chapters lead to
    #[command(hide = true, name = mdbook::PREPROCESSOR_COMMAND)]
    RepositoryPages {
        /// A question of mdBook
        question: Vec<String>,
    },
    /// Judges exercises: a chapter (`6`), one exercise (`6.2`), or `all`
    Check {
        /// Which: CHAPTER or CHAPTER.EXERCISE
        exercise: String,
    },
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => output::status(dispatch(cli)),
        Err(error) => output::status_of_usage(&error),
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match cli.command {
        None => {
            judge::progress(&workspace)?;
            book::serve(&workspace, !cli.no_open)?;
        }
        Some(Command::RepositoryPages { question }) => repository::preprocess(&workspace, &question)?,
        Some(Command::Build) => book::build(&workspace)?,
        Some(Command::Check { exercise }) => return judge::check(&workspace, &exercise),
    }
    Ok(ExitCode::SUCCESS)
}
