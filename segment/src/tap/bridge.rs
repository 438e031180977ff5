//! The bridge and its interfaces, made by `ip`.
//!
//! Each interface has the hardware address of its guest: uhyve gives the guest that of the interface.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::layout::{GATEWAY, GATEWAY_HARDWARE, PREFIX_BITS, hardware_address};

const BRIDGE: &str = "application";

/// The interface of a station.
pub fn interface(station: usize) -> String {
    format!("station{station}")
}

/// Makes the bridge with the gateway on it, and an interface for each station.
pub fn make(stations: usize) -> Result<()> {
    ip("link set lo up")?;
    ip(&format!("link add {BRIDGE} type bridge forward_delay 0"))?;
    // Otherwise it would take that of an interface, which is a guest's.
    ip(&format!("link set {BRIDGE} address {}", text(GATEWAY_HARDWARE)))?;
    ip(&format!("address add {GATEWAY}/{PREFIX_BITS} dev {BRIDGE}"))?;
    ip(&format!("link set {BRIDGE} up"))?;
    // DHCP answers those that have no address yet.
    ip(&format!("route add 255.255.255.255 dev {BRIDGE}"))?;
    for station in 0..stations {
        let name = interface(station);
        let hardware = text(hardware_address(station));
        ip(&format!("tuntap add dev {name} mode tap"))?;
        ip(&format!("link set {name} address {hardware}"))?;
        ip(&format!("link set {name} master {BRIDGE} up"))?;
        // The bridge takes frames for an interface's own address itself; these are for the guest behind it.
        run("bridge", &format!("fdb del {hardware} dev {name} master"))?;
    }
    Ok(())
}

fn text([a, b, c, d, e, f]: [u8; 6]) -> String {
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

fn ip(words: &str) -> Result<()> {
    run("ip", words)
}

fn run(program: &str, words: &str) -> Result<()> {
    let output = Command::new(program).args(words.split(' ')).output();
    let output = output.with_context(|| format!("{program} (iproute2) cannot be started"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "`{program} {words}` failed: {}", said.trim());
    Ok(())
}
