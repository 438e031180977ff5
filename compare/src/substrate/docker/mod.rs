//! The services as Docker containers: `FROM scratch`, one static executable each, on three networks.
//!
//! Uses the machine's daemon where one answers, else a private one. What is built and started there has
//! this tool's names and label; nothing else is ever changed or removed.

mod api;
mod command;
mod container;
mod engine;
mod foreign;
mod image;
mod names;
mod private;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};

use self::container::Container;
use self::engine::Engine;
use self::names::Names;
use super::{DockerNetwork, Endpoint, Instance, Order, Port, Program, Substrate, native};
use crate::client::free_port;
use crate::context::Context;
use image_build::note;

/// The programs that have an image.
const SERVICES: [Program; 4] = [Program::Vote, Program::Result, Program::Worker, Program::Store];
/// Memory that is tried, in MiB: Docker takes no limit below the first.
const MEMORY_RANGE_MIB: (u32, u32) = (6, 64);

/// Containers on one kind of network.
pub struct Docker {
    context: Context,
    engine: Arc<Engine>,
    network: DockerNetwork,
}

/// Builds the executables, and says what is missing for containers.
///
/// # Errors
/// What, and how to mend it.
pub fn prepare(context: &Context) -> Result<()> {
    engine::check(context)?;
    native::prepare(context)
}

/// Whether the machine's own daemon is to be used, so that a run needs the host's network and processes.
pub fn foreign_engine() -> bool {
    foreign::find().is_ok()
}

/// Removes what earlier runs of this clone have left: containers and images with its label in the
/// machine's daemon, data and control groups of a private one.
pub fn remove_leftovers(context: &Context) {
    let names = Names::of(context);
    foreign::remove_leftovers(&names);
    if let Err(error) = private::remove_leftovers(context, &names) {
        note!("leftovers of an earlier run's private Docker daemon stay: {error:#}");
    }
}

impl Docker {
    /// Ready to start containers: the daemon answers and has the images.
    ///
    /// # Errors
    /// When there is no daemon, or it does not build the images.
    pub fn open(context: &Context, network: DockerNetwork) -> Result<Self> {
        Ok(Self { context: context.clone(), engine: engine::shared(context)?, network })
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
                    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port()?);
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
        if let Some(memory_mib) = order.memory_mib {
            // The same limit with swap: none of it.
            add("--memory", format!("{memory_mib}m"));
            add("--memory-swap", format!("{memory_mib}m"));
        }
        arguments.push(self.engine.names.image(order.program));
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
        ensure!(SERVICES.contains(&order.program), "{} has no image", order.program.package());
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
        Ok(Instance { begun, endpoints, processes, log, running: Box::new(container) })
    }

    fn shipped(&self) -> Vec<PathBuf> {
        image::saved(&self.context).into_iter().collect()
    }

    fn started_from(&self) -> Vec<PathBuf> {
        let Some(stored) = image::stored_executable(&self.engine, Program::Vote) else { return Vec::new() };
        [stored].into_iter().chain(engine::executables()).collect()
    }

    fn memory_range(&self) -> Option<(u32, u32)> {
        Some(MEMORY_RANGE_MIB)
    }
}
