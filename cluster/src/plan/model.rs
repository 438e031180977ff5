//! A plan: the machines that will run, and how they are connected. A supervisor gets it as its input.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::application::Condition;
use crate::application::restart::Restart;
use image_build::image::Source;
use image_build::vm::disk_image::DiskImage;
use image_build::vm::machine::Platform;

/// Where guests find the host in QEMU's user network.
pub const HOST_SEEN_BY_GUESTS: &str = "10.0.2.2";

/// An application ready to be started. Two equal plans give the same running application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the application.
    pub application: String,
    /// What the machines run on.
    pub platform: Platform,
    /// The instances, each after those it depends on.
    pub instances: Vec<Instance>,
    /// The image of each source that is booted, by its name.
    pub images: BTreeMap<String, Image>,
    /// How they are connected.
    #[serde(default)]
    pub network: NetworkPlan,
}

/// A bootable file and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Path of the disk image on the host.
    pub path: PathBuf,
    /// Size of the disk in bytes.
    pub bytes: u64,
    /// The ELF file of its program, with symbols for debuggers.
    pub program: PathBuf,
}

/// One virtual machine to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Name of its service.
    pub service: String,
    /// Its own name, such as `vote-1`.
    pub name: String,
    /// Place among the instances of its service, from 0.
    pub index: u16,
    /// What the image that it boots is made of.
    pub source: Source,
    /// Its memory, in MiB.
    pub memory_mib: u32,
    /// Where its data are.
    pub data: Data,
    /// Its settings, with references to services still in them.
    pub environment: BTreeMap<String, String>,
    /// The networks it is on.
    #[serde(default)]
    pub networks: Vec<String>,
    /// All guest ports that the host can reach.
    pub ports: Vec<Port>,
    /// How its health is asked for.
    pub health: HealthCheck,
    /// Scheme and guest port of the address that is shown to people.
    pub endpoint: (String, u16),
    /// What has to be there before it starts.
    pub depends_on: BTreeMap<String, Condition>,
    /// Whether it is started again when it has failed.
    pub restart: Restart,
}

/// Where an instance has the data that it is to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Data {
    /// It keeps none.
    None,
    /// In its memory, with which they go.
    InMemory,
    /// On its disk.
    OnDisk(DiskImage),
}

/// A port of a guest and where the host gives access to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Port of the guest.
    pub guest: u16,
    /// Address of the host.
    pub address: IpAddr,
    /// Port of the host.
    pub host: HostPort,
}

/// Which port of the host is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostPort {
    /// Exactly this one; users know it.
    Exactly(u16),
    /// This one, which all instances of the service share.
    Shared(u16),
    /// Any free one; it is not shown to people.
    Any,
}

/// `GET path` on a port of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Port of the guest.
    pub port: u16,
    /// Path with its leading slash.
    pub path: String,
    /// Time from start to healthy, in seconds.
    pub timeout_s: u64,
}

/// How machines are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Net {
    /// QEMU's own network for each machine, joined through the host's loopback; needs no rights
    #[default]
    User,
    /// An Ethernet segment inside this tool, with the description's networks as rules; needs no rights
    Switch,
    /// The kernel's bridge in a network namespace of its own; for speed, needs root
    Tap,
}

/// The network of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// The kind of network: user, switch or tap.
    pub net: Net,
    /// The file that all frames are captured in.
    pub capture: Option<PathBuf>,
}

impl Instance {
    /// Whether people outside are meant to use one of its ports.
    pub fn is_published(&self) -> bool {
        self.ports.iter().any(|port| port.host != HostPort::Any)
    }
}
