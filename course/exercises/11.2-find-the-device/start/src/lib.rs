//! Exercise 11.2: find the device.
//!
//! The guest is given no map. It reads PCI's configuration space, 32 bits at a time, and finds out by itself what is
//! there and where. Fill in `common_configuration`: the judge asks it about the configuration spaces that were recorded
//! under QEMU, Firecracker, cloud-hypervisor and uhyve, and about some that are broken.
#![no_std]

/// Vendor in the lower half of register 0, device in the upper one: a virtio network card.
pub const VIRTIO_NET: u32 = 0x1041_1af4;
/// The register whose lowest byte says where the list of capabilities begins.
pub const CAPABILITIES: u8 = 0x34;
/// The first of six base address registers.
pub const BASE_ADDRESS: u8 = 0x10;

/// Where the common configuration of the virtio network card lies, as a physical address; `None` when the function is
/// no such card, or has no common configuration. `word` reads the four registers at a number that 4 divides.
pub fn common_configuration(word: &dyn Fn(u8) -> u32) -> Option<u64> {
    let _ = word(0);
    None
}
