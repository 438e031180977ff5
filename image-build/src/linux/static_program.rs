//! The services as ordinary Linux programs that need no library: for containers, Linux machines and plain processes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::tool::process;
use crate::tool::workspace::Workspace;

/// The target that they are built for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the programs of these packages, below `folder`.
///
/// # Errors
/// When one of them cannot be built.
pub fn build(workspace: &Workspace, folder: &Path, names: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    process::forget_build_settings(&mut cargo);
    cargo.current_dir(&workspace.root).args(["build", "--release", "--quiet", "--target", TARGET]);
    cargo.arg("--target-dir").arg(folder);
    for name in names {
        cargo.args(["--package", name]);
    }
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    process::output(&mut cargo, "building static executables").map(drop)
}

/// The program of a package below `folder`.
///
/// # Errors
/// When it has not been built.
pub fn built(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(TARGET).join("release").join(name);
    ensure!(path.is_file(), "{} has not been built", path.display());
    Ok(path)
}
