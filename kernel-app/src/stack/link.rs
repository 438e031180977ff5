//! What an interface of smoltcp is made from.

use smoltcp::iface::{Config, Interface};
use smoltcp::phy::{self, Device, DeviceCapabilities};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress};

use super::device::capabilities;

/// The device's end of the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub hardware_address: [u8; 6],
    /// Largest packet, without Ethernet's header.
    pub mtu: usize,
}

impl Link {
    /// An interface whose generator starts from this seed. The numbers that it gives are known to who has seen three.
    pub fn interface(self, seed: u64, now: Instant) -> Interface {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(self.hardware_address)));
        config.random_seed = seed;
        Interface::new(config, &mut Outline(self), now)
    }
}

/// What is asked of a device when an interface is made; it neither sends nor receives.
struct Outline(Link);

impl Device for Outline {
    type RxToken<'a> = Never;
    type TxToken<'a> = Never;

    fn receive(&mut self, _: Instant) -> Option<(Never, Never)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Never> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.0.mtu)
    }
}

/// Never made.
enum Never {}

impl phy::RxToken for Never {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, _: F) -> R {
        match self {}
    }
}

impl phy::TxToken for Never {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}
