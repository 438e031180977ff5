//! The services in Linux virtual machines, under the same QEMU command as the unikernels.
//!
//! The kernel is Debian's for clouds, as shipped; the initial file system holds one static executable, the
//! modules of the network card, and busybox, whose shell loads them, sets the address and becomes the
//! service. Nothing else runs, and nothing is mounted: it is as lean as a distribution's kernel gets.

mod initramfs;
mod packages;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use image_build::image::write_whole;
use image_build::qemu::{self, Launch, Machine, OtherKernel};

use super::hermit::{guest_accelerator, start_guest};
use super::{Instance, Order, Program, Substrate, native};
use crate::context::Context;

/// Memory of a machine in MiB that nothing else is said of.
const MEMORY_MIB: u32 = 128;
/// What Linux takes besides the service, in MiB: a store's machine gets it in addition.
const OVERHEAD_MIB: u32 = 96;
/// Memory that is tried, in MiB.
const MEMORY_RANGE_MIB: (u32, u32) = (48, 160);
/// No messages on the serial line, which cost time; the service's log goes there.
const WORDS: [&str; 3] = ["quiet", "console=ttyS0", "panic=-1"];
/// Where microvm's first virtio device is: size, address, interrupt line. (QEMU fills its eight slots
/// from the end; it would say so on the command line, which our machine's options forbid.)
const MMIO_DEVICE: &str = "512@0xfeb00e00:12";

/// Linux machines of one kind.
pub struct LinuxVm {
    context: Context,
    machine: Machine,
}

/// Gets the kernel, and makes an initial file system for each program.
///
/// # Errors
/// When a package cannot be had, or an executable not be built.
pub fn prepare(context: &Context, machine: Machine) -> Result<()> {
    image_build::packages::ensure_qemu()?;
    native::prepare(context)?;
    let packages = packages::ensure(&context.artifacts("linux")?)?;
    for program in [Program::Vote, Program::Result, Program::Worker, Program::Store] {
        let archive = initramfs::archive(&packages, machine, &native::executable(context, program)?)?;
        write_whole(&initramfs_path(context, machine, program)?, &archive)?;
    }
    Ok(())
}

impl LinuxVm {
    /// Ready to start machines.
    ///
    /// # Errors
    /// When QEMU or the kernel is not there.
    pub fn open(context: &Context, machine: Machine) -> Result<Self> {
        qemu::require()?;
        let linux = Self { context: context.clone(), machine };
        linux.kernel()?;
        Ok(linux)
    }

    fn kernel(&self) -> Result<PathBuf> {
        packages::kernel(&self.context.artifacts("linux")?)
    }

    fn initramfs(&self, program: Program) -> Result<PathBuf> {
        let path = initramfs_path(&self.context, self.machine, program)?;
        ensure!(path.is_file(), "{} has not been made", path.display());
        Ok(path)
    }

    /// The kernel's command line. Words that the kernel does not know become the environment of `init`.
    fn words(&self, order: &Order) -> Result<String> {
        let mut words: Vec<String> = WORDS.map(str::to_owned).to_vec();
        if self.machine == Machine::Microvm {
            words.push(format!("MMIO_DEVICE={MMIO_DEVICE}"));
        }
        for (name, value) in &order.settings {
            ensure!(
                !value.contains([' ', '"', '\n']),
                "{name}={value:?} cannot be passed to Linux: a setting there has no spaces or quotes"
            );
            words.push(format!("{name}={value}"));
        }
        Ok(words.join(" "))
    }
}

impl Substrate for LinuxVm {
    fn start(&self, order: &Order) -> Result<Instance> {
        let accelerator = guest_accelerator(self.context.accelerator, order);
        let mut launch = Launch::new(&order.name, self.kernel()?, self.machine, accelerator);
        launch.memory_mib = match (order.program, order.memory_mib) {
            (Program::Store, Some(memory_mib)) => memory_mib + OVERHEAD_MIB,
            (_, memory_mib) => memory_mib.unwrap_or(MEMORY_MIB),
        };
        let initramfs = self.initramfs(order.program)?;
        launch.other_kernel = Some(OtherKernel { initramfs, words: self.words(order)? });
        start_guest(&self.context, launch, order)
    }

    fn shipped(&self) -> Vec<PathBuf> {
        self.kernel().into_iter().chain(self.initramfs(Program::Vote)).collect()
    }

    fn memory_range(&self) -> Option<(u32, u32)> {
        Some(MEMORY_RANGE_MIB)
    }

    fn counts_instructions(&self) -> bool {
        true
    }
}

fn initramfs_path(context: &Context, machine: Machine, program: Program) -> Result<PathBuf> {
    let kind = match machine {
        Machine::Q35 => "q35",
        Machine::Microvm => "microvm",
    };
    Ok(context.artifacts("linux")?.join(format!("{}-{kind}.cpio", program.package())))
}

/// The only entry of a directory, such as that of a kernel's modules, which is named by its version.
fn only_entry(directory: &std::path::Path) -> Result<PathBuf> {
    let unreadable = || format!("cannot list {}", directory.display());
    let mut entries = fs::read_dir(directory).with_context(unreadable)?;
    let entry = entries.next().with_context(|| format!("{} is empty", directory.display()))?;
    Ok(entry.with_context(unreadable)?.path())
}
