//! The services as ordinary Linux programs that need no library: for containers, Linux machines and plain processes.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::tool::process;
use crate::tool::workspace::Workspace;

/// The target that they are built for.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Where cargo builds them, in the folder of the tool's state.
const FOLDER: &str = "static";

/// Builds the programs of these packages.
///
/// # Errors
/// When one of them cannot be built.
pub fn build(workspace: &Workspace, names: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    process::forget_build_settings(&mut cargo);
    cargo.current_dir(&workspace.root).args(["build", "--release", "--quiet", "--target", TARGET]);
    cargo.arg("--target-dir").arg(workspace.state()?.join(FOLDER));
    for name in names {
        cargo.args(["--package", name]);
    }
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    process::output(&mut cargo, "building static executables").map(drop)
}

/// The program of a package.
///
/// # Errors
/// When it has not been built.
pub fn built(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let path = workspace.state()?.join(FOLDER).join(TARGET).join("release").join(name);
    ensure!(path.is_file(), "{} has not been built", path.display());
    Ok(path)
}
