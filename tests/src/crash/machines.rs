//! The four machines of the application, each of which can be killed and started again by itself, on either
//! kind of virtual hardware, at the ports that it had.
//!
//! Waits for nothing: whoever talks to a machine that is not there yet tries again.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result};
use image_build::image;
use image_build::tool::workspace::Workspace;
use image_build::vm::accelerator::{Accelerator, Choice};
use image_build::vm::disk_image::DiskImage;
use image_build::vm::machine::{Forward, Launch, Machine, Network};
use image_build::vm::probe;
use image_build::vm::qemu;

use super::dice::Dice;
use crate::client;
use crate::command::free_port;

/// What can be killed, in the order of their start.
pub const SERVICES: [&str; 4] = ["store", "worker", "vote", "result"];
/// Package and port of each.
const PROGRAMS: [(&str, u16); 4] =
    [("store-service", 6379), ("worker", 8082), ("vote-service", 8080), ("result-service", 8081)];
const MEMORY_MIB: u32 = 64;
/// Small, so that the log is compacted under load.
const DISK_MIB: u32 = 8;

/// The four machines.
pub struct Machines {
    folder: PathBuf,
    accelerator: Accelerator,
    sandbox: bool,
    disk: DiskImage,
    images: Vec<PathBuf>,
    ports: [u16; 4],
    running: BTreeMap<&'static str, RunningMachine>,
}

/// A QEMU that is killed when this value goes.
struct RunningMachine(Child);

impl Drop for RunningMachine {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machines {
    /// Builds the images and makes the store's disk anew; nothing is started.
    ///
    /// # Errors
    /// When one of that fails.
    pub fn new(folder: &Path) -> Result<Self> {
        let workspace = Workspace::find()?;
        let accelerator = probe::choose(&workspace, Choice::Auto)?;
        let sandbox = probe::choose_sandbox(&workspace)?;
        let images = image::build(&workspace, &PROGRAMS.map(|(package, _)| package))?;
        let images = images.into_iter().map(|image| image.path).collect();
        let disk = DiskImage { path: folder.join("store.img"), size_mib: DISK_MIB };
        // One of an earlier run has other voters' votes.
        let _ = std::fs::remove_file(&disk.path);
        drop(disk.claim()?);
        let ports = std::array::from_fn(|_| free_port());
        let folder = folder.to_owned();
        Ok(Self { folder, accelerator, sandbox, disk, images, ports, running: BTreeMap::new() })
    }

    /// Starts all machines.
    ///
    /// # Errors
    /// When QEMU cannot be started.
    pub fn start_all(&mut self, dice: &mut Dice) -> Result<()> {
        self.start(&SERVICES, dice)
    }

    /// Starts those that do not run.
    ///
    /// # Errors
    /// When QEMU cannot be started.
    pub fn start(&mut self, services: &[&'static str], dice: &mut Dice) -> Result<()> {
        for (index, service) in SERVICES.into_iter().enumerate() {
            if services.contains(&service) && !self.running.contains_key(service) {
                let machine = if dice.below(2) == 0 { Machine::Q35 } else { Machine::Microvm };
                let running = self.launch(index, machine).with_context(|| format!("starting {service}"))?;
                self.running.insert(service, running);
            }
        }
        Ok(())
    }

    /// Kills those that run, by SIGKILL, and waits for their processes' end; how many that were.
    pub fn kill(&mut self, services: &[&'static str]) -> u64 {
        services.iter().filter(|service| self.running.remove(**service).is_some()).count() as u64
    }

    /// Where votes are cast.
    pub fn vote_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.ports[2])
    }

    /// Votes for a and for b as the result page has them, when it answers.
    pub fn scores(&self) -> Option<(u64, u64)> {
        client::scores(&format!("http://127.0.0.1:{}", self.ports[3]))
    }

    fn launch(&self, index: usize, machine: Machine) -> Result<RunningMachine> {
        let (service, (_, guest_port)) = (SERVICES[index], PROGRAMS[index]);
        let mut launch = Launch::new(service, self.images[index].clone(), machine, self.accelerator);
        let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.ports[index]);
        let is_store = index == 0;
        launch.memory_mib = MEMORY_MIB;
        launch.sandbox = self.sandbox;
        launch.network =
            Network::User { forwards: vec![Forward { host, guest_port }], outgoing: !is_store, range: None };
        launch.disks.extend(is_store.then(|| self.disk.path.clone()));
        let redis = format!("redis://10.0.2.2:{}", self.ports[0]);
        let settings = [("IP", "10.0.2.15/24"), ("GATEWAY", "10.0.2.2"), ("INSTANCE", service)];
        let settings = settings.into_iter().chain((!is_store).then_some(("REDIS_URL", redis.as_str())));
        launch
            .command_line
            .environment
            .extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let log =
            OpenOptions::new().create(true).append(true).open(self.folder.join(format!("{service}.log")))?;
        let mut command = qemu::command(&launch)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(RunningMachine(command.spawn().context("QEMU cannot be started")?))
    }
}
