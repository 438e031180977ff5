//! Substrates: what the services are run on, and how an instance is started on each.
//!
//! A substrate decides how a program is started and reached. What is measured is not its business.

mod application;
mod docker;
mod hermit;
mod instance;
mod monitor;
mod original;
mod peer;
mod process;
pub mod redis;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use image_build::oci::Kind as Contents;
use image_build::vm::machine::Machine;
use image_build::vm::vmm::Vmm;

use crate::context::Context;
use crate::peer::Peer;
use crate::record::Execution;
use docker::DockerNetwork;

pub use application::{Application, READY_LIMIT, Substrate, deepen_backlogs, ready};
pub use docker::remove_leftovers;
pub use hermit::HOST_FROM_GUEST;
pub use instance::{Instance, Order, Port, Program};

/// Most peers of a run.
const PEERS_MAX: usize = 16;

/// A substrate that is compared: named, not yet prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Short identifier, as `--only` takes it.
    pub id: &'a str,
    pub title: &'a str,
    kind: Kind<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'a> {
    Hermit(Machine),
    /// A unikernel under another VMM than QEMU.
    Monitor(Vmm),
    OneImage(Machine),
    /// The Linux machine that is described here.
    Linux(Machine),
    Docker(DockerNetwork, Contents),
    Native,
    Original,
    /// What a user describes.
    Peer(&'a Peer),
}

/// All substrates that are always known, in the order of the report's rows.
pub const CANDIDATES: [Candidate<'static>; 14] = [
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
    candidate("linux-q35", "Linux VM, q35", Kind::Linux(Machine::Q35)),
    candidate("linux-microvm", "Linux VM, microvm", Kind::Linux(Machine::Microvm)),
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

const fn candidate(id: &'static str, title: &'static str, kind: Kind<'static>) -> Candidate<'static> {
    Candidate { id, title, kind }
}

impl Candidate<'_> {
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
            Kind::Linux(machine) => peer::prepare(context, &peer::linux(machine)?),
            Kind::Docker(_, contents) => docker::prepare(context, contents),
            Kind::Native => process::build(context),
            Kind::Original => original::prepare(context),
            Kind::Peer(peer) => peer::prepare(context, peer),
        }
    }

    /// Makes it ready to start instances, after [`prepare`](Self::prepare).
    pub fn open(&self, context: &Context) -> Result<Box<dyn Substrate>> {
        Ok(match self.kind {
            Kind::Hermit(machine) => Box::new(hermit::Hermit::open(context, machine)?),
            Kind::Monitor(vmm) => Box::new(monitor::Monitor::open(context, vmm)?),
            Kind::OneImage(machine) => Box::new(hermit::OneImage::open(context, machine)?),
            Kind::Linux(machine) => Box::new(peer::Machines::open(context, &peer::linux(machine)?)?),
            Kind::Docker(network, contents) => Box::new(docker::Docker::open(context, network, contents)?),
            Kind::Native => Box::new(process::Processes::open(context)?),
            Kind::Original => Box::new(original::Original::open(context)?),
            Kind::Peer(peer) => Box::new(peer::Machines::open(context, peer)?),
        })
    }

    /// Whether what leaves its guest under KVM is counted.
    pub fn counts_exits(&self) -> bool {
        matches!(self.kind, Kind::Hermit(_) | Kind::Monitor(_) | Kind::Linux(Machine::Q35) | Kind::Peer(_))
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

/// The substrates of a run with these peers, in the order of the report's rows.
pub fn all<'a>(peers: &'a [Peer]) -> impl Iterator<Item = Candidate<'a>> {
    let of = |peer: &'a Peer| Candidate { id: &peer.name, title: &peer.title, kind: Kind::Peer(peer) };
    CANDIDATES.into_iter().chain(peers.iter().map(of))
}

/// The substrate of this identifier.
pub fn find<'a>(peers: &'a [Peer], id: &str) -> Result<Candidate<'a>> {
    let found = all(peers).find(|candidate| candidate.id == id);
    let known = || all(peers).map(|candidate| candidate.id).collect::<Vec<_>>().join(", ");
    found.with_context(|| format!("there is no substrate {id}: give some of {}", known()))
}

/// The peers that these files describe.
///
/// # Errors
/// For the first file with a fault, in one line.
pub fn read_peers(files: &[PathBuf]) -> Result<Vec<Peer>> {
    ensure!(files.len() <= PEERS_MAX, "--peer is given {} times: give at most {PEERS_MAX}", files.len());
    let mut peers: Vec<Peer> = Vec::new();
    for file in files {
        let peer = Peer::read(file, &Program::SERVICES.map(Program::package))?;
        let is_new = all(&peers).all(|candidate| candidate.id != peer.name);
        let path = file.display();
        ensure!(is_new, "{path}: name = {:?}: there is such a substrate: give another name", peer.name);
        peers.push(peer);
    }
    Ok(peers)
}

/// Whether a substrate is what this project builds.
pub fn is_own(id: &str) -> bool {
    CANDIDATES.iter().any(|candidate| {
        let is_own =
            !matches!(candidate.kind, Kind::Linux(_) | Kind::Docker(_, Contents::Container) | Kind::Original);
        candidate.id == id && is_own
    })
}

/// Those that not every machine can run, and that need not be there.
pub fn optional() -> impl Iterator<Item = Candidate<'static>> {
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
