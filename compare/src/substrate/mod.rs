//! Substrates: what the services are run on, and how an instance is started on each.
//!
//! A substrate decides how a program is started and reached. What is measured is not its business.

mod application;
mod docker;
mod hermit;
mod instance;
mod linux_vm;
mod monitor;
mod original;
mod process;
pub mod redis;

use anyhow::{Context as _, Result};
use image_build::oci::Kind as Contents;
use image_build::vm::machine::Machine;
use image_build::vm::vmm::Vmm;

use crate::context::Context;
use crate::record::Execution;
use docker::DockerNetwork;

pub use application::{Application, READY_LIMIT, Substrate, deepen_backlogs, ready};
pub use docker::remove_leftovers;
pub use hermit::HOST_FROM_GUEST;
pub use instance::{Instance, Order, Port, Program};

/// A substrate that is compared: named, not yet prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Short identifier, as `--only` takes it.
    pub id: &'static str,
    pub title: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Hermit(Machine),
    /// A unikernel under another VMM than QEMU.
    Monitor(Vmm),
    OneImage(Machine),
    LinuxVm(Machine),
    Docker(DockerNetwork, Contents),
    Native,
    Original,
}

/// All substrates, in the order of the report's rows.
pub const CANDIDATES: [Candidate; 14] = [
    candidate("hermit-q35", "Hermit unikernel, q35", Kind::Hermit(Machine::Q35)),
    candidate("hermit-microvm", "Hermit unikernel, microvm", Kind::Hermit(Machine::Microvm)),
    candidate("hermit-uhyve", "Hermit unikernel, uhyve", Kind::Monitor(Vmm::Uhyve)),
    candidate("hermit-firecracker", "Hermit unikernel, Firecracker", Kind::Monitor(Vmm::Firecracker)),
    candidate(
        "hermit-cloud-hypervisor",
        "Hermit unikernel, cloud-hypervisor",
        Kind::Monitor(Vmm::CloudHypervisor),
    ),
    candidate("one-image", "Hermit, four services in one image", Kind::OneImage(Machine::Q35)),
    candidate("linux-q35", "Linux VM, q35", Kind::LinuxVm(Machine::Q35)),
    candidate("linux-microvm", "Linux VM, microvm", Kind::LinuxVm(Machine::Microvm)),
    candidate("docker-host", "Docker, host network", Kind::Docker(DockerNetwork::Host, Contents::Container)),
    candidate("docker-bridge", "Docker, bridge", Kind::Docker(DockerNetwork::Bridge, Contents::Container)),
    candidate(
        "docker-published",
        "Docker, published port",
        Kind::Docker(DockerNetwork::Published, Contents::Container),
    ),
    candidate(
        "docker-runner",
        "Hermit unikernel in a container, bridge",
        Kind::Docker(DockerNetwork::Bridge, Contents::Runner),
    ),
    candidate("native", "Linux process", Kind::Native),
    candidate("original", "Original, as processes", Kind::Original),
];

const fn candidate(id: &'static str, title: &'static str, kind: Kind) -> Candidate {
    Candidate { id, title, kind }
}

impl Candidate {
    /// Whether this machine can run it, as far as that is known before anything is built or started.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, context: &Context) -> Result<()> {
        match self.kind {
            Kind::Monitor(vmm) => monitor::check(context, vmm),
            _ => Ok(()),
        }
    }

    /// Gets what it needs: builds, installs and downloads. Runs before measuring, with the host's network.
    ///
    /// # Errors
    /// What is missing on this machine, and how to mend it.
    pub fn prepare(&self, context: &Context) -> Result<()> {
        match self.kind {
            Kind::Hermit(_) => hermit::prepare(context, &Program::SERVICES),
            Kind::Monitor(vmm) => monitor::prepare(context, vmm),
            Kind::OneImage(_) => hermit::prepare(context, &[Program::VotingApp]),
            Kind::LinuxVm(machine) => linux_vm::prepare(context, machine),
            Kind::Docker(_, contents) => docker::prepare(context, contents),
            Kind::Native => process::build(context),
            Kind::Original => original::prepare(context),
        }
    }

    /// Makes it ready to start instances, after [`prepare`](Self::prepare).
    pub fn open(&self, context: &Context) -> Result<Box<dyn Substrate>> {
        Ok(match self.kind {
            Kind::Hermit(machine) => Box::new(hermit::Hermit::open(context, machine)?),
            Kind::Monitor(vmm) => Box::new(monitor::Monitor::open(context, vmm)?),
            Kind::OneImage(machine) => Box::new(hermit::OneImage::open(context, machine)?),
            Kind::LinuxVm(machine) => Box::new(linux_vm::LinuxVm::open(context, machine)?),
            Kind::Docker(network, contents) => Box::new(docker::Docker::open(context, network, contents)?),
            Kind::Native => Box::new(process::Processes::open(context)?),
            Kind::Original => Box::new(original::Original::open(context)?),
        })
    }

    /// Whether what leaves its guest under KVM is counted.
    pub fn counts_exits(&self) -> bool {
        matches!(self.kind, Kind::Hermit(_) | Kind::Monitor(_) | Kind::LinuxVm(Machine::Q35))
    }

    /// What runs its instructions where QEMU emulates, or does not.
    pub fn execution(&self, emulated: bool) -> Execution {
        match self.kind {
            Kind::Monitor(_) => Execution::Accelerated,
            Kind::Native | Kind::Original | Kind::Docker(_, Contents::Container) => Execution::Native,
            _ if emulated => Execution::Emulated,
            _ => Execution::Accelerated,
        }
    }
}

/// The substrate of this identifier.
pub fn find(id: &str) -> Result<Candidate> {
    let found = CANDIDATES.into_iter().find(|candidate| candidate.id == id);
    let known = CANDIDATES.map(|candidate| candidate.id);
    found.with_context(|| format!("there is no substrate {id}: give some of {}", known.join(", ")))
}

/// Whether a substrate is what this project builds.
pub fn is_own(id: &str) -> bool {
    CANDIDATES.iter().any(|candidate| {
        let is_own = !matches!(
            candidate.kind,
            Kind::LinuxVm(_) | Kind::Docker(_, Contents::Container) | Kind::Original
        );
        candidate.id == id && is_own
    })
}

/// Those that not every machine can run, and that need not be there.
pub fn optional() -> impl Iterator<Item = Candidate> {
    CANDIDATES.into_iter().filter(|candidate| matches!(candidate.kind, Kind::Monitor(_)))
}

/// Whether a substrate need not be there.
pub fn is_optional(id: &str) -> bool {
    optional().any(|candidate| candidate.id == id)
}

/// Whether containers are those of the machine's own daemon, which cannot be in a run's namespaces.
pub fn has_foreign_engine(only: &[String]) -> bool {
    let is_docker = |candidate: &Candidate| matches!(candidate.kind, Kind::Docker(..));
    let wanted = |candidate: &Candidate| only.is_empty() || only.iter().any(|id| id == candidate.id);
    CANDIDATES.iter().any(|candidate| is_docker(candidate) && wanted(candidate))
        && docker::has_foreign_engine()
}
