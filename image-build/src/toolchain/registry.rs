//! Programs that cargo's registry has: built from there into the folder of the tool's state, once, saying so first.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::tool::packages;
use crate::tool::packages::Packaged;
use crate::tool::progress::Step;
use crate::tool::workspace::Workspace;
use crate::tool::{output, process};
use crate::toolchain::Toolchain;

/// Where cargo installs, in the folder of the tool's state.
const FOLDER: &str = "programs";

/// A program of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Name of the package and of the program.
    pub name: &'a str,
    /// The version that is installed.
    pub version: &'a str,
    /// What building it takes: time and disk.
    pub takes: &'a str,
    /// Packages of the system that building it takes.
    pub needs: &'a [&'a Packaged],
}

/// The directory of the programs that were installed from the registry.
///
/// # Errors
/// When there is no folder for the tool's state.
pub fn directory(workspace: &Workspace) -> Result<PathBuf> {
    Ok(workspace.state()?.join(FOLDER).join("bin"))
}

/// Builds and installs a program, also over another version of it, and returns its path.
///
/// # Errors
/// When nothing may be installed, or it cannot be built.
pub fn install(workspace: &Workspace, program: &Program) -> Result<PathBuf> {
    let Program { name, version, takes, needs } = *program;
    if !packages::may_install() {
        bail!("{name} {version} is missing: `cargo install {name}@{version}`; {}", packages::FORBIDDEN);
    }
    output::tell(format_args!(
        "{name} is missing: building {version} from cargo's registry, once; this takes {takes}"
    ));
    packages::ensure_all(needs)?;
    let root = workspace.state()?.join(FOLDER);
    let step = Step::start(format!("Installing {name} {version} into {}", root.display()));
    let mut cargo = Toolchain::find(workspace)?.cargo();
    cargo.env_remove("RUSTC_BOOTSTRAP");
    cargo.args(["install", name, "--version", version, "--locked", "--root"]).arg(&root);
    process::output(&mut cargo, &format!("building {name}"))?;
    step.done();
    let path = directory(workspace)?.join(name);
    ensure!(path.is_file(), "cargo has not installed {name}: {} is not there", path.display());
    Ok(path)
}
