//! The services as Docker containers: `FROM scratch`, one static executable each, on three networks.
//!
//! Uses the machine's daemon where one answers, else a private one. What is built and started there has
//! this tool's names and label; nothing else is ever changed or removed.

mod container;
mod engine;
mod private;
mod runner;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
use image_build::tool::packages;
use image_build::tool::packages::Packaged;
use image_build::tool::packages::table::DOCKER_ENGINE;
use image_build::tool::process::find;

use super::application::Substrate;
use super::instance::{Endpoint, Instance, Order, Port, Program};
use super::{hermit, process};
use crate::client::free_address;
use crate::context::Context;
use container::Container;
use engine::{CLIENT, Engine};

pub use engine::remove_leftovers;

/// Memory that is tried, in MiB: Docker takes no limit below the first.
const MEMORY_RANGE_MIB: (u32, u32) = (6, 64);

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
    contents: Contents,
}

/// What is in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    Program,
    /// QEMU, and the unikernel of the same program.
    Runner,
}

/// Builds the executables, and says what is missing for containers.
///
/// # Errors
/// What, and how to mend it.
pub fn prepare(context: &Context) -> Result<()> {
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
    process::build(context)
}

/// Builds what containers of unikernels are made of, and says what is missing for them.
///
/// # Errors
/// What, and how to mend it.
pub fn prepare_runner(context: &Context) -> Result<()> {
    prepare(context)?;
    runner::prepare(context)
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
    pub fn open(context: &Context, network: DockerNetwork) -> Result<Self> {
        let engine = engine_with_images(context)?;
        Ok(Self { context: context.clone(), engine, network, contents: Contents::Program })
    }

    /// The same for containers of unikernels, on Docker's bridge.
    ///
    /// # Errors
    /// When there is no daemon, or it does not build the images.
    pub fn open_runner(context: &Context) -> Result<Self> {
        let engine = engine_with_images(context)?;
        runner::build_images(context, &engine)?;
        let network = DockerNetwork::Bridge;
        Ok(Self { context: context.clone(), engine, network, contents: Contents::Runner })
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
        if self.contents == Contents::Runner {
            arguments.extend(runner::arguments(&self.context, order.memory_mib));
        } else if let Some(memory_mib) = order.memory_mib {
            let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
            // The same limit with swap: none of it.
            add("--memory", format!("{memory_mib}m"));
            add("--memory-swap", format!("{memory_mib}m"));
        }
        let package = order.program.package();
        arguments.push(match self.contents {
            Contents::Program => self.engine.names.image(package),
            Contents::Runner => runner::image(&self.engine, package),
        });
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
        Ok(Instance { begun, endpoints, processes, log, running: Box::new(container) })
    }

    fn shipped(&self) -> Vec<PathBuf> {
        let saved = match self.contents {
            Contents::Program => saved_image(&self.context),
            Contents::Runner => runner::saved_image(&self.context),
        };
        saved.into_iter().collect()
    }

    fn started_from(&self) -> Vec<PathBuf> {
        // What starts a container, as far as it is installed, and what runs in it, where the daemon says.
        let programs = [CLIENT, "containerd-shim-runc-v2", "runc", "docker-proxy"];
        // Of a runner's many files it is not known which ones a start reads.
        let stored = (self.contents == Contents::Program).then(|| stored_executable(&self.engine)).flatten();
        let Some(stored) = stored else { return Vec::new() };
        [stored].into_iter().chain(programs.into_iter().filter_map(find)).collect()
    }

    fn memory_range(&self) -> Option<(u32, u32)> {
        Some(match self.contents {
            Contents::Program => MEMORY_RANGE_MIB,
            Contents::Runner => hermit::MEMORY_RANGE_MIB,
        })
    }
}

/// The daemon of this process, made ready at the first call, the same for all networks.
fn engine_with_images(context: &Context) -> Result<Arc<Engine>> {
    static ENGINE: OnceLock<Result<Arc<Engine>, String>> = OnceLock::new();
    let start = || -> Result<Arc<Engine>> {
        let engine = Engine::start(context)?;
        Program::SERVICES.iter().try_for_each(|program| build_image(context, &engine, *program))?;
        save_image(context, &engine)?;
        Ok(Arc::new(engine))
    };
    let engine = ENGINE.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    engine.clone().map_err(|error| anyhow!(error))
}

/// Builds an image of nothing but one static executable.
fn build_image(context: &Context, engine: &Engine, program: Program) -> Result<()> {
    let package = program.package();
    let folder = tempfile::tempdir_in(context.artifacts("docker")?).context("no directory to build in")?;
    let recipe = recipe(package, &engine.names.label());
    fs::write(folder.path().join("Dockerfile"), recipe).context("cannot write a Dockerfile")?;
    fs::copy(process::executable(context, program)?, folder.path().join(package))
        .with_context(|| format!("cannot copy {package}"))?;
    let (folder, tag) = (folder.path().display().to_string(), engine.names.image(package));
    let arguments = ["image", "build", "--quiet", "--tag", &tag, &folder].map(str::to_owned);
    engine.run(&arguments, &format!("building the image of {package}")).map(drop)
}

fn recipe(package: &str, label: &str) -> String {
    format!("FROM scratch\nLABEL {label}\nCOPY {package} /\nENTRYPOINT [\"/{package}\"]\n")
}

/// Saves the vote service's image as it is shipped.
fn save_image(context: &Context, engine: &Engine) -> Result<()> {
    let (file, tag) =
        (saved_image(context)?.display().to_string(), engine.names.image(Program::Vote.package()));
    let arguments = ["image", "save", "--output", &file, &tag].map(str::to_owned);
    engine.run(&arguments, "saving the vote service's image").map(drop)
}

fn saved_image(context: &Context) -> Result<PathBuf> {
    Ok(context.artifacts("docker")?.join("vote-service.tar"))
}

/// The file in the daemon's data that containers of the vote service run.
fn stored_executable(engine: &Engine) -> Option<PathBuf> {
    let package = Program::Vote.package();
    let image = engine.describe(&format!("/images/{}/json", engine.names.image(package))).ok()?;
    let layer = image["GraphDriver"]["Data"]["UpperDir"].as_str()?;
    Some(Path::new(layer).join(package))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_holds_one_file_and_carries_the_label() {
        assert_eq!(
            recipe("worker", "voting-app-compare=1"),
            "FROM scratch\nLABEL voting-app-compare=1\nCOPY worker /\nENTRYPOINT [\"/worker\"]\n"
        );
    }
}
