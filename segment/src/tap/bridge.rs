//! The bridge and its interfaces, made by `ip`.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::layout::{GATEWAY, PREFIX_BITS};

const BRIDGE: &str = "application";

/// The interface of a station.
pub fn interface(station: usize) -> String {
    format!("station{station}")
}

/// Makes the bridge with the gateway on it, and an interface for each station.
pub fn make(stations: usize) -> Result<()> {
    ip("link set lo up")?;
    ip(&format!("link add {BRIDGE} type bridge forward_delay 0"))?;
    ip(&format!("address add {GATEWAY}/{PREFIX_BITS} dev {BRIDGE}"))?;
    ip(&format!("link set {BRIDGE} up"))?;
    // DHCP answers those that have no address yet.
    ip(&format!("route add 255.255.255.255 dev {BRIDGE}"))?;
    for station in 0..stations {
        let name = interface(station);
        ip(&format!("tuntap add dev {name} mode tap"))?;
        ip(&format!("link set {name} master {BRIDGE} up"))?;
    }
    Ok(())
}

fn ip(words: &str) -> Result<()> {
    let output =
        Command::new("ip").args(words.split(' ')).output().context("ip (iproute2) cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "`ip {words}` failed: {}", said.trim());
    Ok(())
}
