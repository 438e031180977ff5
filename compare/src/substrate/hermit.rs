//! The services as Hermit unikernels in QEMU, each on a user network of its own, or all four in one.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use image_build::image;
use image_build::tool::packages;
use image_build::vm::accelerator::Accelerator;
use image_build::vm::machine::{Forward, Launch, Machine, Network, Serial};
use image_build::vm::qmp::{COUNTED, COUNTED_MHZ};
use image_build::vm::{machine, qemu};

use super::application::{Application, STORE_MEMORY, Substrate, ready};
use super::instance::{Endpoint, Instance, Order, Program};
use crate::client::free_address;
use crate::context::Context;

/// Memory of a guest in MiB that nothing else is said of, as in the application's description.
pub const MEMORY_MIB: u32 = 32;
/// Memory that is tried, in MiB.
pub const MEMORY_RANGE_MIB: (u32, u32) = (machine::MEMORY_MIB_MIN, 64);
/// Where a guest of QEMU's user network finds the host.
pub const HOST_FROM_GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Settings that spare a guest DHCP: the address that it would get.
const ADDRESS: [(&str, &str); 2] = [("IP", "10.0.2.15/24"), ("GATEWAY", "10.0.2.2")];

/// Unikernels on one kind of machine.
pub struct Hermit {
    context: Context,
    machine: Machine,
}

/// Builds images.
pub fn prepare(context: &Context, programs: &[Program]) -> Result<()> {
    packages::ensure_qemu()?;
    let names: Vec<&str> = programs.iter().map(|program| program.package()).collect();
    image::build(&context.workspace, &names).map(drop)
}

impl Hermit {
    /// Ready to start guests.
    ///
    /// # Errors
    /// When QEMU is not there.
    pub fn open(context: &Context, machine: Machine) -> Result<Self> {
        qemu::require()?;
        Ok(Self { context: context.clone(), machine })
    }

    /// The image of a program.
    ///
    /// # Errors
    /// When it has not been built.
    fn image(&self, program: Program) -> Result<PathBuf> {
        let path = self.context.workspace.state()?.join(format!("{}.img", program.package()));
        ensure!(path.is_file(), "{} has not been built", path.display());
        Ok(path)
    }
}

impl Substrate for Hermit {
    fn start(&self, order: &Order) -> Result<Instance> {
        let accelerator = guest_accelerator(self.context.accelerator, order);
        let mut launch = Launch::new(&order.name, self.image(order.program)?, self.machine, accelerator);
        let address = ADDRESS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        launch.command_line.environment.extend(address.into_iter().chain(order.settings.iter().cloned()));
        launch.memory_mib = order.memory_mib.unwrap_or(MEMORY_MIB);
        start_guest(&self.context, launch, order)
    }

    fn shipped(&self) -> Vec<PathBuf> {
        self.image(Program::Vote).into_iter().collect()
    }

    fn memory_range(&self) -> Option<(u32, u32)> {
        Some(MEMORY_RANGE_MIB)
    }

    fn counts_instructions(&self) -> bool {
        true
    }
}

/// Emulation whose counter goes with the instructions, when those are counted.
pub fn guest_accelerator(usual: Accelerator, order: &Order) -> Accelerator {
    if order.counted.is_some() { Accelerator::Tcg { mhz: COUNTED_MHZ } } else { usual }
}

/// Starts a guest whose network and serial line are still to be said.
///
/// # Errors
/// When QEMU cannot be started.
pub fn start_guest(context: &Context, mut launch: Launch, order: &Order) -> Result<Instance> {
    let mut endpoints = BTreeMap::new();
    let mut forwards = Vec::new();
    for (port, _, guest_port) in order.program.ports() {
        let host = free_address()?;
        let peer = SocketAddrV4::new(HOST_FROM_GUEST, host.port());
        endpoints.insert(*port, Endpoint { host, peer });
        forwards.push(Forward { host, guest_port: *guest_port });
    }
    launch.network = Network::User { forwards, outgoing: true, range: None };
    launch.serial = Serial::Stdout;
    if let Some(socket) = &order.counted {
        let monitor = format!("unix:{},server=on,wait=off", socket.display());
        launch.extra.extend(COUNTED.iter().chain(&["-qmp", &monitor, "-D"]).map(Into::into));
        launch.extra.push(socket.with_extension("log").into());
    }
    let started = order.start(context, qemu::command(&launch)?, endpoints)?;
    Ok(Instance { guest_memory_mib: Some(launch.memory_mib), ..started })
}

/// Memory of the one guest, in MiB: its store holds what the store of its own holds elsewhere.
const ONE_IMAGE_MEMORY_MIB: u32 = 416;

/// The four services in one unikernel on one kind of machine, talking through memory.
pub struct OneImage(Hermit);

impl OneImage {
    /// Ready to start guests.
    ///
    /// # Errors
    /// When QEMU is not there.
    pub fn open(context: &Context, machine: Machine) -> Result<Self> {
        Hermit::open(context, machine).map(Self)
    }
}

impl Substrate for OneImage {
    fn start(&self, order: &Order) -> Result<Instance> {
        self.0.start(&Order { program: Program::VotingApp, ..order.clone() })
    }

    /// The whole application: without its own store it would not be what it is compared as.
    fn vote(&self, order: &Order) -> Result<Instance> {
        let settings = order.settings.iter().filter(|(name, _)| name != "REDIS_URL").cloned().collect();
        self.start(&Order { settings, ..order.clone() })
    }

    fn application(&self, votes: u32, directory: &Path) -> Result<Application> {
        ensure!(votes == 1, "one image has one vote service");
        let settings = [("MAXMEMORY", STORE_MEMORY), ("LOG", "warn")];
        let order = Order::new(Program::VotingApp, "voting-app", &settings, directory);
        let order = Order { memory_mib: Some(ONE_IMAGE_MEMORY_MIB), ..order };
        let instance = ready(self.start(&order)?, Program::VotingApp)?;
        Ok(Application { votes: vec![instance], result: None, others: Vec::new() })
    }

    fn votes_max(&self) -> u32 {
        1
    }

    fn shipped(&self) -> Vec<PathBuf> {
        self.0.image(Program::VotingApp).into_iter().collect()
    }

    fn memory_range(&self) -> Option<(u32, u32)> {
        self.0.memory_range()
    }

    fn counts_instructions(&self) -> bool {
        true
    }
}
