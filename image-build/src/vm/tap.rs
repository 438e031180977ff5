//! A tap interface of this host for one guest, for VMMs that have no network of their own.
//!
//! The guest has the addresses that QEMU's user network would give it, and this host reaches it at its own. The
//! interface goes when this value is dropped; one that a killed process has left is removed by the next.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::tool::{capability, process};
use crate::vm::machine::{ETHERNET_MTU, Network};

/// Name of the interface.
const INTERFACE: &str = "unikernel0";
/// Address of the guest with its network, as a setting.
pub const GUEST: &str = "10.0.2.15/24";
/// Address of this host, as the guest sees it.
pub const HOST: &str = "10.0.2.2";
/// Hardware address of the guest's card.
const MAC: [u8; 6] = [2, 0, 0, 0, 2, 15];

/// The interface, while it is there.
#[derive(Debug)]
pub struct Tap {
    name: String,
}

impl Tap {
    /// Makes it.
    ///
    /// # Errors
    /// When another guest uses it, or this user may not make one.
    pub fn make() -> Result<Self> {
        if let Some(obstacle) = obstacle() {
            bail!("a network for this guest {obstacle}: use --vmm qemu, whose network needs no rights");
        }
        Self::named(INTERFACE)
    }

    fn named(name: &str) -> Result<Self> {
        remove_left_over(name)?;
        ip(&format!("tuntap add dev {name} mode tap"))?;
        let made = Self { name: name.to_owned() };
        ip(&format!("link set {name} up"))?;
        ip(&format!("address add {HOST}/24 dev {name}"))?;
        Ok(made)
    }

    /// The card of the guest.
    pub fn card(&self) -> Network {
        Network::Tap { interface: self.name.clone(), mac: MAC, mtu: mtu(&self.name) }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // The next run removes what stays.
        let _ = ip(&format!("link delete {}", self.name));
    }
}

/// What keeps this user from making a tap interface, if anything does.
pub fn obstacle() -> Option<String> {
    if let Err(error) = fs::File::options().read(true).write(true).open("/dev/net/tun") {
        return Some(format!("cannot be made: /dev/net/tun does not open ({error})"));
    }
    if !capability::has(capability::NET_ADMIN) {
        return Some(format!("takes {} (root)", capability::NET_ADMIN.name));
    }
    (!process::is_installed("ip")).then(|| "takes the program ip, which is not installed".to_owned())
}

/// The largest packet that an interface of this process's network carries: Ethernet's where that is not told.
pub(super) fn mtu(interface: &str) -> u16 {
    let told = fs::read_to_string(PathBuf::from("/sys/class/net").join(interface).join("mtu"));
    let told = told.ok().and_then(|text| text.trim().parse().ok());
    told.unwrap_or(ETHERNET_MTU)
}

fn remove_left_over(name: &str) -> Result<()> {
    let folder = PathBuf::from("/sys/class/net").join(name);
    if !folder.exists() {
        return Ok(());
    }
    let carrier = fs::read_to_string(folder.join("carrier")).unwrap_or_default();
    ensure!(carrier.trim() != "1", "another guest runs on the interface {name}: end it first");
    ip(&format!("link delete {name}"))
}

pub(super) fn ip(words: &str) -> Result<()> {
    process::output(Command::new("ip").args(words.split(' ')), &format!("`ip {words}`"))
        .map(drop)
        .context("the guest's network cannot be made")
}

#[cfg(test)]
mod tests {
    use std::mem;

    use super::*;

    /// Interfaces take rights that not every machine gives.
    #[test]
    fn an_interface_goes_with_its_guest_and_a_left_one_is_replaced() {
        if let Some(obstacle) = obstacle() {
            let refusal = Tap::make().expect_err("no rights").to_string();
            assert!(refusal.contains(&obstacle) && refusal.contains("use --vmm qemu"), "{refusal}");
            note!("skipped: {obstacle}");
            return;
        }
        // Not the interface of a guest that runs.
        let name = format!("test{}", std::process::id());
        let is_there = || PathBuf::from("/sys/class/net").join(&name).exists();
        mem::forget(Tap::named(&name).expect("rights"));
        assert!(is_there(), "as a killed process leaves it");
        let tap = Tap::named(&name).expect("it is replaced");
        let card = |mtu| Network::Tap { interface: name.clone(), mac: MAC, mtu };
        assert_eq!(tap.card(), card(ETHERNET_MTU));
        ip(&format!("link set {name} mtu 1400")).expect("rights");
        assert_eq!(tap.card(), card(1_400));
        assert!(is_there());
        drop(tap);
        assert!(!is_there());
    }
}
