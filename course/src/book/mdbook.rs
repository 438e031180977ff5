//! mdBook: found or installed, and run on the book.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use image_build::tool::process;
use image_build::tool::workspace::Workspace;
use image_build::toolchain::registry::{self, Program};

use crate::book::folders::BOOK;

/// What is installed when there is none that fits.
const MDBOOK: Program = Program {
    name: "mdbook",
    version: "0.5.4",
    takes: "2 to 7 minutes, and up to 500 MB of disk meanwhile",
    needs: &[],
};
/// The versions that this book is written for.
const SERIES: &str = "mdbook v0.5.";
/// Names the program that makes pages of the repository's files, for `preprocessor.repository` in book.toml.
const PREPROCESSOR: &str = "MDBOOK_PREPROCESSOR__REPOSITORY__COMMAND";
/// The hidden command of the program that this is about.
pub const PREPROCESSOR_COMMAND: &str = "repository-pages";
/// The first port that the book is served on, and how many after it are tried.
const PORTS: std::ops::Range<u16> = 3000..3010;

/// Builds the book with `tool`, the program of `cargo course`, and returns its folder.
///
/// # Errors
/// When there is no mdBook, or it finds a fault.
pub fn build(workspace: &Workspace, tool: &Path) -> Result<PathBuf> {
    let folder = folder(workspace);
    let mut command = command(workspace, tool, "build")?;
    process::output(&mut command, "building the book")?;
    Ok(folder)
}

/// Serves the book until Ctrl-C; `open` shows it in a browser. Returns only when that fails.
///
/// # Errors
/// When there is no mdBook, or no free port.
pub fn serve(workspace: &Workspace, tool: &Path, open: bool) -> Result<()> {
    let port = free_port()?;
    let mut command = command(workspace, tool, "serve")?;
    command.args(["--hostname", "127.0.0.1", "--port", &port.to_string()]);
    if open {
        command.arg("--open");
    }
    note!("The book: http://127.0.0.1:{port} (Ctrl-C ends)");
    Err(process::become_program(&mut command))
}

/// Where the book is built.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("course/book")
}

fn command(workspace: &Workspace, tool: &Path, word: &str) -> Result<Command> {
    let tool = tool.to_str().with_context(|| format!("{} is not UTF-8", tool.display()))?;
    let mut command = Command::new(ensure(workspace)?);
    command.arg(word).arg(workspace.root.join(BOOK)).arg("--dest-dir").arg(folder(workspace));
    command.env(PREPROCESSOR, shell_words::join([tool, PREPROCESSOR_COMMAND]));
    Ok(command)
}

/// The program: the user's own, or the installed one.
fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let installed = registry::directory(workspace)?.join(MDBOOK.name);
    let found = process::find(MDBOOK.name).into_iter().chain([installed]).find(|path| fits(path));
    found.map_or_else(|| registry::install(workspace, &MDBOOK), Ok)
}

fn fits(program: &Path) -> bool {
    let version = process::output(Command::new(program).arg("--version"), "asking mdBook");
    version.is_ok_and(|version| version.starts_with(SERIES))
}

fn free_port() -> Result<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let taken =
        || anyhow!("the ports {} to {} are taken: end what listens there", PORTS.start, PORTS.end - 1);
    PORTS.clone().find(is_free).ok_or_else(taken)
}
