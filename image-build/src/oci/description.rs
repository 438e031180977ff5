//! What the runner in an image has to know of its unikernel: the file `/runner.json`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where it lies.
pub const PATH: &str = "/runner.json";
/// Where the program lies that reads it.
pub const RUNNER: &str = "/runner";
/// Where the image of the trial of KVM lies.
pub const PROBE: &str = "/unikernel/probe";
/// Where QEMU lies.
pub const QEMU: &str = "/usr/bin/qemu-system-x86_64";

/// Who runs it: an ordinary user without a home, as distributions and Kubernetes number it.
pub const NOBODY: u64 = 65534;

/// A unikernel in a runner image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Its name, such as `vote-service`.
    pub name: String,
    /// The bootable file.
    pub image: PathBuf,
    /// Memory that it gets unless `MEMORY_MIB` says otherwise.
    pub memory_mib: u32,
    /// Size of its disk, if it keeps data.
    pub disk_mib: Option<u32>,
    /// Ports that it listens on, each with the setting that moves it.
    pub ports: Vec<Port>,
}

/// A port of the guest, which is the container's port of the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// The setting that moves it.
    pub setting: String,
}
