//! What an image is made of: a package that `images.toml` lists, or a folder with any cargo package.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::image::folder::build_folder;
use crate::image::{Image, build};
use crate::tool::workspace::Workspace;

/// What an image is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Source {
    /// A package of this workspace, by its name.
    Package(String),
    /// The folder of a package, of this workspace or of another one.
    Folder(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(name) => f.write_str(name),
            Self::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Builds an image of each source, in their order. The packages of this workspace are compiled together.
///
/// # Errors
/// When one cannot be built.
pub fn build_sources(workspace: &Workspace, sources: &[Source]) -> Result<Vec<Image>> {
    let names = sources.iter().filter_map(|source| match source {
        Source::Package(name) => Some(name.as_str()),
        Source::Folder(_) => None,
    });
    let names: Vec<&str> = names.collect();
    let mut packages = if names.is_empty() { Vec::new() } else { build(workspace, &names)? }.into_iter();
    let image = |source: &Source| match source {
        Source::Package(name) => packages.next().with_context(|| format!("{name} has no image")),
        Source::Folder(folder) => build_folder(workspace, folder),
    };
    sources.iter().map(image).collect()
}
