//! How a guest reaches its container's network: as QEMU's user network, which takes no rights, or in the container's
//! place, with its address and its card.

mod container;
mod redirect;

use std::fs::File;

use anyhow::{Result, bail};
use image_build::tool::capability::{self, NET_ADMIN};
use image_build::vm::machine::Network;

use crate::settings::NETWORK;
use container::Addresses;

/// Where tap interfaces are made.
const TUN: &str = "/dev/net/tun";
/// Name of the guest's interface in the container.
const TAP: &str = "guest0";

/// What the container's network gives to the guest.
#[derive(Debug)]
pub struct InPlace {
    addresses: Addresses,
}

impl InPlace {
    /// What the guest gets where the container lets it stand in its place; nothing where it gets a user network.
    ///
    /// # Errors
    /// When the choice is unknown, or what is asked for cannot be had.
    pub fn find(asked: Option<&str>) -> Result<Option<Self>> {
        let found = match asked {
            None | Some("auto") => try_in_place(),
            Some("container") => try_in_place().map_or_else(
                |obstacle| bail!("{NETWORK}=container cannot be used here: {obstacle}; give {NETWORK}=user"),
                |found| Ok(Ok(found)),
            )?,
            Some("user") => return Ok(None),
            Some(other) => bail!("{NETWORK}={other:?} cannot be used: give auto, container or user"),
        };
        Ok(found.ok())
    }

    /// The card of the guest.
    pub fn card(&self) -> Network {
        // A card can tell of no more.
        let mtu = self.addresses.mtu.try_into().unwrap_or(u16::MAX);
        Network::Tap { interface: TAP.to_owned(), mac: self.addresses.mac, mtu }
    }

    /// The guest's settings.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        self.addresses.settings()
    }

    /// Leads the container's frames to the guest as soon as QEMU has made its interface.
    pub fn connect_when_there(self) {
        std::thread::spawn(move || {
            if let Err(error) = redirect::between(&self.addresses.interface, TAP, self.addresses.mtu) {
                note!("error: the guest has no network: {error:#}; give {NETWORK}=user");
            }
        });
    }
}

fn try_in_place() -> Result<InPlace, String> {
    if !capability::has(NET_ADMIN) {
        return Err(format!("it takes {}", NET_ADMIN.name));
    }
    let opened = File::options().read(true).write(true).open(TUN);
    opened.map_err(|error| format!("{TUN} does not open ({error}): give the container this device"))?;
    let addresses = container::addresses().map_err(|error| format!("{error:#}"))?;
    Ok(InPlace { addresses })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_one_of_three() {
        assert!(InPlace::find(Some("user")).expect("known").is_none());
        let error = InPlace::find(Some("bridge")).expect_err("unknown").to_string();
        assert_eq!(error, "NETWORK=\"bridge\" cannot be used: give auto, container or user");
    }
}
