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

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use image_build::note;
use image_build::tool::files::write_whole;
use image_build::tool::packages;
use image_build::tool::process::{is_installed, output};
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
    let debian = context.artifacts("linux")?;
    fetch(&debian)?;
    for program in Program::SERVICES {
        let archive = archive(&debian.join(ROOT), machine, &process::executable(context, program)?)?;
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
        kernel(&self.context.artifacts("linux")?.join(ROOT))
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

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;
/// Numbers of the console device.
const CONSOLE: (u32, u32) = (5, 1);

/// The initial file system that makes a machine of this kind run `service`.
///
/// # Errors
/// When a module or program is not there.
fn archive(root: &Path, machine: Machine, service: &Path) -> Result<Vec<u8>> {
    let bus: &[&str] = if machine == Machine::Q35 { &PCI_MODULES } else { &MMIO_MODULES };
    let modules: Vec<&str> = bus.iter().chain(&NET_MODULES).copied().collect();
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "modules"] {
        archive.entry(directory, DIRECTORY, (0, 0), &[]);
    }
    archive.entry("dev/console", CHARACTER_DEVICE, CONSOLE, &[]);
    archive.entry("bin/busybox", PROGRAM, (0, 0), &read(&busybox(root)?)?);
    archive.entry("bin/sh", LINK, (0, 0), b"busybox");
    for module in &modules {
        let path = format!("modules/{}.ko", file_name(module));
        archive.entry(&path, FILE, (0, 0), &read(&kernel_module(root, module)?)?);
    }
    archive.entry("init", PROGRAM, (0, 0), init(&modules).as_bytes());
    archive.entry("service", PROGRAM, (0, 0), &read(service)?);
    Ok(archive.finish())
}

/// The first program: a script of busybox's shell that becomes the service.
fn init(modules: &[&str]) -> String {
    let mut lines = vec!["#!/bin/sh".to_owned()];
    for module in modules.iter().map(|module| file_name(module)) {
        lines.push(format!("insmod /modules/{module}.ko"));
    }
    for command in ["link set lo up", "addr add 10.0.2.15/24 dev eth0", "link set eth0 up"] {
        lines.push(format!("ip {command}"));
    }
    lines.push("ip route add default via 10.0.2.2".to_owned());
    lines.push("exec /service".to_owned());
    lines.join("\n") + "\n"
}

fn file_name(module: &str) -> &str {
    module.rsplit('/').next().unwrap_or(module)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A cpio archive of the "newc" format (Linux, initramfs/buffer-format).
///
/// Not compressed: unpacking costs an emulated processor more than reading. Carries no owner and no time,
/// so the same files make the same archive.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // inode, mode, uid, gid, links, time, size, device of the file (2), device number (2), name, check
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    /// Names and contents end on a boundary of four bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }
}

/// The package that depends on the newest cloud kernel.
const KERNEL: &str = "linux-image-cloud-amd64";
/// The package with the shell.
const BUSYBOX: &str = "busybox-static";
/// Written last, so that a set of files that was interrupted is fetched again.
const COMPLETE: &str = "complete";

/// Where packages are unpacked.
const ROOT: &str = "root";

/// The shell with its commands, among unpacked packages.
fn busybox(root: &Path) -> Result<PathBuf> {
    let places = ["bin/busybox", "usr/bin/busybox"].map(|place| root.join(place));
    places.into_iter().find(|path| path.is_file()).context("Debian's busybox-static has no busybox")
}

/// A kernel module, by its path without an ending.
fn kernel_module(root: &Path, name: &str) -> Result<PathBuf> {
    let modules = ["lib/modules", "usr/lib/modules"].map(|place| root.join(place));
    let modules = modules.into_iter().find(|path| path.is_dir()).context("the kernel has no modules")?;
    let path = only_entry(&modules)?.join("kernel").join(format!("{name}.ko"));
    ensure!(path.is_file(), "Debian's cloud kernel has no module {name}.ko");
    Ok(path)
}

/// The compressed kernel.
fn kernel(root: &Path) -> Result<PathBuf> {
    let boot = root.join("boot");
    let is_kernel =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"));
    let mut paths = fs::read_dir(&boot).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.find(is_kernel).with_context(|| format!("no kernel in {}", boot.display()))
}

/// Fetches and unpacks Debian's packages, without installing them, unless they are in `directory` already.
///
/// Other systems have no such kernel, and the report says so.
fn fetch(directory: &Path) -> Result<()> {
    let root = directory.join(ROOT);
    if directory.join(COMPLETE).is_file() {
        return Ok(());
    }
    for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
        ensure!(is_installed(tool), "its kernel is a package of Debian, and there is no {tool} here");
    }
    note!("fetching Debian's cloud kernel and busybox (once, 28 MB)");
    let kernel = match newest_kernel()? {
        Some(kernel) => kernel,
        None => {
            // A fresh system has no lists yet.
            output(Command::new("apt-get").args(["update", "-qq"]), "updating package lists")?;
            newest_kernel()?.with_context(|| format!("apt knows no {KERNEL}"))?
        }
    };
    fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
    for package in [kernel.as_str(), BUSYBOX] {
        unpack(directory, package, &root).with_context(|| format!("cannot get {package}"))?;
    }
    fs::write(directory.join(COMPLETE), kernel).context("cannot write")
}

/// Name of the package that [`KERNEL`] stands for, if apt's lists know it.
fn newest_kernel() -> Result<Option<String>> {
    let mut cache = Command::new("apt-cache");
    let Ok(text) = output(cache.args(["depends", KERNEL]), "asking apt") else { return Ok(None) };
    let depends = |line: &str| line.trim().strip_prefix("Depends: ").map(str::to_owned);
    Ok(text.lines().filter_map(depends).find(|name| name.starts_with("linux-image-")))
}

fn unpack(directory: &Path, package: &str, root: &Path) -> Result<()> {
    let downloads = directory.join("packages").join(package);
    fs::create_dir_all(&downloads).with_context(|| format!("cannot create {}", downloads.display()))?;
    let mut get = Command::new("apt-get");
    get.current_dir(&downloads).args(["download", "-qq", package]);
    output(&mut get, "downloading it")?;
    let mut deb = Command::new("dpkg-deb");
    deb.arg("--extract").arg(only_entry(&downloads)?).arg(root);
    output(&mut deb, "unpacking it").map(drop)
}

/// The only entry of a directory, such as that of a kernel's modules, which is named by its version.
fn only_entry(directory: &Path) -> Result<PathBuf> {
    let unreadable = || format!("cannot list {}", directory.display());
    let mut entries = fs::read_dir(directory).with_context(unreadable)?;
    let entry = entries.next().with_context(|| format!("{} is empty", directory.display()))?;
    Ok(entry.with_context(unreadable)?.path())
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
    fn a_cpio_entry_is_a_110_byte_header_a_name_and_padded_content() {
        let mut archive = Archive::default();
        archive.entry("init", PROGRAM, (0, 0), b"hello");
        let text = String::from_utf8(archive.bytes.clone()).expect("ASCII");
        assert_eq!(&text[..14], "07070100000001");
        assert_eq!(&text[14..22], "000081ed", "a regular file that may be run");
        assert_eq!(&text[54..62], "00000005", "its size");
        assert_eq!(&text[110..], "init\0\0hello\0\0\0");
        let whole = archive.finish();
        assert!(whole.len().is_multiple_of(4) && whole.ends_with(b"TRAILER!!!\0\0\0\0"));
    }

    #[test]
    fn the_script_loads_the_modules_in_order_and_becomes_the_service() {
        let script = init(&["a/virtio_ring", "b/virtio_mmio"]);
        let expected = "#!/bin/sh\ninsmod /modules/virtio_ring.ko\n\
                        insmod /modules/virtio_mmio.ko\nip link set lo up\n";
        assert!(script.starts_with(expected), "{script}");
        assert!(script.ends_with("\nexec /service\n"), "{script}");
    }
}
