//! The description of a virtual machine for any VMM: image, memory, network card, disks, serial line.
//!
//! The module of a VMM, such as `qemu`, turns it into a command line.

use std::env;
use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::vm::accelerator::Accelerator;
use crate::vm::command_line::CommandLine;
use crate::vm::vhost;
use crate::vm::vmm::Vmm;

/// Setting with the time at which the VMM is started, in microseconds since 1970; kernel-app's `timekeeper` reads it.
const STARTED_AT: &str = "STARTED_AT";
/// Least memory that a VMM is asked for: a program begins at 2 MiB, and the kernel and the least heap take as much. How
/// much more a program needs, the loader says.
pub const MEMORY_MIB_MIN: u32 = 4;
/// Most memory: the loader maps the first 4 GiB, and devices need the top of them.
pub const MEMORY_MIB_MAX: u32 = 2048;

/// The virtual hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Machine {
    /// A PC with PCI Express: virtio over PCI.
    #[default]
    Q35,
    /// The minimal machine: virtio over MMIO, no firmware to speak of.
    Microvm,
}

/// A TCP port of the host that leads to one of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where the host listens.
    pub host: SocketAddrV4,
    /// Port in the guest.
    pub guest_port: u16,
}

/// The largest packet of an Ethernet frame, in bytes. Of any other limit a guest has to be told.
pub const ETHERNET_MTU: u16 = 1500;

/// What the guest's network card is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// No card.
    None,
    /// QEMU's own network: no rights needed, the host is 10.0.2.2.
    User {
        /// Ports that the host listens on for the guest.
        forwards: Vec<Forward>,
        /// Whether the guest can connect to anything. One that cannot is still reached by its ports.
        outgoing: bool,
        /// Its addresses where 10.0.2.0/24 may be somebody's, such as `192.0.2.0/24`.
        range: Option<&'static str>,
    },
    /// A tap interface of the host that exists already.
    Tap {
        /// Name of the interface.
        interface: String,
        /// Hardware address of the guest's card.
        mac: [u8; 6],
        /// The largest packet that it carries, in bytes.
        mtu: u16,
    },
    /// A switch on this host, through a unix socket.
    Link {
        /// Path of the socket, at most 107 bytes long.
        socket: PathBuf,
        /// Hardware address of the guest's card.
        mac: [u8; 6],
        /// Whether the switch works on the card's queues itself, in the guest's memory, and the socket tells it where
        /// they are (vhost-user). Else frames follow each other on the socket, each after its length.
        shares_queues: bool,
    },
    /// Another program on this host, one frame in each UDP datagram.
    Datagrams {
        /// Where QEMU reads.
        own: SocketAddrV4,
        /// Where the other program reads.
        peer: SocketAddrV4,
    },
}

/// Where the guest's serial line goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serial {
    /// QEMU's own standard output.
    Stdout,
    /// A file, made anew.
    File(PathBuf),
    /// Nowhere.
    None,
}

/// What q35 runs before the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// microvm's, which leaves PCI to the kernel.
    #[default]
    Small,
    /// QEMU's usual one, for kernels that expect addresses in their PCI devices.
    Usual,
}

/// What a kernel other than Hermit is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherKernel {
    /// Its initial file system, or whatever else it takes in its place.
    pub initramfs: Option<PathBuf>,
    /// A raw image of its first disk. What is written to it goes with the machine.
    pub disk: Option<PathBuf>,
    /// Its command line.
    pub words: String,
    /// QEMU's name of its network card, with options; the machine's usual one without.
    pub card: Option<String>,
    /// What is run before it.
    pub firmware: Firmware,
}

/// Everything that decides how one guest is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Name of the guest in process lists.
    pub name: String,
    /// The program that makes the machine.
    pub vmm: Vmm,
    /// Where that program is.
    pub program: PathBuf,
    /// The bootable file; for uhyve, the program's ELF file.
    pub image: PathBuf,
    /// The virtual hardware.
    pub machine: Machine,
    /// What runs the guest's instructions.
    pub accelerator: Accelerator,
    /// Memory of the guest in MiB.
    pub memory_mib: u32,
    /// Environment and arguments of the program.
    pub command_line: CommandLine,
    /// For an image that is another kernel than Hermit: what it is started with in place of those.
    pub other_kernel: Option<OtherKernel>,
    /// The guest's network card.
    pub network: Network,
    /// Whether the host's kernel moves the packets of a tap interface in QEMU's place; see `vhost`.
    pub vhost: bool,
    /// The guest's serial line.
    pub serial: Serial,
    /// Raw disk images, given to the guest as virtio block devices in this order.
    pub disks: Vec<PathBuf>,
    /// Socket at which QEMU waits for a debugger; the machine runs as long as none has come.
    pub debugger: Option<PathBuf>,
    /// Whether QEMU filters its own system calls; see `accelerator::choose_sandbox`.
    pub sandbox: bool,
    /// Where files are that the VMM reads as it starts. Who starts it removes them afterwards.
    pub folder: PathBuf,
    /// Further arguments, for measuring (`-icount`, plugins).
    pub extra: Vec<OsString>,
}

impl Launch {
    /// A launch with a machine's defaults: QEMU, no network, no disk, serial line on standard output.
    pub fn new(name: &str, image: PathBuf, machine: Machine, accelerator: Accelerator) -> Self {
        Self {
            name: name.to_owned(),
            vmm: Vmm::Qemu,
            program: Vmm::Qemu.program().into(),
            image,
            machine,
            accelerator,
            memory_mib: 32,
            command_line: CommandLine::default(),
            other_kernel: None,
            network: Network::None,
            vhost: vhost::is_used_with(accelerator),
            serial: Serial::Stdout,
            disks: Vec::new(),
            debugger: None,
            sandbox: false,
            folder: env::temp_dir(),
            extra: Vec::new(),
        }
    }

    /// The guest's command line, with the time: a guest under TCG has no other way to learn it to less than a
    /// second. QEMU's real-time clock begins with a whole second whenever it is started.
    pub(super) fn command_line_now(&self) -> CommandLine {
        let mut line = self.command_line.clone();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        line.environment.insert(STARTED_AT.to_owned(), now.as_micros().to_string());
        line
    }
}

/// A card's hardware address as people write it.
pub(super) fn hardware_address(mac: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = mac;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// What the machines run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The program that makes them.
    pub vmm: Vmm,
    /// Where that program is.
    pub program: PathBuf,
    /// The virtual hardware, where there is a choice.
    pub machine: Machine,
    /// What executes the guests' instructions.
    pub accelerator: Accelerator,
    /// Whether QEMU filters its own system calls.
    pub sandbox: bool,
    /// Whether a switch can work on the cards' queues; see `select`.
    #[serde(default)]
    pub shares_queues: bool,
}

impl Platform {
    /// The name for people: emulated times must never be mistaken for times on real hardware.
    pub fn label(&self) -> String {
        let machine = match (self.vmm, self.machine) {
            (Vmm::Qemu, Machine::Q35) => "q35",
            (Vmm::Qemu, Machine::Microvm) => "microvm",
            (vmm, _) => vmm.label(),
        };
        match self.accelerator {
            Accelerator::Kvm { .. } => format!("{machine}, KVM"),
            Accelerator::Tcg { .. } => format!("{machine}, emulated (TCG)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_named_after_what_makes_the_machine() {
        let platform = |vmm: Vmm, machine, accelerator| Platform {
            vmm,
            program: vmm.program().into(),
            machine,
            accelerator,
            sandbox: false,
            shares_queues: false,
        };
        let kvm = Accelerator::Kvm { mhz: 2000 };
        assert_eq!(platform(Vmm::Uhyve, Machine::Q35, kvm).label(), "uhyve, KVM");
        assert_eq!(platform(Vmm::Qemu, Machine::Microvm, kvm).label(), "microvm, KVM");
        let tcg = Accelerator::Tcg { mhz: 2000 };
        assert_eq!(platform(Vmm::Qemu, Machine::Q35, tcg).label(), "q35, emulated (TCG)");
    }
}
