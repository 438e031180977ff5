//! The services as Hermit unikernels under other VMMs than QEMU: by KVM, each on a tap interface of its own.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::{Context as _, Error, Result, anyhow, bail, ensure};
use image_build::image;
use image_build::vm::accelerator::Accelerator;
use image_build::vm::bridge::{Bridge, Port};
use image_build::vm::fitness::Unfit;
use image_build::vm::machine::{Launch, Machine};
use image_build::vm::vmm::Vmm;
use image_build::vm::{command, fitness, install, probe, tap};
use tempfile::TempDir;

use super::application::Substrate;
use super::hermit::{MEMORY_MIB, MEMORY_RANGE_MIB};
use super::instance::{Endpoint, Instance, Order, Program};
use crate::child::Running;
use crate::context::Context;

/// The bridge of all VMMs, while one of them uses it.
static BRIDGE: Mutex<Weak<Bridge>> = Mutex::new(Weak::new());

/// Unikernels under one VMM.
pub struct Monitor {
    context: Context,
    vmm: Vmm,
    program: PathBuf,
    bridge: Arc<Bridge>,
}

/// Whether a run on this machine can have it.
///
/// # Errors
/// Why not.
pub fn check(context: &Context, vmm: Vmm) -> Result<()> {
    find(context, vmm)?;
    ensure!(
        context.contained,
        "its guests need a network of the run's own, which takes `unshare --net` and no containers of this machine's \
         own Docker engine: leave those out with --only"
    );
    Ok(())
}

/// Builds what it starts.
///
/// # Errors
/// When this machine cannot run it, or a build fails.
pub fn prepare(context: &Context, vmm: Vmm) -> Result<()> {
    find(context, vmm)?;
    image::build(&context.workspace, &Program::SERVICES.map(Program::package)).map(drop)
}

/// Its program. Nothing is installed for it.
fn find(context: &Context, vmm: Vmm) -> Result<PathBuf> {
    let program = install::find(&context.workspace, vmm, None).map_err(told)?;
    fitness::version(vmm, &program).map_err(told)?;
    if !matches!(context.accelerator, Accelerator::Kvm { .. }) {
        match probe::probe(&context.workspace)?.kvm_obstacle {
            Some(obstacle) => bail!("it needs KVM, which cannot be used here: {obstacle}"),
            None => bail!("it needs KVM, and this run emulates: leave --accel out"),
        }
    }
    match tap::obstacle() {
        Some(obstacle) => bail!("a network for its guests {obstacle}"),
        None => Ok(program),
    }
}

/// Why a VMM cannot be used, without the options that other commands have.
fn told(unfit: Unfit) -> Error {
    let needed = |vmm: Vmm| vmm.version_min().map(|least| format!("{least} or later")).unwrap_or_default();
    match unfit {
        Unfit::Missing(vmm, _) => {
            anyhow!("{} is not installed: put {} {} into PATH", vmm.label(), vmm.program(), needed(vmm))
        }
        Unfit::TooOld(vmm, path, version) => {
            anyhow!("{} is {} {version}: put {} into PATH", path.display(), vmm.label(), needed(vmm))
        }
        other => other.into(),
    }
}

fn bridge() -> Result<Arc<Bridge>> {
    let mut shared = BRIDGE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bridge) = shared.upgrade() {
        return Ok(bridge);
    }
    let bridge = Arc::new(Bridge::make()?);
    *shared = Arc::downgrade(&bridge);
    Ok(bridge)
}

impl Monitor {
    /// Ready to start guests.
    ///
    /// # Errors
    /// When this machine cannot run it.
    pub fn open(context: &Context, vmm: Vmm) -> Result<Self> {
        let program = find(context, vmm)?;
        Ok(Self { context: context.clone(), vmm, program, bridge: bridge()? })
    }

    fn file(&self, program: Program) -> Result<PathBuf> {
        let image = image::built(&self.context.workspace, program.package())?;
        Ok(self.vmm.image_kind().choose(image.path, image.program))
    }
}

impl Substrate for Monitor {
    fn start(&self, order: &Order) -> Result<Instance> {
        let port = self.bridge.connect()?;
        let folder = tempfile::tempdir().context("no room for the machine's files")?;
        let file = self.file(order.program)?;
        let mut launch = Launch::new(&order.name, file, Machine::default(), self.context.accelerator);
        (launch.vmm, launch.program) = (self.vmm, self.program.clone());
        launch.memory_mib = order.memory_mib.unwrap_or(MEMORY_MIB);
        let network = port.settings().map(|(name, value)| (name.to_owned(), value));
        launch.command_line.environment.extend(network.into_iter().chain(order.settings.iter().cloned()));
        launch.network = port.card();
        launch.folder = folder.path().to_owned();
        let endpoints = order.program.ports().iter().map(|(name, _, guest_port)| {
            let host = SocketAddrV4::new(port.guest(), *guest_port);
            (*name, Endpoint { host, peer: host })
        });
        let started = order.start(&self.context, command::command(&launch)?, endpoints.collect())?;
        let running = Box::new(OnTap {
            machine: started.running,
            _port: port,
            _bridge: Arc::clone(&self.bridge),
            _folder: folder,
        });
        Ok(Instance { running, guest_memory_mib: Some(launch.memory_mib), ..started })
    }

    fn shipped(&self) -> Vec<PathBuf> {
        self.file(Program::Vote).into_iter().collect()
    }

    /// Not under uhyve, which takes neither little memory nor every number of MiB.
    fn memory_range(&self) -> Option<(u32, u32)> {
        (self.vmm != Vmm::Uhyve).then_some(MEMORY_RANGE_MIB)
    }
}

/// A machine with its interface and files, which go after it.
struct OnTap {
    machine: Box<dyn Running>,
    _port: Port,
    _bridge: Arc<Bridge>,
    _folder: TempDir,
}

impl Running for OnTap {
    fn ended(&mut self) -> Option<String> {
        self.machine.ended()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_build::tool::workspace::Workspace;

    #[test]
    fn a_vmm_that_is_not_here_is_told_in_one_line() {
        let accelerator = Accelerator::Tcg { mhz: 0 };
        let folder = tempfile::tempdir().expect("a folder").path().to_owned();
        let workspace = Workspace { root: folder.clone(), target: folder };
        let context = Context { workspace, accelerator, original: None, peers: Vec::new(), contained: true };
        if install::find(&context.workspace, Vmm::Firecracker, None).is_ok() {
            image_build::note!("skipped: Firecracker is here");
            return;
        }
        let reason = format!("{:#}", check(&context, Vmm::Firecracker).expect_err("refused"));
        assert!(reason.starts_with("Firecracker is not installed: put firecracker 1."), "{reason}");
        assert_eq!(reason.lines().count(), 1);
    }
}
