//! A network of this host for several guests of VMMs that have none of their own: a bridge, and a tap interface for
//! each guest.
//!
//! The host has the address that it has in QEMU's user network. The interfaces go when these values are dropped; what a
//! killed process has left is replaced by the next.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::tool::process;
use crate::vm::machine::{Network, hardware_address};
use crate::vm::tap::{self, ip};

/// Name of the bridge.
const NAME: &str = "unikernels0";
/// What the names of the guests' interfaces begin with.
const PREFIX: &str = "unikernel";
/// Hardware address of the bridge. Without, it would change with the guests that come and go.
const MAC: &str = "02:00:00:00:02:02";
/// Address of this host, as guests see it.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Last bytes of the guests' addresses, which also number their interfaces.
const NUMBER_MIN: u8 = 16;
const NUMBER_MAX: u8 = 254;

/// The bridge, while it is there.
#[derive(Debug)]
pub struct Bridge {
    name: String,
    prefix: String,
}

impl Bridge {
    /// Makes it.
    ///
    /// # Errors
    /// When guests of another process use it, or this user may not make one.
    pub fn make() -> Result<Self> {
        if let Some(obstacle) = tap::obstacle() {
            bail!("a network for guests {obstacle}");
        }
        Self::named(NAME, PREFIX)
    }

    fn named(name: &str, prefix: &str) -> Result<Self> {
        remove_left_over(name, prefix)?;
        ip(&format!("link add name {name} address {MAC} type bridge"))?;
        let made = Self { name: name.to_owned(), prefix: prefix.to_owned() };
        ip(&format!("address add {HOST}/24 dev {name}"))?;
        ip(&format!("link set {name} up"))?;
        Ok(made)
    }

    /// Makes the interface of one more guest.
    ///
    /// # Errors
    /// When there are too many.
    pub fn connect(&self) -> Result<Port> {
        let (bridge, prefix) = (&self.name, &self.prefix);
        let number = free_number(&interfaces()?, prefix);
        let number = number.with_context(|| format!("{bridge} has no address left for a guest"))?;
        let interface = format!("{prefix}{number}");
        ip(&format!("tuntap add dev {interface} mode tap"))?;
        let port = Port { interface, bridge: bridge.clone(), number };
        let mac = hardware_address(port.mac());
        // uhyve gives its guest the interface's own address, for which the bridge would take frames itself.
        ip(&format!("link set {} address {mac}", port.interface))?;
        ip(&format!("link set {} master {bridge} up", port.interface))?;
        let mut command = Command::new("bridge");
        command.args(["fdb", "del", &mac, "dev", &port.interface, "master"]);
        process::output(&mut command, "telling a bridge of its guest")?;
        // A guest that is just booting is not asked for its address, which could take a second.
        ip(&format!("neighbour replace {} lladdr {mac} dev {bridge} nud permanent", port.guest()))?;
        Ok(port)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // The next run removes what stays.
        let _ = ip(&format!("link delete {}", self.name));
    }
}

/// The interface of one guest, while it is there.
#[derive(Debug)]
pub struct Port {
    interface: String,
    bridge: String,
    number: u8,
}

impl Port {
    /// The guest's address.
    pub fn guest(&self) -> Ipv4Addr {
        let [a, b, c, _] = HOST.octets();
        Ipv4Addr::new(a, b, c, self.number)
    }

    /// What the guest has to be told of its network.
    pub fn settings(&self) -> [(&'static str, String); 2] {
        [("IP", format!("{}/24", self.guest())), ("GATEWAY", HOST.to_string())]
    }

    /// The card of the guest.
    pub fn card(&self) -> Network {
        Network::Tap { interface: self.interface.clone(), mac: self.mac(), mtu: tap::mtu(&self.interface) }
    }

    fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, 2, self.number]
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let _ = ip(&format!("neighbour delete {} dev {}", self.guest(), self.bridge));
        let _ = ip(&format!("link delete {}", self.interface));
    }
}

fn free_number(used: &[String], prefix: &str) -> Option<u8> {
    (NUMBER_MIN..=NUMBER_MAX).find(|number| !used.contains(&format!("{prefix}{number}")))
}

fn remove_left_over(bridge: &str, prefix: &str) -> Result<()> {
    let there = interfaces()?;
    if !there.iter().any(|name| name == bridge) {
        return Ok(());
    }
    let mut command = Command::new("ip");
    command.args(["-o", "link", "show", "master", bridge]);
    let ports = process::output(&mut command, &format!("asking for the interfaces of {bridge}"))?;
    ensure!(!ports.contains("LOWER_UP"), "other guests run on the bridge {bridge}: end them first");
    let numbered = (NUMBER_MIN..=NUMBER_MAX).map(|number| format!("{prefix}{number}"));
    let mut left = numbered.filter(|name| there.contains(name));
    left.try_for_each(|name| ip(&format!("link delete {name}")))?;
    ip(&format!("link delete {bridge}"))
}

/// Names of all interfaces of this process's network.
fn interfaces() -> Result<Vec<String>> {
    let path = "/proc/self/net/dev";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(names(&text))
}

fn names(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::mem;

    use super::*;

    #[test]
    fn a_guest_gets_the_first_address_that_no_other_has() {
        let text = "Inter-|   Receive\n face |bytes\n    lo: 1 2\nunikernel16: 3 4\nunikernel18: 0 0\n";
        let used = names(text);
        assert_eq!(used, ["lo", "unikernel16", "unikernel18"]);
        assert_eq!(free_number(&used, PREFIX), Some(17));
        let all: Vec<String> = (NUMBER_MIN..=NUMBER_MAX).map(|number| format!("{PREFIX}{number}")).collect();
        assert_eq!(free_number(&all, PREFIX), None);
    }

    /// Interfaces take rights that not every machine gives.
    #[test]
    fn guests_have_interfaces_of_their_own_which_go_with_them_and_left_ones_are_replaced() {
        if let Some(obstacle) = tap::obstacle() {
            assert!(Bridge::make().expect_err("no rights").to_string().contains(&obstacle));
            note!("skipped: {obstacle}");
            return;
        }
        // Not the interfaces of guests that run.
        let prefix = format!("t{}n", std::process::id());
        let name = format!("{prefix}0");
        let own = || {
            let all = interfaces().expect("readable");
            all.iter().filter(|name| name.starts_with(&prefix)).count()
        };
        let left = Bridge::named(&name, &prefix).expect("rights");
        mem::forget(left.connect().expect("an interface"));
        mem::forget(left);
        assert_eq!(own(), 2, "as a killed process leaves them");
        let bridge = Bridge::named(&name, &prefix).expect("they are replaced");
        let (one, other) = (bridge.connect().expect("room"), bridge.connect().expect("room"));
        assert_eq!(one.guest().to_string(), "10.0.2.16");
        assert_eq!(other.settings(), [("IP", "10.0.2.17/24".to_owned()), ("GATEWAY", tap::HOST.to_owned())]);
        let card = Network::Tap { interface: format!("{prefix}17"), mac: [2, 0, 0, 0, 2, 17], mtu: 1_500 };
        assert_eq!((other.card(), own()), (card, 3));
        drop(one);
        let again = bridge.connect().expect("room");
        assert_eq!(again.guest().to_string(), "10.0.2.16", "it is free again");
        drop((again, other, bridge));
        assert_eq!(own(), 0);
    }
}
