//! The virtual machine monitors that can run a guest, and what each of them lacks.
//!
//! This is the only place that says so: `refusal` compares a launch with it, and docs/vmms.md explains it.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The program that makes the virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vmm {
    /// QEMU: with KVM, or emulated.
    #[default]
    Qemu,
    /// Hermit's own: it loads the plain program, without loader and disk.
    Uhyve,
    /// A small one for KVM: virtio over MMIO.
    Firecracker,
    /// A small one for KVM: virtio over PCI.
    CloudHypervisor,
}

/// What not every VMM has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Disks.
    Disk,
    /// A network that needs no rights.
    UserNetwork,
    /// A card on a unix or UDP socket.
    SocketNetwork,
    /// Bytes that reach the guest's serial line.
    SerialInput,
    /// A debugger that comes and goes while the machine runs.
    Debugger,
    /// More than one kind of machine.
    MachineChoice,
    /// Guests without KVM.
    Emulation,
    /// A status that says how the guest ended.
    ExitStatus,
    /// Kernels other than Hermit, as it is started here.
    OtherKernel,
}

/// Why a feature is not there, and the way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Why.
    pub why: &'static str,
    /// What to do instead.
    pub instead: &'static str,
}

/// How a guest is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOrder {
    /// A byte on its serial line.
    SerialLine,
    /// A request with a secret on its health port.
    Request,
}

/// Which file a VMM starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// The bootable file with the loader, by PVH.
    Bootable,
    /// The program's ELF file.
    Program,
}

impl ImageKind {
    /// The one of a service's two files that is of this kind.
    pub fn choose<T>(self, bootable: T, program: T) -> T {
        match self {
            Self::Bootable => bootable,
            Self::Program => program,
        }
    }
}

/// The number of a release, most significant part first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [u32; 3]);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl Vmm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Qemu, Self::Uhyve, Self::Firecracker, Self::CloudHypervisor];

    /// Name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Qemu => "QEMU",
            Self::Uhyve => "uhyve",
            Self::Firecracker => "Firecracker",
            Self::CloudHypervisor => "cloud-hypervisor",
        }
    }

    /// Name of its executable.
    pub fn program(self) -> &'static str {
        match self {
            Self::Qemu => "qemu-system-x86_64",
            Self::Uhyve => "uhyve",
            Self::Firecracker => "firecracker",
            Self::CloudHypervisor => "cloud-hypervisor",
        }
    }

    /// The first version that is known to start our guests. QEMU's accelerators are tried instead.
    pub fn version_min(self) -> Option<Version> {
        match self {
            Self::Qemu => None,
            Self::Uhyve => Some(Version([0, 10, 0])),
            // The first one that starts kernels by PVH.
            Self::Firecracker => Some(Version([1, 12, 0])),
            Self::CloudHypervisor => Some(Version([54, 0, 0])),
        }
    }

    /// Which file it starts.
    pub fn image_kind(self) -> ImageKind {
        if self == Self::Uhyve { ImageKind::Program } else { ImageKind::Bootable }
    }

    /// How its guests are told to stop.
    pub fn stop_order(self) -> StopOrder {
        if self.lacks(Feature::SerialInput).is_none() { StopOrder::SerialLine } else { StopOrder::Request }
    }

    /// Whether it runs guests by KVM only.
    pub fn needs_kvm(self) -> bool {
        self.lacks(Feature::Emulation).is_some()
    }

    /// Whether it has everything that QEMU has here.
    fn is_whole(self) -> bool {
        self == Self::Qemu
    }

    /// Why it does not have a feature, if it has not.
    pub fn lacks(self, feature: Feature) -> Option<Lack> {
        if self.is_whole() {
            return None;
        }
        let lack = |why, instead| Some(Lack { why, instead });
        match (feature, self) {
            (Feature::Disk, Self::Uhyve) => lack("it has no block device", "leave the data in memory"),
            (Feature::Disk, _) => None,
            (Feature::UserNetwork, _) => lack("it has no network of its own", "use --net tap"),
            (Feature::SocketNetwork, _) => lack("its cards are tap interfaces", "use --net tap"),
            (Feature::SerialInput, Self::Uhyve) => lack("it passes no input on", "order by request"),
            (Feature::SerialInput, _) => lack("it takes input from terminals", "order by request"),
            (Feature::Debugger, Self::Uhyve) => {
                lack("its debugger has to come before the guest starts", "debug under QEMU")
            }
            (Feature::Debugger, _) => lack("its releases have no debugger", "debug under QEMU"),
            (Feature::MachineChoice, _) => lack("it has one machine only", "leave --machine out"),
            (Feature::Emulation, _) => lack("it needs KVM", "leave --accel out"),
            (Feature::ExitStatus, Self::Uhyve) => None,
            (Feature::ExitStatus, _) => lack("its status says nothing of the guest", "read the log"),
            (Feature::OtherKernel, _) => lack("other kernels are started by QEMU only", "use QEMU"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_on_the_command_line_and_in_files() {
        for vmm in Vmm::ALL {
            let name = vmm.to_possible_value().expect("each can be chosen").get_name().to_owned();
            assert_eq!(serde_json::to_value(vmm).expect("a name"), serde_json::json!(name));
        }
        assert_eq!(serde_json::to_value(Vmm::CloudHypervisor).expect("a name"), "cloud-hypervisor");
        assert_eq!(Vmm::default(), Vmm::Qemu);
    }

    #[test]
    fn the_default_lacks_nothing_and_every_other_needs_kvm() {
        for vmm in Vmm::ALL {
            assert_eq!(vmm.lacks(Feature::Emulation).is_none(), vmm == Vmm::default(), "{vmm:?}");
            assert_eq!(vmm.stop_order() == StopOrder::SerialLine, vmm == Vmm::default(), "{vmm:?}");
        }
    }

    #[test]
    fn versions_are_compared_part_by_part() {
        assert!(Version([0, 10, 0]) > Version([0, 9, 9]) && Version([1, 12, 0]) < Version([1, 12, 1]));
        assert_eq!(Version([1, 2, 3]).to_string(), "1.2.3");
    }
}
