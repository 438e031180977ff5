//! `cargo image run`: boots one program with its serial line on the terminal.
//!
//! It is cargo's runner for the Hermit target. `cluster` runs applications of several programs.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::image;
use crate::image::manifest;
use crate::tool::output;
use crate::tool::workspace::Workspace;
use crate::vm::accelerator::Choice;
use crate::vm::command_line::CommandLine;
use crate::vm::disk_image::DiskImage;
use crate::vm::foreground;
use crate::vm::machine::{Forward, Launch, Machine, Network, Platform};
use crate::vm::refusal;
use crate::vm::select::Wanted;
use crate::vm::serial_line::TIME_SERVER;
use crate::vm::tap::{self, Tap};
use crate::vm::vmm::{Feature, Vmm};

/// Settings that programs know, taken from the caller's environment beside those that an image lists itself.
pub const SETTINGS: [&str; 24] = [
    "OPTION_A",
    "OPTION_B",
    "PORT",
    "HEALTH_PORT",
    "VOTE_HEALTH_PORT",
    "RESULT_HEALTH_PORT",
    "NEW_VOTERS_PER_MINUTE",
    "NEW_VOTERS_PER_MINUTE_PER_ADDRESS",
    "CLIENT_ADDRESS_HEADER",
    "RESULT_PORT",
    "WORKER_PORT",
    "MAXMEMORY",
    "REDIS_URL",
    "REDIS_REPLICAS",
    "RESULTS_URL",
    "REQUIREPASS",
    "RECOVER",
    "INSTANCE",
    "STOP_TOKEN",
    "LOG",
    "IP",
    "GATEWAY",
    "DNS",
    "MTU",
];
/// The variable that names the guest's disk. A process has its data in the file that it names.
const DATA: &str = "DATA";

/// The options of `cargo image run`.
#[derive(Args, Debug)]
pub struct Options {
    /// The program as cargo built it
    pub program: PathBuf,
    /// The program that makes the virtual machine [env: VMM]
    #[arg(long, value_enum)]
    pub vmm: Option<Vmm>,
    /// Where that program is [env: VMM_PROGRAM]
    #[arg(long, value_name = "PATH")]
    pub vmm_program: Option<PathBuf>,
    /// The virtual hardware [env: MACHINE]
    #[arg(long, value_enum)]
    pub machine: Option<Machine>,
    /// What runs the guest's instructions [env: ACCEL]
    #[arg(long, value_enum)]
    pub accel: Option<Choice>,
    /// The file that is the guest's disk, made when it is not there [env: DATA]
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Memory of the guest in MiB
    #[arg(long, value_name = "MIB")]
    pub memory: Option<u32>,
    /// Arguments of the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// Boots the program and stays until it ends.
///
/// # Errors
/// When it cannot be started; a guest that fails is an exit status and not an error.
pub fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let wanted = wanted(options)?;
    let data = data(options);
    if data.is_some() {
        refusal::require(wanted.vmm, Feature::Disk, "--data")?;
    }
    let platform = wanted.platform(workspace)?;
    note!("{} on {}", name(&options.program)?, platform.label());
    // They go when the machine has ended.
    let folder = tempfile::tempdir().context("no room for the machine's files")?;
    let tap = wanted.vmm.lacks(Feature::UserNetwork).is_some().then(Tap::make).transpose()?;
    let facts = manifest::read(workspace)?.remove(name(&options.program)?).unwrap_or_default();
    let mut launch = launch(workspace, options, &facts, platform, tap.as_ref())?;
    launch.folder = folder.path().to_owned();
    let disk = disk(&facts, data, &launch.name)?;
    let _lock = disk.as_ref().map(DiskImage::claim).transpose()?;
    launch.disks.extend(disk.map(|disk| disk.path));
    for line in addresses(&launch, &facts.ports) {
        note!("{line}");
    }
    foreground::run(&launch, |line| Ok(output::print_bytes(line)?))
}

fn wanted(options: &Options) -> Result<Wanted> {
    let path = env::var_os("VMM_PROGRAM").filter(|path| !path.is_empty()).map(PathBuf::from);
    Ok(Wanted {
        vmm: or_environment(options.vmm, "VMM")?.unwrap_or_default(),
        program: options.vmm_program.clone().or(path),
        machine: or_environment(options.machine, "MACHINE")?,
        accelerator: or_environment(options.accel, "ACCEL")?.unwrap_or_default(),
    })
}

fn name(program: &Path) -> Result<&str> {
    program.file_stem().and_then(|name| name.to_str()).context("the program has no name")
}

fn launch(
    workspace: &Workspace,
    options: &Options,
    facts: &manifest::Image,
    platform: Platform,
    tap: Option<&Tap>,
) -> Result<Launch> {
    let name = name(&options.program)?;
    let image =
        image::from_program(workspace, &options.program, &image_path(workspace, &options.program, name)?)?;
    let mut environment = environment(facts.environment.clone(), |name| env::var_os(name))?;
    if platform.vmm.lacks(Feature::SerialInput).is_none() {
        environment.insert(TIME_SERVER.0.to_owned(), TIME_SERVER.1.to_owned());
    }
    let network = match tap {
        Some(tap) => {
            set_addresses(&mut environment);
            tap.card()
        }
        None => {
            Network::User { forwards: forwards(&facts.ports, &environment)?, outgoing: true, range: None }
        }
    };
    let Platform { vmm, program, machine, accelerator, sandbox, shares_queues: _ } = platform;
    let file = vmm.image_kind().choose(image.path, image.program);
    Ok(Launch {
        vmm,
        program,
        memory_mib: options.memory.unwrap_or(facts.memory_mib),
        command_line: CommandLine { environment, arguments: options.arguments.clone() },
        network,
        sandbox,
        ..Launch::new(name, file, machine, accelerator)
    })
}

/// On a tap nobody gives out addresses; the caller's own come first.
fn set_addresses(environment: &mut BTreeMap<String, String>) {
    for (name, value) in [("IP", tap::GUEST), ("GATEWAY", tap::HOST)] {
        environment.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
}

fn data(options: &Options) -> Option<PathBuf> {
    let variable = || env::var_os(DATA).filter(|path| !path.is_empty()).map(PathBuf::from);
    options.data.clone().or_else(variable)
}

/// Where the program is to keep its data, if that is said.
fn disk(facts: &manifest::Image, data: Option<PathBuf>, name: &str) -> Result<Option<DiskImage>> {
    let Some(path) = data else { return Ok(None) };
    let size_mib =
        facts.disk_mib.with_context(|| format!("{name} keeps no data: leave out {DATA} and --data"))?;
    Ok(Some(DiskImage { path: std::path::absolute(path)?, size_mib }))
}

/// An option of the command line, else the variable of that name. `cargo run` has no place for options of the runner,
/// so they can be given as variables.
fn or_environment<T: clap::ValueEnum>(option: Option<T>, variable: &str) -> Result<Option<T>> {
    match (option, env::var(variable)) {
        (Some(value), _) => Ok(Some(value)),
        (None, Ok(text)) => match T::from_str(&text, true) {
            Ok(value) => Ok(Some(value)),
            Err(_) => {
                let names = T::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value);
                let names: Vec<String> = names.map(|value| value.get_name().to_owned()).collect();
                bail!("{variable}={text:?} cannot be used: give one of {}", names.join(", "))
            }
        },
        (None, Err(_)) => Ok(None),
    }
}

/// Each profile has a file of its own, so that two runs do not take it from each other.
fn image_path(workspace: &Workspace, program: &Path, name: &str) -> Result<PathBuf> {
    let profile = program.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("run");
    Ok(workspace.state()?.join(format!("{name}-{profile}.img")))
}

/// The settings of the guest: the caller's come before the image's own.
fn environment(
    mut own: BTreeMap<String, String>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<BTreeMap<String, String>> {
    let names: Vec<String> = own.keys().cloned().chain(SETTINGS.map(str::to_owned)).collect();
    for name in names {
        if let Some(value) = variable(&name) {
            let value = value.into_string().ok().with_context(|| format!("{name} is not UTF-8"))?;
            own.insert(name, value);
        }
    }
    Ok(own)
}

/// The ports of the host that lead to the guest; each is checked, since QEMU says less about it.
fn forwards(ports: &[manifest::Port], environment: &BTreeMap<String, String>) -> Result<Vec<Forward>> {
    ports.iter().map(|port| forward(port, environment.get(&port.setting))).collect()
}

fn forward(port: &manifest::Port, moved: Option<&String>) -> Result<Forward> {
    let moved = moved.map(|text| text.parse::<NonZeroU16>().map(NonZeroU16::get)).transpose();
    let moved =
        moved.with_context(|| format!("{} cannot be used: give a TCP port from 1 to 65535", port.setting))?;
    let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, moved.unwrap_or(port.host));
    if let Err(error) = TcpListener::bind(host) {
        let (number, name, setting) = (host.port(), &port.name, &port.setting);
        bail!(
            "port {number} for {name} cannot be used ({error}): stop the program that listens there, or set {setting}"
        );
    }
    Ok(Forward { host, guest_port: moved.unwrap_or(port.guest) })
}

/// Where to point a browser.
fn addresses(launch: &Launch, ports: &[manifest::Port]) -> Vec<String> {
    let settings = &launch.command_line.environment;
    let line =
        |port: &manifest::Port, address: String| format!("{:>8}: {}://{address}", port.name, port.scheme);
    match &launch.network {
        Network::User { forwards, .. } => {
            let pairs = forwards.iter().zip(ports);
            pairs.map(|(forward, port)| line(port, forward.host.to_string())).collect()
        }
        Network::Tap { .. } => {
            let ip = settings.get("IP").and_then(|text| text.split('/').next()).unwrap_or_default();
            let number = |port: &manifest::Port| {
                settings.get(&port.setting).cloned().unwrap_or_else(|| port.guest.to_string())
            };
            ports.iter().map(|port| line(port, format!("{ip}:{}", number(port)))).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names in the first column of the README's table of settings.
    fn documented() -> BTreeSet<&'static str> {
        let (_, section) =
            include_str!("../../../README.md").split_once("\n## Settings\n").expect("a section");
        let (section, _) = section.split_once("\n## ").expect("another section");
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        rows.flat_map(|names| names.split(", ")).map(|name| name.trim_matches('`')).collect()
    }

    #[test]
    fn what_a_guest_is_given_is_what_the_readme_lists() {
        // Those are a process's: a guest's disk is a device.
        let of_processes = [DATA, "DATA_SIZE"];
        let of_one_image = ["VOTE_HEALTH_PORT", "RESULT_HEALTH_PORT"];
        let given: BTreeSet<_> = SETTINGS.into_iter().filter(|name| !of_one_image.contains(name)).collect();
        let listed: BTreeSet<_> =
            documented().into_iter().filter(|name| !of_processes.contains(name)).collect();
        assert_eq!(given, listed);
    }
}
