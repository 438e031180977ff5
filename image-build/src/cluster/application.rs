//! The description of an application: the services of one TOML file, as compose has them.
//!
//! Pure text in, checked types out. It reads no file, looks at no port and knows no virtual machine.

mod check;
mod locate;
mod values;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

pub use values::{Condition, DiskSize, Memory, PortMapping};

use super::restart::Restart;
use locate::Locator;

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

/// Settings that are worked out for each instance and therefore cannot be given in the file.
pub const RESERVED_SETTINGS: [&str; 3] = ["INSTANCE", "IP", "GATEWAY"];

/// A whole application.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its name, for people.
    pub name: String,
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
    /// The package whose image boots.
    pub image: String,
    /// Memory of each instance.
    pub memory: Memory,
    /// How many instances run.
    #[serde(default = "one")]
    pub replicas: u16,
    /// Most instances that make sense: 1 for a service that keeps state of its own.
    #[serde(default = "replicas_max")]
    pub replicas_max: u16,
    /// Networks it joins.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Ports published on the host at fixed numbers.
    #[serde(default)]
    pub ports: Vec<PortMapping>,
    /// Ports of the guest that other services and the health check use; on the host they get any
    /// free port of the loopback address.
    #[serde(default)]
    pub expose: Vec<u16>,
    /// Settings; `{service:port}` in a value becomes the address of that service. An empty value is
    /// not passed on: it marks a setting that an option of the command line may fill.
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
    /// What people are told as its address.
    pub endpoint: Option<Endpoint>,
    /// The volume that it keeps its data on, if any; a machine has one disk.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Its line in the file: services that may start at the same time do so in this order.
    #[serde(skip)]
    pub line: usize,
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

/// The address people are told.
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

/// Something wrong in the description: where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationError {
    /// Name of the file.
    pub file: String,
    /// Line, from 1; absent when it concerns the file as a whole.
    pub line: Option<usize>,
    /// Dotted path of the key; empty at the top level.
    pub key: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl fmt::Display for ApplicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ApplicationError {}

impl Application {
    /// Reads and checks a description; `file` names it in errors, `images` are those that can be built.
    ///
    /// # Errors
    /// With file, line, key and remedy, for the first thing that is wrong.
    pub fn parse(file: &str, text: &str, images: &[&str]) -> Result<Self, ApplicationError> {
        let fail = |line, key, message| ApplicationError { file: file.to_owned(), line, key, message };
        if text.len() > FILE_BYTES_MAX {
            let message = format!("is {} bytes long: keep it under {FILE_BYTES_MAX}", text.len());
            return Err(fail(None, String::new(), message));
        }
        let locator = Locator::new(text);
        let mut application: Self = toml::from_str(text).map_err(|error| {
            let offset = error.span().map(|span| span.start);
            let key = offset.map(|offset| locator.key_at(offset)).unwrap_or_default();
            fail(offset.map(|offset| locator.line(offset)), key, one_line(error.message()))
        })?;
        application.check(images).map_err(|fault| {
            fail(locator.line_of(&fault.path), fault.path.join("."), fault.message.clone())
        })?;
        for (name, service) in &mut application.services {
            service.line = locator.line_of(&["services".to_owned(), name.clone()]).unwrap_or(0);
        }
        Ok(application)
    }
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
