//! Substrates: what the services are run on, and how an instance is started on each.
//!
//! A substrate decides how a program is started and reached. What is measured is not its business.

mod docker;
mod hermit;
mod linux_vm;
mod native;
mod one_image;
mod original;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use image_build::vm::machine::Machine;
use serde::{Deserialize, Serialize};

use crate::compose::{self, Application};
use crate::context::Context;

pub use hermit::{COUNTED, COUNTED_MHZ};

/// A program of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// The vote page.
    Vote,
    /// The result page.
    Result,
    /// What moves votes from the queue to the results.
    Worker,
    /// The queue and the results.
    Store,
    /// The four of them in one.
    VotingApp,
}

/// A port of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// The vote page.
    Vote,
    /// The result page.
    Result,
    /// The worker's health.
    Worker,
    /// The store's clients.
    Store,
    /// The store's health.
    StoreHealth,
}

impl Program {
    /// Name of the package and of its executable.
    pub fn package(self) -> &'static str {
        match self {
            Self::Vote => "vote-service",
            Self::Result => "result-service",
            Self::Worker => "worker",
            Self::Store => "store-service",
            Self::VotingApp => "voting-app",
        }
    }

    /// Its ports: the setting that moves each, and where it is by default.
    pub fn ports(self) -> &'static [(Port, &'static str, u16)] {
        match self {
            Self::Vote => &[(Port::Vote, "PORT", 8080)],
            Self::Result => &[(Port::Result, "PORT", 8081)],
            Self::Worker => &[(Port::Worker, "PORT", 8082)],
            Self::Store => &[(Port::Store, "PORT", 6379), (Port::StoreHealth, "HEALTH_PORT", 8083)],
            Self::VotingApp => &[
                (Port::Vote, "PORT", 8080),
                (Port::Result, "RESULT_PORT", 8081),
                (Port::Worker, "WORKER_PORT", 8082),
            ],
        }
    }

    /// The port that says whether it is ready.
    pub fn health_port(self) -> Port {
        match self {
            Self::Vote | Self::VotingApp => Port::Vote,
            Self::Result => Port::Result,
            Self::Worker => Port::Worker,
            Self::Store => Port::StoreHealth,
        }
    }
}

/// What is to be started.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The program.
    pub program: Program,
    /// Name of the instance, unique among those that run at the same time: letters, digits and `-`.
    pub name: String,
    /// Settings by name, without ports.
    pub settings: Vec<(String, String)>,
    /// Memory of the machine or container in MiB; the substrate's usual amount without.
    pub memory_mib: Option<u32>,
    /// Where its log goes, in a file of the instance's name.
    pub directory: &'a Path,
    /// For a virtual machine: count instructions, with QEMU's monitor (QMP) at this socket, and QEMU's log
    /// at the same path with the ending `log`.
    pub counted: Option<PathBuf>,
}

impl Order<'_> {
    /// The log's file.
    pub fn log(&self) -> PathBuf {
        self.directory.join(format!("{}.log", self.name))
    }
}

/// Where a port is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// By clients on this host.
    pub host: SocketAddrV4,
    /// By other instances on the same substrate.
    pub peer: SocketAddrV4,
}

/// Something that ends when it is dropped.
pub trait Running {
    /// How it ended by itself, if it has.
    fn ended(&mut self) -> Option<String>;
}

/// A started program. It ends when this value goes.
pub struct Instance {
    /// When its start began.
    pub begun: Instant,
    /// Its ports.
    pub endpoints: BTreeMap<Port, Endpoint>,
    /// The host's processes that belong to it alone.
    pub processes: Vec<i32>,
    /// Its log.
    pub log: PathBuf,
    /// What keeps it running.
    pub running: Box<dyn Running>,
}

impl Instance {
    /// Where one of its ports is.
    ///
    /// # Errors
    /// When it has no such port.
    pub fn endpoint(&self, port: Port) -> Result<Endpoint> {
        self.endpoints.get(&port).copied().with_context(|| format!("{self} has no port {port:?}"))
    }

    /// Fails when it has ended, with the end of its log.
    ///
    /// # Errors
    /// How it ended and what it said.
    pub fn check(&mut self) -> Result<()> {
        match self.running.ended() {
            None => Ok(()),
            Some(how) => bail!("{self} ended: {how}\n{}", crate::child::log_tail(&self.log)),
        }
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.log.file_stem().unwrap_or_default().to_string_lossy())
    }
}

/// What runs a substrate's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Execution {
    /// The host's processor, without a virtual machine.
    Native,
    /// The host's processor in a virtual machine (KVM).
    Accelerated,
    /// QEMU's translator (TCG).
    Emulated,
}

/// A substrate that is ready to start instances.
pub trait Substrate {
    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be started. That it answers is not waited for.
    fn start(&self, order: &Order) -> Result<Instance>;

    /// A vote page alone, which need not reach a store.
    ///
    /// # Errors
    /// When it cannot be started.
    fn vote(&self, order: &Order) -> Result<Instance> {
        self.start(order)
    }

    /// The whole application, ready.
    ///
    /// # Errors
    /// When a part of it cannot be started or does not get ready.
    fn application(&self, votes: u32, directory: &Path) -> Result<Application> {
        compose::four(self, votes, directory)
    }

    /// Files that hold the vote service as it is shipped.
    fn shipped(&self) -> Vec<PathBuf>;

    /// Files that a start of the vote service reads, dropped from the page cache for cold starts; none
    /// where they are not known.
    fn started_from(&self) -> Vec<PathBuf> {
        self.shipped()
    }

    /// Memory in MiB that a vote service may be limited to, least first; none where nothing limits it.
    fn memory_range(&self) -> Option<(u32, u32)> {
        None
    }

    /// Whether [`Order::counted`] works.
    fn counts_instructions(&self) -> bool {
        false
    }

    /// How many vote instances an application may have.
    fn votes_max(&self) -> u32 {
        u32::MAX
    }

    /// What a reader must know of all its figures, such as versions of what is not built here.
    fn note(&self) -> Option<String> {
        None
    }

    /// Whether it has a worker and a result page.
    fn is_whole(&self) -> bool {
        true
    }
}

/// A substrate that is compared: named, not yet prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Short identifier, as `--only` takes it.
    pub id: &'static str,
    /// Name in tables.
    pub title: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Hermit(Machine),
    OneImage(Machine),
    LinuxVm(Machine),
    Docker(DockerNetwork),
    Native,
    Original,
}

/// How a container is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DockerNetwork {
    /// It has the host's network.
    Host,
    /// At its own address on Docker's bridge.
    Bridge,
    /// Through a published port of the host.
    Published,
}

/// All substrates, in the order of the report's rows.
pub const CANDIDATES: [Candidate; 10] = [
    candidate("hermit-q35", "Hermit unikernel, q35", Kind::Hermit(Machine::Q35)),
    candidate("hermit-microvm", "Hermit unikernel, microvm", Kind::Hermit(Machine::Microvm)),
    candidate("one-image", "Hermit, four services in one image", Kind::OneImage(Machine::Q35)),
    candidate("linux-q35", "Linux VM, q35", Kind::LinuxVm(Machine::Q35)),
    candidate("linux-microvm", "Linux VM, microvm", Kind::LinuxVm(Machine::Microvm)),
    candidate("docker-host", "Docker, host network", Kind::Docker(DockerNetwork::Host)),
    candidate("docker-bridge", "Docker, bridge", Kind::Docker(DockerNetwork::Bridge)),
    candidate("docker-published", "Docker, published port", Kind::Docker(DockerNetwork::Published)),
    candidate("native", "Linux process", Kind::Native),
    candidate("original", "Original, as processes", Kind::Original),
];

const fn candidate(id: &'static str, title: &'static str, kind: Kind) -> Candidate {
    Candidate { id, title, kind }
}

impl Candidate {
    /// Gets what it needs: builds, installs and downloads. Runs before measuring, with the host's network.
    ///
    /// # Errors
    /// What is missing on this machine, and how to mend it.
    pub fn prepare(&self, context: &Context) -> Result<()> {
        match self.kind {
            Kind::Hermit(_) => hermit::prepare(context, &hermit::SERVICES),
            Kind::OneImage(_) => hermit::prepare(context, &[Program::VotingApp]),
            Kind::LinuxVm(machine) => linux_vm::prepare(context, machine),
            Kind::Docker(_) => docker::prepare(context),
            Kind::Native => native::prepare(context).map(drop),
            Kind::Original => original::prepare(context),
        }
    }

    /// Makes it ready to start instances, after [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// What went wrong.
    pub fn open(&self, context: &Context) -> Result<Box<dyn Substrate>> {
        Ok(match self.kind {
            Kind::Hermit(machine) => Box::new(hermit::Hermit::open(context, machine)?),
            Kind::OneImage(machine) => Box::new(one_image::OneImage::open(context, machine)?),
            Kind::LinuxVm(machine) => Box::new(linux_vm::LinuxVm::open(context, machine)?),
            Kind::Docker(network) => Box::new(docker::Docker::open(context, network)?),
            Kind::Native => Box::new(native::Native::open(context)?),
            Kind::Original => Box::new(original::Original::open(context)?),
        })
    }

    /// What runs its instructions where QEMU emulates, or does not.
    pub fn execution(&self, emulated: bool) -> Execution {
        match self.kind {
            Kind::Hermit(_) | Kind::OneImage(_) | Kind::LinuxVm(_) if emulated => Execution::Emulated,
            Kind::Hermit(_) | Kind::OneImage(_) | Kind::LinuxVm(_) => Execution::Accelerated,
            Kind::Docker(_) | Kind::Native | Kind::Original => Execution::Native,
        }
    }
}

/// Whether a substrate is what this project builds.
pub fn is_own(id: &str) -> bool {
    CANDIDATES.iter().any(|candidate| {
        candidate.id == id && matches!(candidate.kind, Kind::Hermit(_) | Kind::OneImage(_) | Kind::Native)
    })
}

/// Whether containers are those of the machine's own daemon, which cannot be in a run's namespaces.
pub fn has_foreign_engine(only: &[String]) -> bool {
    let is_docker = |candidate: &Candidate| matches!(candidate.kind, Kind::Docker(_));
    let wanted = |candidate: &Candidate| only.is_empty() || only.iter().any(|id| id == candidate.id);
    CANDIDATES.iter().any(|candidate| is_docker(candidate) && wanted(candidate)) && docker::foreign_engine()
}

/// Removes what a run that was killed has left in Docker: only what has this tool's label.
pub fn remove_leftovers(context: &Context) {
    docker::remove_leftovers(context);
}
