//! A way to make smoltcp use initial sequence numbers and DNS ids of our choice.
//!
//! smoltcp draws them from a generator inside its interface, which cannot be set. But the generator of a new
//! interface starts from a seed that the caller gives. So each new connection gets a new interface. Its seed is
//! computed backwards from the wanted number, which is the second number that the generator draws. Then the interface
//! is dropped.

use smoltcp::iface::{Config, Interface};
use smoltcp::phy::{self, Device, DeviceCapabilities};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv4Cidr};

use super::device::capabilities;

/// smoltcp's generator: a state is the one before it times this, and (src/rand.rs, "sPCG32")
const MULTIPLIER: u64 = 0xbb2e_fcec_3c39_611d;
/// this on top.
const INCREMENT: u64 = 0x7590_ef39;
/// What undoes the product: their product is 1.
const INVERSE: u64 = inverse(MULTIPLIER);
/// How far a state with three zeros at its top is shifted to give its number.
const SHIFT: u32 = 29;

/// What an interface is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub hardware_address: [u8; 6],
    /// Largest packet, without Ethernet's header.
    pub mtu: usize,
}

impl Link {
    /// An interface that draws from this seed.
    #[inline]
    pub fn interface(self, seed: u64, now: Instant) -> Interface {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(self.hardware_address)));
        config.random_seed = seed;
        Interface::new(config, &mut Outline(self), now)
    }

    /// Lets an interface with this address do something for one connection, whose first sequence number is then
    /// `number`. It never moves: it is large.
    #[inline]
    pub fn with_interface<R>(
        self,
        address: Option<Ipv4Cidr>,
        number: u32,
        now: Instant,
        act: impl FnOnce(&mut Interface) -> R,
    ) -> R {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(self.hardware_address)));
        config.random_seed = seed_for(number);
        let mut interface = Interface::new(config, &mut Outline(self), now);
        interface.update_ip_addrs(|addresses| {
            // One address always fits an empty list.
            let _ = address.map(|cidr| addresses.push(IpCidr::Ipv4(cidr)));
        });
        act(&mut interface)
    }
}

/// The seed of an interface whose generator gives `number` after the one number that making the interface takes (its
/// first packet id, which must not be 0).
fn seed_for(number: u32) -> u64 {
    let state = u64::from(number) << SHIFT;
    (0..1 << SHIFT).map(|low| back(state | low)).find(|first| id_of(*first) != 0).map_or(state, back)
}

/// The state before this one.
fn back(state: u64) -> u64 {
    state.wrapping_sub(INCREMENT).wrapping_mul(INVERSE)
}

/// The packet id that a state gives.
fn id_of(state: u64) -> u16 {
    let number = (state >> (SHIFT as u64 - (state >> 61))) as u32;
    (number ^ (number >> 16)) as u16
}

/// By Newton's way: each step doubles the bits that are right, of which an odd number has three by itself.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_multiplier_has_its_inverse() {
        assert_eq!(MULTIPLIER.wrapping_mul(INVERSE), 1);
    }
}
