//! The services as Docker containers on three networks: one static executable each, or QEMU and a unikernel.
//!
//! Uses the machine's daemon where one answers, else a private one. What is built and started there has
//! this tool's names and label; nothing else is ever changed or removed.

mod container;
mod engine;
mod images;
mod private;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use image_build::oci::Kind;
use image_build::tool::packages;
use image_build::tool::packages::Packaged;
use image_build::tool::packages::table::DOCKER_ENGINE;
use image_build::tool::process::find;
use image_build::vm::accelerator::Accelerator;

use super::application::Substrate;
use super::hermit;
use super::instance::{Endpoint, Instance, Order, Port, Program};
use crate::client::free_address;
use crate::context::Context;
use container::Container;
use engine::{CLIENT, Engine};

pub use engine::remove_leftovers;

/// Memory that is tried, in MiB: Docker takes no limit below the first.
const MEMORY_RANGE_MIB: (u32, u32) = (6, 64);

/// What a container with a unikernel needs for more speed.
const KVM: &str = "/dev/kvm";

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

/// Containers on one kind of network.
pub struct Docker {
    context: Context,
    engine: Arc<Engine>,
    network: DockerNetwork,
    contents: Kind,
}

/// Builds the images' layers, and says what is missing for containers.
///
/// # Errors
/// What, and how to mend it.
pub fn prepare(context: &Context, contents: Kind) -> Result<()> {
    if context.contained {
        // A client alone is no Docker: containers run in an engine.
        let wanted: Vec<&Packaged> = DOCKER_ENGINE.iter().collect();
        let missing = packages::missing(&wanted);
        ensure!(missing.is_empty(), "there is no Docker engine; {}", packages::lack(&missing));
    } else if let Err(error) = engine::find_host() {
        let mend = match rustix::process::geteuid().is_root() {
            false => "or run as root with dockerd installed, then a private one is started",
            true => {
                "a private one takes namespaces, which this system refuses \
                 (`unshare --net --pid --fork --mount-proc true` fails)"
            }
        };
        // In one line, and how to mend it first.
        let reason = format!("{error:#}").replace('\n', " ");
        let start = "there is no Docker engine: start Docker's (`systemctl start docker`)";
        return Err(anyhow!("{start}; {mend}; found: {reason}"));
    }
    images::prepare(context, contents)
}

/// Whether the machine's own daemon is to be used, so that a run needs the host's network and processes.
pub fn has_foreign_engine() -> bool {
    engine::find_host().is_ok()
}

impl Docker {
    /// Ready to start containers: the daemon answers and has the images.
    ///
    /// # Errors
    /// When there is no daemon, or it does not build the images.
    pub fn open(context: &Context, network: DockerNetwork, contents: Kind) -> Result<Self> {
        let engine = engine(context)?;
        images::build(context, &engine, contents)?;
        Ok(Self { context: context.clone(), engine, network, contents })
    }

    /// Arguments of `docker run`, and the ports on the host that it decides.
    fn arguments(&self, order: &Order) -> Result<(Vec<String>, BTreeMap<Port, SocketAddrV4>)> {
        let mut arguments: Vec<String> = Vec::new();
        let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
        let mut on_host = BTreeMap::new();
        let is_host = self.network == DockerNetwork::Host;
        add("--network", if is_host { "host" } else { "bridge" }.to_owned());
        for (port, setting, guest_port) in order.program.ports() {
            match self.network {
                DockerNetwork::Host => {
                    let address = free_address()?;
                    add("--env", format!("{setting}={}", address.port()));
                    on_host.insert(*port, address);
                }
                DockerNetwork::Bridge => {}
                DockerNetwork::Published => {
                    add("--publish", format!("{}::{guest_port}", Ipv4Addr::LOCALHOST))
                }
            }
        }
        for (name, value) in &order.settings {
            add("--env", format!("{name}={value}"));
        }
        match (self.contents, order.memory_mib) {
            (Kind::Runner, memory_mib) => arguments.extend(guest_arguments(&self.context, memory_mib)),
            (_, Some(memory_mib)) => {
                // The same limit with swap: none of it.
                let limit = format!("{memory_mib}m");
                arguments.extend(["--memory".to_owned(), limit.clone(), "--memory-swap".to_owned(), limit]);
            }
            (_, None) => {}
        }
        arguments.push(images::tag(&self.engine, self.contents, order.program.package()));
        Ok((arguments, on_host))
    }

    fn endpoint(&self, container: &Container, guest_port: u16) -> Result<Endpoint> {
        let peer = SocketAddrV4::new(container.address()?, guest_port);
        let host =
            if self.network == DockerNetwork::Published { container.published(guest_port)? } else { peer };
        Ok(Endpoint { host, peer })
    }
}

impl Substrate for Docker {
    /// Returns when the client does: a question to an address on the bridge before it is there would
    /// cost a second, for the kernel waits that long before it asks again who has the address.
    fn start(&self, order: &Order) -> Result<Instance> {
        ensure!(Program::SERVICES.contains(&order.program), "{} has no image", order.program.package());
        let (arguments, on_host) = self.arguments(order)?;
        let log = order.log();
        let begun = Instant::now();
        let container = Container::run(&self.engine, &order.name, arguments, log.clone())?;
        let mut endpoints = BTreeMap::new();
        for (port, _, guest_port) in order.program.ports() {
            let endpoint = match on_host.get(port) {
                Some(host) => Endpoint { host: *host, peer: *host },
                None => self.endpoint(&container, *guest_port)?,
            };
            endpoints.insert(*port, endpoint);
        }
        let processes = container.processes.clone();
        let (guest_memory_mib, running) = (None, Box::new(container));
        Ok(Instance { begun, endpoints, processes, guest_memory_mib, log, running })
    }

    fn shipped(&self) -> Vec<PathBuf> {
        images::saved(&self.context, self.contents).into_iter().collect()
    }

    fn started_from(&self) -> Vec<PathBuf> {
        // What starts a container, as far as it is installed, and what runs in it, where the daemon says.
        let programs = [CLIENT, "containerd-shim-runc-v2", "runc", "docker-proxy"];
        let Some(stored) = images::stored_executable(&self.engine, self.contents) else { return Vec::new() };
        [stored].into_iter().chain(programs.into_iter().filter_map(find)).collect()
    }

    fn memory_range(&self) -> Option<(u32, u32)> {
        Some(match self.contents {
            Kind::Runner => hermit::MEMORY_RANGE_MIB,
            _ => MEMORY_RANGE_MIB,
        })
    }
}

/// What `docker run` is told for a guest: what runs its instructions, as this run has found, and its memory.
fn guest_arguments(context: &Context, memory_mib: Option<u32>) -> Vec<String> {
    let accelerator = match context.accelerator {
        Accelerator::Kvm { .. } => ["--device", KVM, "--env", "ACCEL=kvm"].as_slice(),
        Accelerator::Tcg { .. } => &["--env", "ACCEL=tcg"],
    };
    let memory = memory_mib.map(|memory_mib| ["--env".to_owned(), format!("MEMORY_MIB={memory_mib}")]);
    let accelerator = accelerator.iter().map(|word| (*word).to_owned());
    accelerator.chain(memory.into_iter().flatten()).collect()
}

/// The daemon of this process, started at the first call, the same for all.
fn engine(context: &Context) -> Result<Arc<Engine>> {
    static ENGINE: OnceLock<Result<Arc<Engine>, String>> = OnceLock::new();
    let start = || Engine::start(context).map(Arc::new).map_err(|error| format!("{error:#}"));
    ENGINE.get_or_init(start).clone().map_err(|error| anyhow!(error))
}
