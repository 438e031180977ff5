//! The book: built and served by mdBook.

use anyhow::{Result, bail};
use image_build::tool::workspace::Workspace;

/// Serves the book, and opens it.
pub fn serve(workspace: &Workspace) -> Result<()> {
    build(workspace)
}

/// Builds the book.
pub fn build(workspace: &Workspace) -> Result<()> {
    bail!("{} has no book yet", workspace.root.display());
}
