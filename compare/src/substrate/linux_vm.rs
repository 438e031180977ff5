//! The services in Linux virtual machines, under the same QEMU command as the unikernels.
//!
//! The kernel is Debian's for clouds, as shipped; the initial file system holds one static executable, the
//! modules of the network card, and busybox, whose shell loads them, sets the address and becomes the
//! service. Nothing else runs, and nothing is mounted: it is as lean as a distribution's kernel gets.
//!
//! Two things are left alone, because changing them takes something away. Debian's hardening: without it
//! (`init_on_alloc=0`) a GET over its own connection takes 102,000 guest instructions, not 129,000;
//! `mitigations=off` changes nothing under emulation. And the kernel's compression: unpacked beforehand, for
//! QEMU's PVH entry, it starts a fifth sooner, from a file of 53 MB in place of 14.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use image_build::linux::debian::{Kernel, Packages};
use image_build::linux::initramfs::{self, Archive};
use image_build::tool::files::write_whole;
use image_build::tool::packages;
use image_build::vm::accelerator::Accelerator;
use image_build::vm::machine::{Launch, Machine, OtherKernel};
use image_build::vm::qemu;

use super::application::Substrate;
use super::hermit::{guest_accelerator, start_guest};
use super::instance::{Instance, Order, Program};
use super::process;
use crate::context::Context;

/// Memory of a machine in MiB that nothing else is said of.
const MEMORY_MIB: u32 = 128;
/// What Linux takes besides the service, in MiB: a store's machine gets it in addition.
const OVERHEAD_MIB: u32 = 96;
/// Memory that is tried, in MiB.
const MEMORY_RANGE_MIB: (u32, u32) = (48, 160);
/// The kernel's words, most of them as Kata Containers starts its guests: a boot takes 780 million guest
/// instructions with them and 1,670 million with the first three alone.
const WORDS: [&str; 11] = [
    "console=ttyS0",
    // No messages on the serial line, which cost time; the service's log goes there.
    "quiet",
    // A machine whose service ends, ends too.
    "panic=-1",
    "reboot=t",
    // The counter's rate is told (see `counter`), and it does not drift from other clocks.
    "tsc=reliable",
    "no_timer_check",
    // No tests of ciphers that nobody uses: a sixth of a second under emulation.
    "cryptomgr.notests",
    "rcupdate.rcu_expedited=1",
    // There is one processor, one serial line, and (on q35) one PCI bus.
    "noreplace-smp",
    "8250.nr_uarts=1",
    "pci=lastbus=0",
];

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
    packages::ensure_qemu()?;
    process::build(context)?;
    let debian = Packages::fetch(&context.artifacts("linux")?, Kernel::Cloud)?;
    for program in Program::SERVICES {
        let archive = archive(&debian, machine, &process::executable(context, program)?)?;
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
        Packages::open(&self.context.artifacts("linux")?).kernel()
    }

    fn initramfs(&self, program: Program) -> Result<PathBuf> {
        let path = initramfs_path(&self.context, self.machine, program)?;
        ensure!(path.is_file(), "{} has not been made", path.display());
        Ok(path)
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
        launch.other_kernel = Some(OtherKernel { initramfs, words: words(accelerator, &order.settings)? });
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

    fn note(&self) -> Option<String> {
        let kernel = self.kernel().ok()?;
        let version = kernel.file_name()?.to_str()?.strip_prefix("vmlinuz-")?;
        Some(format!("Debian's kernel {version} as packaged, with its hardening"))
    }
}

/// The kernel's command line. Words that the kernel does not know become the environment of `init`.
fn words(accelerator: Accelerator, settings: &[(String, String)]) -> Result<String> {
    let mut words: Vec<String> = WORDS.map(str::to_owned).to_vec();
    words.extend(counter(accelerator));
    for (name, value) in settings {
        ensure!(
            !value.contains([' ', '"', '\n']),
            "{name}={value:?} cannot be passed to Linux: a setting there has no spaces or quotes"
        );
        words.push(format!("{name}={value}"));
    }
    Ok(words.join(" "))
}

/// The word with the rate of the time stamp counter, which our own kernel is told as well.
///
/// Measuring it takes time, and on microvm it fails when the host is busy: there is only one old timer to
/// measure it with, and the boot then waits for ever for ticks that do not come.
fn counter(accelerator: Accelerator) -> Option<String> {
    accelerator.mhz().map(|mhz| format!("tsc_early_khz={mhz}000"))
}

fn initramfs_path(context: &Context, machine: Machine, program: Program) -> Result<PathBuf> {
    let kind = match machine {
        Machine::Q35 => "q35",
        Machine::Microvm => "microvm",
    };
    Ok(context.artifacts("linux")?.join(format!("{}-{kind}.cpio", program.package())))
}

/// Modules in the order in which they depend on each other.
const PCI_MODULES: [&str; 5] = [
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
];
/// The device itself is found through ACPI.
const MMIO_MODULES: [&str; 3] =
    ["drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_mmio"];
const NET_MODULES: [&str; 3] = ["net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net"];

/// The initial file system that makes a machine of this kind run `service`.
///
/// # Errors
/// When a module or program is not there.
fn archive(debian: &Packages, machine: Machine, service: &Path) -> Result<Vec<u8>> {
    let bus: &[&str] = if machine == Machine::Q35 { &PCI_MODULES } else { &MMIO_MODULES };
    let modules: Vec<&str> = bus.iter().chain(&NET_MODULES).copied().collect();
    let mut archive = Archive::with_modules(debian, &modules)?;
    archive.program("init", init(&modules).as_bytes());
    archive.copy_program("service", service)?;
    Ok(archive.finish())
}

/// The first program: a script of busybox's shell that becomes the service.
fn init(modules: &[&str]) -> String {
    let mut lines = vec!["#!/bin/sh".to_owned()];
    lines.extend(initramfs::insert(modules).lines().map(str::to_owned));
    for command in ["link set lo up", "addr add 10.0.2.15/24 dev eth0", "link set eth0 up"] {
        lines.push(format!("ip {command}"));
    }
    lines.push("ip route add default via 10.0.2.2".to_owned());
    lines.push("exec /service".to_owned());
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> Result<String> {
        words(Accelerator::Tcg { mhz: 2596 }, &[("REDIS_URL".to_owned(), value.to_owned())])
    }

    #[test]
    fn the_kernel_is_told_the_counters_rate_and_init_its_settings() {
        let words = with("redis://10.0.2.2:1").expect("words");
        assert!(words.ends_with(" tsc_early_khz=2596000 REDIS_URL=redis://10.0.2.2:1"), "{words}");
        assert_eq!(counter(Accelerator::Tcg { mhz: 0 }), None, "an unknown rate is not told");
    }

    #[test]
    fn a_setting_that_would_become_several_words_is_refused() {
        let error = with("a b").expect_err("two words").to_string();
        assert!(error.starts_with("REDIS_URL=\"a b\" cannot be passed to Linux"), "{error}");
    }

    #[test]
    fn the_script_loads_the_modules_in_order_and_becomes_the_service() {
        let script = init(&["a/virtio_ring", "b/virtio_mmio"]);
        let expected = "#!/bin/sh\n/bin/busybox insmod /modules/virtio_ring.ko\n\
                        /bin/busybox insmod /modules/virtio_mmio.ko\nip link set lo up\n";
        assert!(script.starts_with(expected), "{script}");
        assert!(script.ends_with("\nexec /service\n"), "{script}");
    }
}
