//! `/runner ready`: whether the guest of this container is ready, for engines that ask by a program in the container.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, bail};
use cluster::state::HealthAddress;
use cluster::state::access::Access;
use cluster::supervisor::probe::{ProbeResult, ask};
use image_build::oci::description::Description;

use crate::machine;
use crate::settings::Settings;

/// Where services say it.
const PATH: &str = "/readyz";
/// How long the answer may take: less than engines wait for the program.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the guest, by its port in the container.
///
/// # Errors
/// When it is not ready, with the reason. A guest in the container's place has its address, and is asked from outside.
pub fn check(description: &Description, settings: &Settings) -> Result<()> {
    let port = machine::health_port(&description.ports, settings)?;
    let address = Access::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    match ask(&HealthAddress { address, path: PATH.to_owned() }, TIMEOUT) {
        ProbeResult::Healthy => Ok(()),
        ProbeResult::Not(reason) | ProbeResult::None(reason) => {
            bail!("{} is not ready on port {port}: {reason}", description.name)
        }
    }
}
