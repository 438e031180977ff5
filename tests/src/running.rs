//! Single services for tests that speak to them byte by byte: as a Linux process, or booted in QEMU.
//!
//! For the whole application, see [`crate::application`].

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use image_build::image;
use image_build::tool::packages::table::QEMU;
use image_build::tool::process::{self, BOUND_COMMAND};
use image_build::tool::workspace::Workspace;
use image_build::vm::accelerator::Accelerator;
use image_build::vm::backlog;
use image_build::vm::machine::{Forward, Launch, Machine, Network, Serial};
use image_build::vm::probe::{self, Probe};
use image_build::vm::qemu;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::client::{curl, wait_for};
use crate::command::{cargo, free_port, run};
use crate::programs::program;

/// The host, as a guest in QEMU's user network sees it.
pub const HOST_SEEN_FROM_GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// A service is up within this time, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Memory of a guest, in MiB.
const MEMORY_MIB: u32 = 32;

/// A running service, ended when it is dropped.
pub struct RunningService {
    /// Where its ports are reached, in the order they were asked for.
    pub addresses: Vec<SocketAddrV4>,
    child: Child,
    /// What it says.
    log: PathBuf,
    is_guest: bool,
}

/// What a service is started with.
pub type Settings<'a> = [(&'a str, String)];

/// Builds the Linux programs of these packages: their paths, in the same order.
///
/// # Panics
/// When they cannot be built.
pub fn linux_programs(packages: &[&str]) -> Vec<PathBuf> {
    built_programs(packages, &[])
}

/// The same, as they are released.
///
/// # Panics
/// When they cannot be built.
pub fn release_programs(packages: &[&str]) -> Vec<PathBuf> {
    built_programs(packages, &["--release"])
}

fn built_programs(packages: &[&str], options: &[&str]) -> Vec<PathBuf> {
    // Of the whole workspace: cargo compiles what they share once for each set of packages that is asked for.
    let mut arguments = [&["build", "--quiet", "--message-format", "json", "--workspace"], options].concat();
    arguments.extend(packages.iter().flat_map(|package| ["--bin", package]));
    let built = run(&mut cargo(&arguments));
    assert!(built.success, "{}", built.stderr);
    let messages: Vec<Value> =
        built.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let program = |package: &&str| {
        let of =
            |message: &&Value| message["target"]["name"] == **package && message["executable"].is_string();
        let found = messages.iter().find(of).and_then(|message| message["executable"].as_str());
        PathBuf::from(found.unwrap_or_else(|| panic!("{package} has no program")))
    };
    packages.iter().map(program).collect()
}

/// Builds the images of these packages: their paths, in the same order.
///
/// # Panics
/// When they cannot be built.
pub fn images(packages: &[&str]) -> Vec<PathBuf> {
    // What they are booted in.
    program(QEMU.program);
    let workspace = Workspace::find().expect("this is a workspace");
    image::set_up(&workspace).expect("the toolchain can be set up");
    let images = image::build(&workspace, packages).expect("the images can be built");
    images.into_iter().map(|image| image.path).collect()
}

impl RunningService {
    /// Starts a program on ports of the loopback address that are given to it by these settings.
    ///
    /// # Panics
    /// When it does not listen in time.
    pub fn linux(program: &Path, port_settings: &[&str], settings: &Settings<'_>) -> Self {
        let addresses: Vec<_> = port_settings.iter().map(|_| free_address()).collect();
        let mut command = Command::new(program);
        command.env("IP", Ipv4Addr::LOCALHOST.to_string()).envs(settings.iter().cloned());
        command.envs(port_settings.iter().zip(&addresses).map(|(name, at)| (name, at.port().to_string())));
        Self::program(&command, addresses)
    }

    /// Starts any program that comes to listen at these addresses.
    ///
    /// # Panics
    /// When it does not in time; with what it said.
    pub fn program(command: &Command, addresses: Vec<SocketAddrV4>) -> Self {
        let log = log_file(Path::new(command.get_program()), &addresses);
        let running = Self { child: start(command, Some(&log)), addresses, log, is_guest: false };
        for address in &running.addresses {
            let listens = wait_for(START_LIMIT, || TcpStream::connect(address).ok());
            assert!(listens.is_some(), "{command:?} does not listen\n{}", running.log());
        }
        running
    }

    /// Boots an image on q35, with ports of the loopback address that lead to `guest_ports`.
    ///
    /// # Panics
    /// When QEMU cannot be started. Whether the guest is up is to be asked with [`RunningService::wait_for`].
    pub fn guest(image: &Path, guest_ports: &[u16], settings: &Settings<'_>) -> Self {
        let workspace = Workspace::find().expect("this is a workspace");
        let accelerator = match probe(&workspace) {
            Probe { kvm_obstacle: None, mhz, .. } => Accelerator::Kvm { mhz },
            Probe { mhz, .. } => Accelerator::Tcg { mhz },
        };
        let name = image.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let addresses: Vec<_> = guest_ports.iter().map(|_| free_address()).collect();
        let log = log_file(image, &addresses);
        let forward = |(host, port): (&SocketAddrV4, &u16)| Forward { host: *host, guest_port: *port };
        let mut launch = Launch::new(&name, image.to_path_buf(), Machine::Q35, accelerator);
        launch.memory_mib = MEMORY_MIB;
        launch.serial = Serial::File(log.clone());
        let forwards = addresses.iter().zip(guest_ports).map(forward).collect();
        launch.network = Network::User { forwards, outgoing: true, range: None };
        let address = [("IP", "10.0.2.15/24".to_owned()), ("GATEWAY", HOST_SEEN_FROM_GUEST.to_string())];
        let all = address.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), value.clone()));
        launch.command_line.environment = all.collect::<BTreeMap<_, _>>();
        let command = qemu::command(&launch).expect("a launch that can be made");
        Self { addresses, child: start(&command, None), log, is_guest: true }
    }

    /// Waits until the service at its first address answers `path` with 200.
    ///
    /// # Panics
    /// When it does not in time; with the guest's log.
    pub fn wait_for(&mut self, path: &str) {
        let url = format!("http://{}{path}", self.addresses[0]);
        let answer = wait_for(START_LIMIT, || Some(curl(&url, &[])).filter(|answer| answer.status == 200));
        assert!(answer.is_some(), "{url} is not answered\n{}", self.log());
        if self.is_guest {
            let pid = self.child.id().cast_signed();
            backlog::deepen(pid).expect("QEMU's listeners are ours to change");
        }
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Processor time that it has used (proc(5), fields 14 and 15 of stat; 100 ticks a second).
    ///
    /// # Panics
    /// When it has ended.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }

    /// Sends it a signal, such as those that stop it for a while and let it go on.
    ///
    /// # Panics
    /// When it has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Holds it as it is, or lets it go on.
    ///
    /// # Panics
    /// When it has ended.
    pub fn pause(&self, is_paused: bool) {
        self.signal(if is_paused { Signal::STOP } else { Signal::CONT });
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for RunningService {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(&self.log);
    }
}

/// A file for what a program says, which no other has.
fn log_file(program: &Path, addresses: &[SocketAddrV4]) -> PathBuf {
    let name = program.file_stem().and_then(|name| name.to_str()).unwrap_or("program");
    let port = addresses.first().map_or_else(free_port, |address| address.port());
    env::temp_dir().join(format!("{name}-{port}.log"))
}

/// Starts a program that ends when the calling thread does, however that ends. What it says on standard error
/// goes to `log`.
///
/// # Panics
/// When nothing can be started. A program that is not there is one that ends at once.
pub fn start(command: &Command, log: Option<&Path>) -> Child {
    let mut bound = Command::new(tool());
    bound.arg(BOUND_COMMAND).arg(std::process::id().to_string()).arg("--");
    bound.arg(command.get_program()).args(command.get_args());
    bound.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        bound.current_dir(dir);
    }
    let said = log.map_or_else(Stdio::null, |path| File::create(path).expect("a new file").into());
    bound.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
    bound.spawn().expect("it starts")
}

fn tool() -> &'static Path {
    // Asking cargo takes as long as the rest of a start.
    static TOOL: OnceLock<PathBuf> = OnceLock::new();
    TOOL.get_or_init(|| linux_programs(&["cluster"]).remove(0))
}

/// What runs guests on this machine.
///
/// # Panics
/// When a trial guest cannot be started.
pub fn probe(workspace: &Workspace) -> Probe {
    if env::var_os(process::TOOL_VARIABLE).is_none() {
        process::set_tool(tool());
    }
    image::set_up(workspace).expect("the toolchain can be set up");
    probe::probe(workspace).expect("a trial guest can be started")
}

/// An address that nothing listens at right now.
pub fn free_address() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port())
}
