//! The types of a description: services, networks and volumes, and the limits of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::application::restart::Restart;
use crate::application::values::{Condition, DiskSize, Memory, PortMapping};
use image_build::image::Source;
use image_build::vm::vmm::Vmm;

/// Longest description that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 64 * 1024;
/// Most services of one application.
pub const SERVICES_MAX: usize = 32;
/// Longest value of a setting, in bytes; the guest accepts no longer one.
pub const VALUE_BYTES_MAX: usize = 1024;
/// Most volumes of one service.
pub const VOLUMES_MAX: usize = 1;
/// Most instances of one service.
pub const REPLICAS_MAX: u16 = 16;
/// Longest time a service may be given to become healthy, in seconds.
pub const HEALTH_TIMEOUT_S_MAX: u64 = 600;

/// The network of services that list none, as in compose.
pub const NETWORK_DEFAULT: &str = "default";

/// Settings that are worked out for each instance and therefore cannot be given in the file.
pub const RESERVED_SETTINGS: [&str; 4] = ["INSTANCE", "IP", "GATEWAY", "STOP_TOKEN"];

/// A whole application.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its name, for people.
    pub name: String,
    /// The program that makes its machines, unless the command line names another one.
    pub vmm: Option<Vmm>,
    /// The networks that services may join.
    #[serde(default)]
    pub networks: BTreeMap<String, Network>,
    /// The volumes that services may keep data on.
    #[serde(default)]
    pub volumes: BTreeMap<String, Volume>,
    /// The services by name.
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
}

/// One network. Services that share none cannot name each other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// What it is for, for people.
    #[serde(default)]
    pub description: String,
}

/// Data that outlive the machines when the user names a folder for them: a disk of each instance of the
/// one service that has the volume.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Size of a disk that is made.
    pub size: DiskSize,
    /// What is kept there, for people.
    #[serde(default)]
    pub description: String,
}

/// One service: an image, how many instances of it, and what they are given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The package of this workspace whose image boots, unless `build` says what to build.
    pub image: Option<String>,
    /// The folder of the cargo package whose program boots, relative to the file; it may lie outside of this workspace.
    pub build: Option<PathBuf>,
    /// Memory of each instance.
    pub memory: Memory,
    /// How many instances run.
    #[serde(default = "one")]
    pub replicas: u16,
    /// Most instances that make sense: 1 for a service that keeps state of its own.
    #[serde(default = "replicas_max")]
    pub replicas_max: u16,
    /// Networks it joins; [`NETWORK_DEFAULT`] if none is listed.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Ports published on the host at fixed numbers.
    #[serde(default)]
    pub ports: Vec<PortMapping>,
    /// Ports of the guest that other services and the health check use; on the host they get any
    /// free port of the loopback address.
    #[serde(default)]
    pub expose: Vec<u16>,
    /// Settings; `{service:port}` in a value becomes the address of that service, and `${NAME:-default}` the variable
    /// of whoever starts it. An empty value is not passed on: it marks a setting that an option of the command line
    /// may fill.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What has to be running or healthy first.
    #[serde(default)]
    pub depends_on: BTreeMap<String, Condition>,
    /// How its health is asked for.
    pub health: Health,
    /// Whether an instance that has failed is started again.
    #[serde(default)]
    pub restart: Restart,
    /// The address that is shown to people.
    pub endpoint: Option<Endpoint>,
    /// The volume that it keeps its data on, if any; a machine has one disk.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Its line in the file: services that may start at the same time do so in this order.
    #[serde(skip)]
    pub line: usize,
}

impl Application {
    /// Gives services that list no network the one that all of those share.
    pub(super) fn join_default_network(&mut self) {
        let network = || Network { description: "services that list no network".to_owned() };
        for service in self.services.values_mut().filter(|service| service.networks.is_empty()) {
            service.networks.push(NETWORK_DEFAULT.to_owned());
            self.networks.entry(NETWORK_DEFAULT.to_owned()).or_insert_with(network);
        }
    }

    /// Takes folders as relative to this one, which is the file's.
    pub fn locate_builds(&mut self, folder: &Path) {
        for build in self.services.values_mut().filter_map(|service| service.build.as_mut()) {
            *build = folder.join(&*build).components().collect();
        }
    }
}

impl Service {
    /// What its image is made of. A checked service has one of the two.
    pub fn source(&self) -> Source {
        match (&self.build, &self.image) {
            (Some(folder), _) => Source::Folder(folder.clone()),
            (None, image) => Source::Package(image.clone().unwrap_or_default()),
        }
    }
}

/// The health check of a service: `GET path` on `port` answers 200.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Port of the guest.
    pub port: u16,
    /// Path, with its leading slash.
    #[serde(default = "readyz")]
    pub path: String,
    /// How long after its start an instance may take to be healthy, in seconds.
    #[serde(default = "health_timeout")]
    pub timeout_s: u64,
}

/// The address that is shown to people.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Scheme of the URL.
    pub scheme: String,
    /// Port of the guest.
    pub port: u16,
}

fn one() -> u16 {
    1
}

fn replicas_max() -> u16 {
    REPLICAS_MAX
}

fn readyz() -> String {
    "/readyz".to_owned()
}

fn health_timeout() -> u64 {
    60
}
