//! The node's network: a namespace of its own, with an address for the node. Nothing outside can be reached.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::Result;

use crate::places::does;

/// The node's address, which is that of the API and of the name server.
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// Where pods get their addresses from.
pub const PODS: &str = "10.98.0.0/24";
/// Where Services get theirs from.
pub const SERVICES: &str = "10.97.0.0/24";
/// The first of them is that of the API.
pub const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 97, 0, 1);
/// A bridge without ports: pods need bridges anyway, and a kubelet takes no loopback address.
const INTERFACE: &str = "node0";

/// Sets it up.
///
/// # Errors
/// When the kernel refuses.
pub fn set_up() -> Result<()> {
    let address = format!("{NODE}/24");
    let commands: [&[&str]; 4] = [
        &["link", "set", "lo", "up"],
        &["link", "add", INTERFACE, "type", "bridge"],
        &["address", "add", &address, "dev", INTERFACE],
        &["link", "set", INTERFACE, "up"],
    ];
    commands.iter().try_for_each(|arguments| does(Command::new("ip").args(*arguments)))
}

/// Gives the node one more address, such as that of a Service.
///
/// # Errors
/// When the kernel refuses.
pub fn add(address: Ipv4Addr) -> Result<()> {
    does(Command::new("ip").args(["address", "replace", &format!("{address}/32"), "dev", "lo"]))
}
