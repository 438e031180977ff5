//! The machine: Debian's kernel under QEMU, with this machine's files.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::script::ENTRY;
use crate::linux::debian::Packages;
use crate::linux::initramfs::{self, Archive};
use crate::tool::files::write_whole;
use crate::vm::accelerator::Accelerator;
use crate::vm::machine::{Launch, Machine, OtherKernel};
use crate::vm::qemu;

/// The file with the program's status, which the machine's second serial line writes.
pub(super) const STATUS: &str = "status";
const INITRAMFS: &str = "initramfs.cpio";
/// As much as QEMU is given at most: four services, their QEMUs, and what is written.
const MEMORY_MIB: u32 = 2048;

/// For counting, its time is that of its instructions, a nanosecond each, and this machine's only while it rests. So a
/// guest is left as often whatever else this machine does.
const COUNTED: [&str; 2] = ["-icount", "shift=0"];

/// What goes on in the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Programs run in the time of this machine.
    Use,
    /// What leaves a guest is counted.
    Count,
}

/// Modules in the order in which they depend on each other: the files, KVM, taps and bridges.
const MODULES: [&str; 20] = [
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "fs/netfs/netfs",
    "fs/fscache/fscache",
    "net/9p/9pnet",
    "net/9p/9pnet_virtio",
    "fs/9p/9p",
    "fs/overlayfs/overlay",
    "virt/lib/irqbypass",
    "arch/x86/kvm/kvm",
    "drivers/crypto/ccp/ccp",
    "arch/x86/kvm/kvm-amd",
    "drivers/net/tun",
    "net/llc/llc",
    "net/802/stp",
    "net/bridge/bridge",
    "drivers/net/veth",
];

/// However the first program ends, the machine goes off.
const INIT_BEGINS: &str = "#!/bin/sh\nset -e\ntrap '/bin/busybox poweroff -f' EXIT\n";

/// The first program, once the modules are there. It makes this machine's files its root, and runs the script that the
/// kernel's word `BED` names.
const INIT: &str = r#"
export PATH=/bin
/bin/busybox --install -s /bin
mkdir /host /layer /tree
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,ro,cache=loose host /host
mount -t tmpfs layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work tree /tree
cd /tree
for folder in proc sys dev; do mount --move /$folder $folder; done
mkdir -p dev/pts dev/shm
mount -t devpts pts dev/pts
mount -t tmpfs shm dev/shm
mount -t debugfs debug sys/kernel/debug
ip link set lo up
setsid -c chroot . /bin/sh "$BED" < dev/ttyS0 > dev/ttyS0 2>&1 && status=0 || status=$?
echo $status > dev/ttyS1
"#;

/// The command that starts it; its script is in `folder`.
pub(super) fn command(debian: &Packages, folder: &Path, purpose: Purpose) -> Result<Command> {
    let initramfs = folder.join(INITRAMFS);
    write_whole(&initramfs, &archive(debian)?)?;
    let mut launch = Launch::new("bed", debian.kernel()?, Machine::Q35, Accelerator::Tcg { mhz: 0 });
    launch.memory_mib = MEMORY_MIB;
    let entry = word(&folder.join(ENTRY))?;
    // Only what stops it is said, and its processor's faults are not mended: it holds nothing that is secret.
    let words = format!("console=ttyS0 quiet loglevel=0 panic=-1 mitigations=off BED={entry}");
    launch.other_kernel = Some(OtherKernel { initramfs: Some(initramfs), words, ..OtherKernel::default() });
    let files = "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap";
    let status = format!("file,id=status,path={}", qemu::option_value(&folder.join(STATUS))?);
    let mut extra = vec!["-virtfs", files, "-chardev", &status, "-serial", "chardev:status"];
    if purpose == Purpose::Count {
        extra.extend(COUNTED);
    }
    launch.extra = extra.into_iter().map(Into::into).collect();
    qemu::command(&launch)
}

fn archive(debian: &Packages) -> Result<Vec<u8>> {
    let mut archive = Archive::with_modules(debian, &MODULES)?;
    archive.folder("proc");
    archive.folder("sys");
    archive.program("init", [INIT_BEGINS, &initramfs::insert(&MODULES), INIT].concat().as_bytes());
    Ok(archive.finish())
}

/// A path as a word of the kernel's command line.
fn word(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    ensure!(
        !text.contains([' ', '"']),
        "the path {text:?} has a blank or a quote: Linux cannot be told of it"
    );
    Ok(text.to_owned())
}
