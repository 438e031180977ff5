//! The book: built and served by mdBook, and checked so that it does not rot.
//!
//! `markdown` reads a page; `blocks` runs its commands, `figures` measures its figures again, `links` looks up what it
//! leads to, and `chapter` knows the form of a chapter. `course/tests/book.rs` applies all of them to all pages.

pub mod blocks;
pub mod chapter;
pub mod figures;
pub mod folders;
pub mod html;
pub mod links;
pub mod markdown;
pub mod mdbook;
mod output;
pub mod repository;
mod session;

use std::env;
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result};
use image_build::tool::output as screen;
use image_build::tool::workspace::Workspace;

/// Serves the book and shows it in a browser, if `open` allows; where nobody looks, nothing is served.
///
/// # Errors
/// When there is no mdBook.
pub fn serve(workspace: &Workspace, open: bool) -> Result<()> {
    if !screen::is_screen(&io::stdout()) {
        return Ok(());
    }
    mdbook::serve(workspace, &tool()?, open)
}

/// Builds the book and says where.
///
/// # Errors
/// When there is no mdBook, or it finds a fault.
pub fn build(workspace: &Workspace) -> Result<()> {
    let folder = mdbook::build(workspace, &tool()?)?;
    say!("{}", folder.join("index.html").display())?;
    Ok(())
}

fn tool() -> Result<PathBuf> {
    env::current_exe().context("the path of this program is not known")
}
