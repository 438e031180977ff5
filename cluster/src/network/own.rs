//! The network that an application's machines share: a segment (`switch`) or the kernel's bridge (`tap`), which this
//! module starts from a plan.
//!
//! The package `segment` implements the segment; `machine` makes QEMU's arguments.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use segment::host::{Cable, PublishedPort, Setup, link_name};
use segment::layout::{Layout, STATIONS_MAX, Station, hardware_address};

use crate::application::template::Template;
use crate::network::outgoing::Outgoing;
use crate::network::ports::Ports;
use crate::plan::{HostPort, Instance, Net, Plan};
use crate::state::run_dir::RunDir;
use image_build::tool::{capability, process};
use image_build::vm::machine;
use image_build::vm::vmm::{Feature, Vmm};

/// The folder of the segment's sockets, in that of the application.
pub fn folder(run_dir: &Path) -> PathBuf {
    run_dir.join("net")
}

/// Finds a port for every port of these instances that the host gives access to.
///
/// # Errors
/// When one is taken.
pub fn reserve_ports(net: Net, instances: &[Instance], run_dir: &Path) -> Result<Ports> {
    let private = (net != Net::User).then(|| folder(run_dir));
    Ok(Ports::reserve(instances, private)?)
}

/// A network of an application's own, while it runs: until this is dropped.
#[derive(Debug)]
pub enum OwnNetwork {
    /// The switch in a thread of this process.
    Switch(segment::host::RunningSegment),
    /// The kernel's bridge.
    Bridge(segment::tap::RunningBridge),
}

impl OwnNetwork {
    /// Which machine it has cut off, and why; each is said once.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Switch(segment) => segment.trouble(),
            Self::Bridge(_) => None,
        }
    }
}

/// Starts the network of a plan that has one of its own. The ports that were held for published services are its own
/// from then on.
///
/// # Errors
/// When it cannot be started.
pub fn start(run_dir: &RunDir, plan: &Plan, ports: &mut Ports) -> Result<Option<OwnNetwork>> {
    if plan.network.net == Net::User {
        return Ok(None);
    }
    let outgoing = Outgoing::of(&plan.instances)?;
    let folder = folder(run_dir.path());
    let capture = plan.network.capture.as_deref().map(create).transpose()?;
    let (layout, published_ports) =
        (layout(&plan.instances, &outgoing), published_ports(&plan.instances, ports));
    let cable = if plan.platform.shares_queues { Cable::SharedMemory } else { Cable::Stream };
    let setup = Setup { layout, published_ports, outgoing: outgoing.resolve()?, folder, cable, capture };
    let start = || -> Result<OwnNetwork> {
        Ok(match plan.network.net {
            Net::Tap => OwnNetwork::Bridge(segment::tap::RunningBridge::start(setup)?),
            _ => OwnNetwork::Switch(segment::host::RunningSegment::start(setup)?),
        })
    };
    start().map(Some).context("the application's network cannot be started")
}

/// Makes a capture file.
///
/// # Errors
/// When it cannot be written.
pub fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("--pcap {}: the file cannot be written", path.display()))
}

/// Whether a network can connect this number of instances, and may be created.
///
/// # Errors
/// When it cannot.
pub fn check(net: Net, vmm: Vmm, instances: &[Instance]) -> Result<()> {
    let count = instances.len();
    let is_ipv6 = |instance: &&Instance| instance.ports.iter().any(|port| port.address.is_ipv6());
    if let Some(instance) = instances.iter().find(|instance| net == Net::User && is_ipv6(instance)) {
        bail!(
            "{} is published at an address of IPv6, which QEMU's user network cannot: add --net switch",
            instance.service
        );
    }
    ensure!(
        net == Net::User || count <= STATIONS_MAX,
        "a network of its own connects at most {STATIONS_MAX} instances, not {count}: scale down, or use --net user"
    );
    let Some(obstacle) = (net == Net::Tap).then(tap_obstacle).flatten() else { return Ok(()) };
    match vmm.lacks(Feature::SocketNetwork) {
        None => bail!("--net tap {obstacle}: use --net switch, which needs no rights"),
        Some(_) => bail!(
            "{} has no network but --net tap, which {obstacle}: use --vmm qemu, whose networks need no rights",
            vmm.label()
        ),
    }
}

/// What keeps this user from making tap interfaces and namespaces, if anything does.
pub fn tap_obstacle() -> Option<String> {
    if let Err(error) = File::options().read(true).write(true).open("/dev/net/tun") {
        return Some(format!("does not work, /dev/net/tun does not open ({error})"));
    }
    let needed = [capability::NET_ADMIN, capability::SYS_ADMIN];
    if let Some(lacking) = needed.into_iter().find(|needed| !capability::has(*needed)) {
        return Some(format!("needs {} (root)", lacking.name));
    }
    let program =
        ["ip", "bridge", "unshare", "nsenter"].into_iter().find(|program| !process::is_installed(program))?;
    Some(format!("needs the program {program}, which is not installed"))
}

/// The card of an instance, for a VMM that is started in the network's folder: a socket's path is short
/// there. `None` when the instance is not of the plan.
pub fn card(plan: &Plan, instance: &Instance) -> Option<machine::Network> {
    let station = plan.instances.iter().position(|other| other.name == instance.name)?;
    let mac = hardware_address(station);
    let network = match plan.network.net {
        Net::Tap => {
            let interface = segment::tap::interface(station);
            // Its interfaces are made with it, and have no limit of their own.
            machine::Network::Tap { interface, mac, mtu: machine::ETHERNET_MTU }
        }
        _ => {
            let shares_queues = plan.platform.shares_queues;
            machine::Network::Link { socket: link_name(&instance.name).into(), mac, shares_queues }
        }
    };
    Some(network)
}

/// A machine's command as it is started on a network of its own: where that network's sockets are.
pub fn plugged_in(command: Command, net: Net, folder: &Path) -> Command {
    let mut plugged = match net {
        Net::Tap => {
            let mut inside = Command::new("nsenter");
            inside.arg(format!("--net={}", segment::tap::NAMESPACE)).arg("--").arg(command.get_program());
            inside.args(command.get_args());
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => inside.env(name, value),
                    None => inside.env_remove(name),
                };
            }
            inside
        }
        _ => command,
    };
    plugged.current_dir(folder);
    plugged
}

/// The settings of an instance on the segment: services are found by their names, addresses by DHCP, and
/// servers outside at the gateway.
pub fn environment(plan: &Plan, instance: &Instance) -> Result<Vec<(String, String)>> {
    let outgoing = Outgoing::of(&plan.instances)?;
    let runs = |service: &str| plan.instances.iter().any(|other| other.service == service);
    let name = |service: &str, port| runs(service).then(|| format!("{service}:{port}"));
    let mut settings = Vec::new();
    for (setting, value) in instance.environment.iter().filter(|(name, _)| !is_by_dhcp(name)) {
        let filled = Template::parse(value)?.fill(name);
        let filled = filled.with_context(|| {
            format!("{setting} of {} refers to a service that does not run", instance.name)
        })?;
        settings.push((setting.clone(), outgoing.rewrite(&filled).unwrap_or(filled)));
    }
    Ok(settings)
}

fn is_by_dhcp(setting: &str) -> bool {
    matches!(setting, "IP" | "GATEWAY" | "DNS")
}

fn layout(instances: &[Instance], outgoing: &Outgoing) -> Layout {
    let station = |instance: &Instance| Station {
        name: instance.name.clone(),
        service: instance.service.clone(),
        networks: instance.networks.clone(),
        exposes: instance
            .ports
            .iter()
            .filter(|port| port.host == HostPort::Any)
            .map(|port| port.guest)
            .collect(),
        told_of: told_of(instance),
        outgoing: outgoing.ports_of(instance),
    };
    Layout::new(instances.iter().map(station).collect())
}

fn told_of(instance: &Instance) -> Vec<(String, u16)> {
    let references = |value: &String| -> Vec<(String, u16)> {
        let template = Template::parse(value);
        let owned = |(service, port): (&str, u16)| (service.to_owned(), port);
        template.map(|template| template.references().map(owned).collect()).unwrap_or_default()
    };
    instance.environment.values().flat_map(references).collect()
}

/// The ways in: published ports at their addresses, the others through sockets of the folder.
fn published_ports(instances: &[Instance], ports: &mut Ports) -> Vec<PublishedPort> {
    let mut published_ports = Vec::new();
    for (station, instance) in instances.iter().enumerate() {
        for port in &instance.ports {
            // A shared port is the balancer's, which comes through the instance's socket.
            let listener = ports.take(&instance.name, port.guest);
            published_ports.push(PublishedPort { station, port: port.guest, listener });
        }
    }
    published_ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Choices;
    use crate::plan::draft::tests::voting;

    fn plan(choices: &Choices) -> Plan {
        let platform = crate::plan::draft::tests::platform();
        voting(choices).expect("a plan").complete(platform, std::collections::BTreeMap::new())
    }

    #[test]
    fn a_command_in_the_network_keeps_its_environment() {
        let mut command = Command::new("uhyve");
        command.arg("x").env("RUST_BACKTRACE", "0").env_remove("HERMIT_CONFIG");
        let plugged = plugged_in(command, Net::Tap, Path::new("/run/net"));
        let words: Vec<_> = plugged.get_args().collect();
        assert_eq!(
            (plugged.get_program(), &words[1..]),
            ("nsenter".as_ref(), &["--".as_ref(), "uhyve".as_ref(), "x".as_ref()][..])
        );
        let environment: Vec<_> = plugged.get_envs().collect();
        let expected = [("HERMIT_CONFIG".as_ref(), None), ("RUST_BACKTRACE".as_ref(), Some("0".as_ref()))];
        assert_eq!(environment, expected);
    }

    #[test]
    fn the_description_s_networks_become_rules() {
        let plan = plan(&Choices::default());
        let outgoing = Outgoing::of(&plan.instances).expect("no servers");
        let layout = layout(&plan.instances, &outgoing);
        let index = |name| layout.named(name)[0];
        let (store, worker, vote, result) = (index("store"), index("worker"), index("vote"), index("result"));
        let opens = |from, to, port| layout.may_pass(from, to, (50_000, port), true);
        assert!(opens(worker, store, 6379) && opens(vote, store, 6379) && opens(result, store, 6379));
        assert!(!opens(worker, vote, 8080) && !opens(store, vote, 8080) && !opens(vote, result, 8081));
        assert!(layout.stations().iter().all(|station| station.outgoing.is_empty()));
    }

    #[test]
    fn services_are_named_and_addresses_come_by_dhcp() {
        let plan = plan(&Choices::default());
        let vote = plan.instances.iter().find(|instance| instance.service == "vote").expect("vote");
        let settings = environment(&plan, vote).expect("settings");
        let value =
            |name: &str| settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(value("REDIS_URL"), Some("redis://store:6379"));
        assert_eq!((value("IP"), value("GATEWAY"), value("INSTANCE")), (None, None, Some("vote-1")));
    }

    #[test]
    fn outside_servers_resolve_to_the_gateway_for_services_that_use_them() {
        let redis = Some("redis://127.0.0.1:7000/1".to_owned());
        let plan = plan(&Choices { redis, ..Choices::default() });
        let outgoing = Outgoing::of(&plan.instances).expect("a server");
        let layout = layout(&plan.instances, &outgoing);
        assert!(layout.stations().iter().all(|station| station.outgoing == [7000]));
        let settings = environment(&plan, &plan.instances[0]).expect("settings");
        assert!(settings.contains(&("REDIS_URL".to_owned(), "redis://10.0.2.2:7000/1".to_owned())));
        assert_eq!(outgoing.resolve().expect("an address"), [(7000, "127.0.0.1:7000".parse().expect("one"))]);
    }
}
