//! What the user wants machines to be made by, checked and completed.

use std::path::PathBuf;

use anyhow::Result;

use crate::tool::packages;
use crate::tool::workspace::Workspace;
use crate::vm::accelerator::{Accelerator, Choice};
use crate::vm::machine::{Machine, Platform};
use crate::vm::vmm::{Version, Vmm};
use crate::vm::{fitness, install, probe, refusal};

/// The first QEMU that lets another process serve cards with MSI-X without KVM. An older one ends with a segmentation
/// fault: it masks interrupts that only KVM keeps (mended in January 2023, "virtio-pci: add support for configure
/// interrupt").
const QEMU_SHARES_MSI_X: Version = Version([8, 0, 0]);

/// What the user wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The program that makes machines.
    pub vmm: Vmm,
    /// Where that is, if it is said.
    pub program: Option<PathBuf>,
    /// The virtual hardware, if it is said.
    pub machine: Option<Machine>,
    /// What runs the guests' instructions.
    pub accelerator: Choice,
}

impl Wanted {
    /// Whether it can be had here, as far as that is known in a moment: nothing is built, booted or installed.
    ///
    /// # Errors
    /// With the reason and the way round.
    pub fn check(&self, workspace: &Workspace) -> Result<()> {
        self.version(workspace).map(drop)
    }

    /// The version of the program, if it is here, when all has been checked.
    fn version(&self, workspace: &Workspace) -> Result<Option<Version>> {
        refusal::check_choices(self.vmm, self.machine, self.accelerator)?;
        let version = match install::find(workspace, self.vmm, self.program.as_deref()) {
            Ok(program) => Some(fitness::version(self.vmm, &program)?),
            // It will be there.
            Err(_) if install::is_installed_on_demand(self.vmm, self.program.as_deref()) => None,
            Err(unfit) => return Err(unfit.into()),
        };
        if self.vmm.needs_kvm() {
            probe::check_kvm()?;
        }
        Ok(version)
    }

    /// The platform; installs what is missing, saying so first.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn platform(&self, workspace: &Workspace) -> Result<Platform> {
        let version = self.version(workspace)?;
        let program = install::ensure(workspace, self.vmm, self.program.as_deref())?;
        let machine = self.machine.unwrap_or_default();
        let (accelerator, sandbox) = self.accelerator(workspace)?;
        let shares_queues = self.vmm == Vmm::Qemu
            && version.is_some_and(|version| shares_queues(machine, accelerator, version));
        Ok(Platform { vmm: self.vmm, program, machine, accelerator, sandbox, shares_queues })
    }

    /// The accelerator, and whether QEMU is to filter its system calls.
    fn accelerator(&self, workspace: &Workspace) -> Result<(Accelerator, bool)> {
        if self.vmm == Vmm::Qemu {
            return Ok((probe::choose(workspace, self.accelerator)?, probe::choose_sandbox(workspace)?));
        }
        // With a QEMU at hand it is known better.
        if packages::missing(&[&packages::table::QEMU]).is_empty() {
            return Ok((probe::choose(workspace, Choice::Kvm)?, false));
        }
        Ok((probe::untried_kvm(), false))
    }
}

/// Whether another process can serve the cards of such machines of QEMU's (vhost-user).
fn shares_queues(machine: Machine, accelerator: Accelerator, qemu: Version) -> bool {
    // Cards on MMIO have no MSI-X.
    machine == Machine::Microvm || matches!(accelerator, Accelerator::Kvm { .. }) || qemu >= QEMU_SHARES_MSI_X
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    /// What is said to a user who wants Firecracker from a program with these rights that runs this script.
    fn refusal(script: &str, rights: u32) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fake");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("room");
        fs::set_permissions(&path, fs::Permissions::from_mode(rights)).expect("ours");
        let wanted = Wanted { vmm: Vmm::Firecracker, program: Some(path.clone()), ..Wanted::default() };
        let workspace = Workspace { root: folder.path().to_owned(), target: folder.path().to_owned() };
        let error = wanted.check(&workspace).expect_err("refused");
        format!("{error:#}").replace(path.to_str().expect("text"), "P")
    }

    #[test]
    fn a_vmm_that_cannot_be_used_is_refused_before_anything_starts() {
        assert!(
            refusal("echo Firecracker v1.0.0", 0o755).starts_with("P is Firecracker 1.0.0, which is too old")
        );
        assert!(refusal("", 0o644).starts_with("Firecracker cannot be started: make P executable"));
        assert_eq!(
            refusal("echo 'not here' >&2; exit 1", 0o755),
            "P does not tell the version of Firecracker (not here)"
        );
    }

    #[test]
    fn an_old_qemu_shares_queues_without_msi_x_or_with_kvm() {
        let (kvm, tcg) = (Accelerator::Kvm { mhz: 1 }, Accelerator::Tcg { mhz: 1 });
        let old = Version([7, 2, 22]);
        assert!(!shares_queues(Machine::Q35, tcg, old));
        assert!(shares_queues(Machine::Q35, kvm, old) && shares_queues(Machine::Microvm, tcg, old));
        assert!(shares_queues(Machine::Q35, tcg, Version([8, 0, 0])));
    }

    #[test]
    fn where_kvm_is_missing_its_vmms_are_refused_with_the_reason() {
        if !Path::new("/dev/kvm").exists() || probe::check_kvm().is_err() {
            let text = refusal("echo Firecracker v1.13.0", 0o755);
            assert!(text.starts_with("KVM cannot be used here: ") && text.contains("--vmm qemu"), "{text}");
        }
    }
}
