//! What every part of a comparison needs to know: paths, accelerator, options.
//!
//! Holds no results.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use image_build::tool::workspace::Workspace;
use image_build::vm::accelerator::{Accelerator, Choice};
use image_build::vm::probe;

use crate::peer::Peer;

/// One comparison's surroundings.
#[derive(Clone, Debug)]
pub struct Context {
    /// Paths of the clone that is measured.
    pub workspace: Workspace,
    /// What runs guests.
    pub accelerator: Accelerator,
    /// A checkout of the original application.
    pub original: Option<PathBuf>,
    /// Peers that are measured besides.
    pub peers: Vec<Peer>,
    /// Whether this run has a network, processes and mounts of its own (see `containment`).
    pub contained: bool,
}

impl Context {
    /// The surroundings on this machine.
    ///
    /// # Errors
    /// When the accelerator that was asked for does not work.
    pub fn find(choice: Choice, original: Option<PathBuf>, contained: bool) -> Result<Self> {
        let workspace = Workspace::find()?;
        let accelerator = probe::choose(&workspace, choice)?;
        Ok(Self { workspace, accelerator, original, peers: Vec::new(), contained })
    }

    /// Directory of everything that comparisons leave: `target/compare`.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn root(&self) -> Result<PathBuf> {
        self.folder("")
    }

    /// A directory below the root for what is downloaded and built, kept between runs.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn artifacts(&self, name: &str) -> Result<PathBuf> {
        self.folder(&format!("artifacts/{name}"))
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.workspace.target.join("compare").join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }
}
