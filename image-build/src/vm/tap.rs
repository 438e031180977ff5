//! A tap interface of this host for one guest, for VMMs that have no network of their own.
//!
//! The guest has the addresses that QEMU's user network would give it, and this host reaches it at its own. The
//! interface goes when this value is dropped; one that a killed process has left is removed by the next.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::tool::{capability, process};
use crate::vm::machine::Network;

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
pub struct Tap(());

impl Tap {
    /// Makes it.
    ///
    /// # Errors
    /// When another guest uses it, or this user may not make one.
    pub fn make() -> Result<Self> {
        if let Some(obstacle) = obstacle() {
            bail!("a network for this guest {obstacle}: use --vmm qemu, whose network needs no rights");
        }
        remove_left_over()?;
        ip(&format!("tuntap add dev {INTERFACE} mode tap"))?;
        let made = Self(());
        // What uhyve gives the guest.
        ip(&format!("link set {INTERFACE} up"))?;
        ip(&format!("address add {HOST}/24 dev {INTERFACE}"))?;
        Ok(made)
    }

    /// The card of the guest.
    pub fn card(&self) -> Network {
        Network::Tap { interface: INTERFACE.to_owned(), mac: MAC }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // The next run removes what stays.
        let _ = ip(&format!("link delete {INTERFACE}"));
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

fn remove_left_over() -> Result<()> {
    let folder = PathBuf::from("/sys/class/net").join(INTERFACE);
    if !folder.exists() {
        return Ok(());
    }
    let carrier = fs::read_to_string(folder.join("carrier")).unwrap_or_default();
    ensure!(carrier.trim() != "1", "another guest runs on the interface {INTERFACE}: end it first");
    ip(&format!("link delete {INTERFACE}"))
}

fn ip(words: &str) -> Result<()> {
    process::output(Command::new("ip").args(words.split(' ')), &format!("`ip {words}`"))
        .map(drop)
        .context("the guest's network cannot be made")
}
