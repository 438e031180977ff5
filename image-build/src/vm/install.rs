//! The programs of VMMs: found, or installed where a registry has them.
//!
//! Only uhyve is in one; Firecracker and cloud-hypervisor are taken from where their makers publish them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::tool::packages;
use crate::tool::packages::table::LIBCLANG;
use crate::tool::workspace::Workspace;
use crate::toolchain::registry::{self, Program};
use crate::vm::fitness::{self, Unfit};
use crate::vm::vmm::Vmm;

/// The program of a VMM, wherever it is.
///
/// # Errors
/// When it is not there.
pub fn find(workspace: &Workspace, vmm: Vmm, given: Option<&Path>) -> Result<PathBuf, Unfit> {
    let installed = registry::directory(workspace).ok();
    fitness::find(vmm, given, installed.as_slice())
}

/// Whether a missing VMM is one that is installed, unless the user has named another place for it.
pub fn is_installed_on_demand(vmm: Vmm, given: Option<&Path>) -> bool {
    given.is_none() && matches!(vmm, Vmm::Qemu | Vmm::Uhyve) && packages::may_install()
}

/// The program of a VMM, which is installed if it is missing and a registry has it, saying so first.
///
/// # Errors
/// When it is not there afterwards.
pub fn ensure(workspace: &Workspace, vmm: Vmm, given: Option<&Path>) -> Result<PathBuf> {
    match find(workspace, vmm, given) {
        Err(Unfit::Missing(Vmm::Qemu, None)) => packages::ensure_qemu()?,
        Err(Unfit::Missing(Vmm::Uhyve, None)) => install_uhyve(workspace)?,
        found => return Ok(found?),
    }
    Ok(find(workspace, vmm, given)?)
}

fn install_uhyve(workspace: &Workspace) -> Result<()> {
    let version = Vmm::Uhyve.version_min().context("it has one")?.to_string();
    let program = Program {
        name: Vmm::Uhyve.program(),
        version: &version,
        takes: "2 to 7 minutes, 350 MB of disk meanwhile, and libclang",
        needs: &[&LIBCLANG],
    };
    registry::install(workspace, &program).map(drop)
}
