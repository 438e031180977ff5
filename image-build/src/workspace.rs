//! Where things are: the workspace, cargo's target directory and this tool's own state in it.
//!
//! Nothing is created before it is asked for.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

/// Paths of one clone.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
}

impl Workspace {
    /// The workspace that this tool was started from.
    ///
    /// # Errors
    /// When cargo cannot say where its target directory is.
    pub fn find() -> Result<Self> {
        // Cargo names the package when it runs the tool; the path at compile time serves otherwise.
        let package = env::var_os("CARGO_MANIFEST_DIR").map_or_else(built_from, PathBuf::from);
        let root = package.parent().context("the package has no parent directory")?.to_owned();
        let manifest = root.join("Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(&manifest)
            .no_deps()
            .other_options(["--offline".to_owned()])
            .exec()
            .with_context(|| format!("cargo cannot read {}", manifest.display()))?;
        Ok(Self { root, target: metadata.target_directory.into_std_path_buf() })
    }

    /// The directory of this tool's results and caches, created when missing.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn state(&self) -> Result<PathBuf> {
        let state = self.target.join("hermit");
        fs::create_dir_all(&state).with_context(|| format!("cannot create {}", state.display()))?;
        Ok(state)
    }

    /// The directory of this package, with the sources of the loader and the kernel's recipe.
    pub fn package(&self) -> PathBuf {
        self.root.join("image-build")
    }
}

fn built_from() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
