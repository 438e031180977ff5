//! Paths: the workspace, cargo's target directory, and this tool's own state in it.
//!
//! Nothing is created before it is needed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use sha2::{Digest, Sha256};

use crate::tool::files::hex;

/// Digits that tell clones of one name apart.
const DIGEST_CHARS: usize = 12;

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
        let target = metadata(&root.join("Cargo.toml"))?.target_directory.into_std_path_buf();
        Ok(Self { root, target })
    }

    /// The packages of the workspace.
    ///
    /// # Errors
    /// When cargo cannot read one.
    pub fn packages(&self) -> Result<Vec<Package>> {
        Ok(metadata(&self.manifest())?.packages)
    }

    /// The workspace's `Cargo.toml`.
    pub fn manifest(&self) -> PathBuf {
        self.root.join("Cargo.toml")
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

    /// The directory of what is known of running applications: outside of the target directory, which `cargo clean`
    /// removes and a variable moves, and each clone's own.
    ///
    /// # Errors
    /// When there is no home for it.
    pub fn runs(&self) -> Result<PathBuf> {
        let given = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || Some(env::home_dir().filter(|home| home.is_absolute())?.join(".local/state"));
        let states = given.or_else(home).context("there is no home directory: set XDG_STATE_HOME")?;
        let root = fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone());
        let digest = hex(&Sha256::digest(root.as_os_str().as_encoded_bytes()));
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(states.join("unikernel-voting-app").join(format!("{name}-{}", &digest[..DIGEST_CHARS])))
    }

    /// The description of the application that is meant when no other is named.
    pub fn description(&self) -> PathBuf {
        self.root.join("voting-app.toml")
    }

    /// The directory of this package, with the sources of the loader and the kernel's recipe.
    pub fn package(&self) -> PathBuf {
        self.root.join("image-build")
    }
}

/// What cargo knows of a workspace by itself.
fn metadata(manifest: &Path) -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.manifest_path(manifest).no_deps().other_options(["--offline".to_owned()]);
    command.exec().with_context(|| format!("cargo cannot read {}", manifest.display()))
}

fn built_from() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
