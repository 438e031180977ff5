//! The services on other kernels in QEMU, each as its description says. The Linux machines are two of them.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use image_build::linux::debian::{self, Packages};
use image_build::linux::initramfs;
use image_build::tool::files::write_whole;
use image_build::tool::packages;
use image_build::vm::machine::{Launch, MEMORY_MIB_MIN, Machine, OtherKernel};
use image_build::vm::qemu;

use super::application::Substrate;
use super::hermit::{HOST_FROM_GUEST, guest_accelerator, start_guest};
use super::instance::{Instance, Order, Program};
use super::process;
use crate::context::Context;
use crate::peer::{Archive, Handover, Kernel, Network, Peer};

/// The address that QEMU's user network gives its guest.
const NETWORK: Network = Network { ip: Ipv4Addr::new(10, 0, 2, 15), gateway: HOST_FROM_GUEST };
/// Folder of Debian's packages.
const DEBIAN: &str = "linux";

/// The description of a Linux machine.
///
/// # Errors
/// When it is wrong, which the tests rule out.
pub fn linux(machine: Machine) -> Result<Peer> {
    let (name, text) = match machine {
        Machine::Q35 => ("debian-q35.toml", include_str!("../../peers/debian-q35.toml")),
        Machine::Microvm => ("debian-microvm.toml", include_str!("../../peers/debian-microvm.toml")),
    };
    Peer::parse(Path::new(name), text)
}

/// Gets the kernel if it is a package, and makes an initial file system for each program if it takes one.
///
/// # Errors
/// When a file is missing, a package cannot be had, or an executable not be built.
pub fn prepare(context: &Context, peer: &Peer) -> Result<()> {
    packages::ensure_qemu()?;
    peer.check_files(&Program::SERVICES.map(Program::package))?;
    let debian = match peer.kernel {
        Kernel::Package => Some(Packages::fetch(&context.artifacts(DEBIAN)?, debian::Kernel::Cloud)?),
        Kernel::File(_) => None,
    };
    match &peer.program {
        Handover::Disk(_) | Handover::Inside => return Ok(()),
        Handover::Bare => return process::build(context),
        Handover::Archive(_) => process::build(context)?,
    }
    let Handover::Archive(archive) = &peer.program else { return Ok(()) };
    for program in Program::SERVICES {
        let bytes = packed(archive, debian.as_ref(), context, program)?;
        write_whole(&archive_path(context, peer, program)?, &bytes)?;
    }
    Ok(())
}

/// The initial file system with a program.
fn packed(
    archive: &Archive,
    debian: Option<&Packages>,
    context: &Context,
    program: Program,
) -> Result<Vec<u8>> {
    let place = archive.place(program.package())?;
    let modules: Vec<&str> = archive.modules.iter().map(String::as_str).collect();
    let mut packed = match debian {
        Some(debian) => initramfs::Archive::with_modules(debian, &modules)?,
        None => initramfs::Archive::default(),
    };
    if let Some(init) = archive.init(NETWORK, initramfs::insert(&modules).trim_end())? {
        packed.program("init", init.as_bytes());
    }
    let mut folders: Vec<&Path> = Path::new(&place).ancestors().skip(1).collect();
    folders.reverse();
    for folder in folders.into_iter().filter_map(Path::to_str).filter(|folder| !folder.is_empty()) {
        packed.folder(folder);
    }
    packed.copy_program(&place, &process::executable(context, program)?)?;
    Ok(packed.finish())
}

fn archive_path(context: &Context, peer: &Peer, program: Program) -> Result<PathBuf> {
    let folder = context.artifacts("peers")?.join(&peer.name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder.join(format!("{}.cpio", program.package())))
}

/// Machines with one peer's kernel.
pub struct Machines {
    context: Context,
    peer: Peer,
}

impl Machines {
    /// Ready to start machines.
    ///
    /// # Errors
    /// When QEMU or the kernel is not there.
    pub fn open(context: &Context, peer: &Peer) -> Result<Self> {
        qemu::require()?;
        let machines = Self { context: context.clone(), peer: peer.clone() };
        machines.kernel(Program::Vote)?;
        Ok(machines)
    }

    fn kernel(&self, program: Program) -> Result<PathBuf> {
        match self.peer.kernel_file(program.package())? {
            Some(path) => Ok(path),
            None => Packages::open(&self.context.artifacts(DEBIAN)?).kernel(),
        }
    }

    fn initramfs(&self, program: Program) -> Result<Option<PathBuf>> {
        let path = match &self.peer.program {
            Handover::Bare => process::executable(&self.context, program)?,
            Handover::Archive(_) => archive_path(&self.context, &self.peer, program)?,
            Handover::Disk(_) | Handover::Inside => return Ok(None),
        };
        ensure!(path.is_file(), "{} has not been made", path.display());
        Ok(Some(path))
    }

    fn files(&self, program: Program) -> Result<Vec<PathBuf>> {
        let others = [self.initramfs(program)?, self.peer.disk(program.package())?];
        Ok([self.kernel(program)?].into_iter().chain(others.into_iter().flatten()).collect())
    }
}

impl Substrate for Machines {
    fn start(&self, order: &Order) -> Result<Instance> {
        let (peer, program) = (&self.peer, order.program);
        let accelerator = guest_accelerator(self.context.accelerator, order);
        let mut launch = Launch::new(&order.name, self.kernel(program)?, peer.machine, accelerator);
        launch.memory_mib = match (program, order.memory_mib) {
            // What its data take, and what the kernel takes.
            (Program::Store, Some(memory_mib)) => memory_mib + peer.memory_mib,
            (_, memory_mib) => memory_mib.unwrap_or(peer.memory_mib),
        };
        let tsc_khz = accelerator.mhz().map(|mhz| u32::from(mhz) * 1000);
        launch.other_kernel = Some(OtherKernel {
            initramfs: self.initramfs(program)?,
            disk: peer.disk(program.package())?,
            words: peer.command_line(program.package(), NETWORK, tsc_khz, &order.settings)?,
            card: peer.card.clone(),
            firmware: peer.firmware,
        });
        start_guest(&self.context, launch, order)
    }

    fn shipped(&self) -> Vec<PathBuf> {
        self.files(Program::Vote).unwrap_or_default()
    }

    fn memory_range(&self) -> Option<(u32, u32)> {
        Some((MEMORY_MIB_MIN, self.peer.memory_mib))
    }

    fn counts_instructions(&self) -> bool {
        true
    }

    fn note(&self) -> Option<String> {
        let Kernel::Package = self.peer.kernel else {
            let file = self.peer.file.file_name()?.to_string_lossy();
            return Some(format!("{}: as {file} describes it for {}", self.peer.title, self.peer.version));
        };
        let kernel = self.kernel(Program::Vote).ok()?;
        let version = kernel.file_name()?.to_str()?.strip_prefix("vmlinuz-")?;
        Some(format!("Debian's kernel {version} as packaged, with its hardening"))
    }
}

#[cfg(test)]
mod tests {
    use image_build::vm::accelerator::Choice;

    use super::*;
    use crate::client;
    use crate::substrate::{Port, all, read_peers};

    /// Fails where Debian's kernel cannot be had, with the reason.
    #[test]
    fn debians_kernel_runs_the_whole_application_as_a_peer() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/debian-q35.toml");
        let peers = read_peers(&[file]).expect("a description");
        // As if contained: this program has no command that ties guests to it. They end with their values.
        let context = Context::find(Choice::Tcg, None, true).expect("an accelerator");
        let peer = all(&peers).find(|candidate| candidate.id == "debian-q35").expect("the peer");
        peer.prepare(&context).expect("Debian's kernel and the services");
        let logs = tempfile::tempdir().expect("a folder");
        let machines = peer.open(&context).expect("machines");
        let mut application =
            machines.application(1, logs.path()).expect("the application on Debian's kernel");
        // All four are ready, so each has its settings and finds the others.
        let vote = application.votes[0].endpoint(Port::Vote).expect("a port").host;
        let answer = client::vote(vote, "b").expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        application.check().expect("all of it runs");
        assert_eq!(machines.shipped().len(), 2, "a kernel and an initial file system");
        assert!(machines.note().expect("a note").starts_with("Debian's kernel "));
    }

    #[test]
    fn a_linux_machine_is_told_the_counters_rate_and_init_its_settings() {
        let settings = [("REDIS_URL".to_owned(), "redis://10.0.2.2:1".to_owned())];
        for machine in [Machine::Q35, Machine::Microvm] {
            let linux = linux(machine).expect("a description");
            let line = |tsc_khz| linux.command_line("worker", NETWORK, tsc_khz, &settings).expect("words");
            let known = line(Some(2_596_000));
            assert!(known.starts_with("console=ttyS0 quiet panic=-1 reboot=t "), "{known}");
            assert!(known.ends_with(" tsc_early_khz=2596000 REDIS_URL=redis://10.0.2.2:1"), "{known}");
            assert_eq!(
                line(None),
                known.replace("tsc_early_khz=2596000 ", ""),
                "an unknown rate is not told"
            );
            assert_eq!(linux.machine, machine);
        }
    }

    #[test]
    fn a_linux_script_loads_the_modules_in_order_and_becomes_the_service() {
        let linux = linux(Machine::Microvm).expect("a description");
        let Handover::Archive(archive) = &linux.program else { panic!("no initial file system") };
        let modules: Vec<&str> = archive.modules.iter().map(String::as_str).collect();
        let script = archive.init(NETWORK, initramfs::insert(&modules).trim_end()).expect("filled in");
        let script = script.expect("a script");
        let begins = "#!/bin/sh\n/bin/busybox insmod /modules/virtio_ring.ko\n\
                      /bin/busybox insmod /modules/virtio.ko\n/bin/busybox insmod /modules/virtio_mmio.ko\n";
        assert!(script.starts_with(begins), "{script}");
        let ends = "/modules/virtio_net.ko\nip link set lo up\nip addr add 10.0.2.15/24 dev eth0\n\
                    ip link set eth0 up\nip route add default via 10.0.2.2\nexec /service\n";
        assert!(script.ends_with(ends), "{script}");
    }
}
