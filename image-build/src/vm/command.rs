//! The command that starts a machine, whichever VMM makes it.

use std::process::Command;

use anyhow::Result;

use crate::vm::machine::Launch;
use crate::vm::vmm::Vmm;
use crate::vm::{cloud_hypervisor, firecracker, qemu, refusal, uhyve};

/// Whether a machine can be made, without writing anything.
///
/// # Errors
/// As [`command`].
pub fn check(launch: &Launch) -> Result<()> {
    refusal::check_launch(launch)?;
    if launch.vmm == Vmm::Firecracker {
        firecracker::configuration(launch)?;
    }
    Ok(())
}

/// The command that starts a machine. Firecracker's configuration is written to the launch's folder.
///
/// # Errors
/// When the VMM cannot make this machine, or the guest's settings cannot be passed on.
pub fn command(launch: &Launch) -> Result<Command> {
    refusal::check_launch(launch)?;
    match launch.vmm {
        Vmm::Qemu => qemu::command(launch),
        Vmm::Uhyve => uhyve::command(launch),
        Vmm::Firecracker => firecracker::command(launch),
        Vmm::CloudHypervisor => cloud_hypervisor::command(launch),
    }
}
