//! The command line of `cargo course`. Each command is implemented in the module of its name.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use image_build::tool::workspace::Workspace;
use image_build::tool::{output, process};

use crate::book::{mdbook, repository};
use crate::{book, reader};

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
    /// Copies what an exercise starts with to course-work/ (or COURSE_WORK)
    Start {
        /// Which: CHAPTER.EXERCISE, such as 6.2
        exercise: String,
    },
    /// Judges exercises: one (`6.2`), those of a chapter that were begun (`6`), or all of these (`all`)
    Check {
        /// Which: CHAPTER.EXERCISE, CHAPTER or `all`
        exercise: String,
    },
    /// Gives one more hint for an exercise
    Hint {
        /// Which: CHAPTER.EXERCISE
        exercise: String,
    },
    /// Shows the solution of an exercise, and puts it beside the work
    Solve {
        /// Which: CHAPTER.EXERCISE
        exercise: String,
    },
    /// Becomes another program that ends with the process PARENT
    #[command(name = process::BOUND_COMMAND, hide = true)]
    ExecBound(process::Bound),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => output::status(dispatch(cli)),
        Err(error) => output::status_of_usage(&error),
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    if let Some(Command::ExecBound(bound)) = &cli.command {
        bound.exec()?;
    }
    let workspace = Workspace::find()?;
    match cli.command {
        None => {
            reader::progress(&workspace)?;
            book::serve(&workspace, !cli.no_open)?;
        }
        Some(Command::RepositoryPages { question }) => repository::preprocess(&workspace, &question)?,
        Some(Command::Build) => book::build(&workspace)?,
        Some(Command::Start { exercise }) => reader::start(&workspace, &exercise)?,
        Some(Command::Check { exercise }) => return reader::check(&workspace, &exercise),
        Some(Command::Hint { exercise }) => reader::hint(&workspace, &exercise)?,
        Some(Command::Solve { exercise }) => reader::solve(&workspace, &exercise)?,
        // It has become the other program.
        Some(Command::ExecBound(_)) => {}
    }
    Ok(ExitCode::SUCCESS)
}
