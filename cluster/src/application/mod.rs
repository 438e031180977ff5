//! The description of an application: the services of one TOML file, as in compose.
//!
//! Text comes in, checked types come out. It reads no file, opens no port and knows no virtual machine.

mod check;
mod description;
mod locate;
mod read;
pub mod restart;
pub mod template;
#[cfg(test)]
mod tests;
mod values;
pub mod variable;

pub use description::{
    Application, Endpoint, FILE_BYTES_MAX, HEALTH_TIMEOUT_S_MAX, Health, NETWORK_DEFAULT, Network,
    REPLICAS_MAX, RESERVED_SETTINGS, SERVICES_MAX, Service, VALUE_BYTES_MAX, VOLUMES_MAX, Volume,
};
pub use read::ApplicationError;
pub use values::{Condition, DiskSize, Memory, PortMapping};
