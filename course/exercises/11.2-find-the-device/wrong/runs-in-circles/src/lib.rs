//! Exercise 11.2: find the device.
#![no_std]

/// Vendor in the lower half of register 0, device in the upper one: a virtio network card.
pub const VIRTIO_NET: u32 = 0x1041_1af4;
/// The register whose lowest byte says where the list of capabilities begins.
pub const CAPABILITIES: u8 = 0x34;
/// The first of six base address registers.
pub const BASE_ADDRESS: u8 = 0x10;

/// The number of a vendor's own capability, and the type of virtio's common configuration.
const VENDOR: u8 = 0x09;
const COMMON: u8 = 1;

/// Where the common configuration of the virtio network card lies, as a physical address; `None` when the function is
/// no such card, or has no common configuration. `word` reads the four registers at a number that 4 divides.
pub fn common_configuration(word: &dyn Fn(u8) -> u32) -> Option<u64> {
    if word(0) != VIRTIO_NET {
        return None;
    }
    let mut at = word(CAPABILITIES) as u8 & !3;
    while at >= 0x40 {
        let [number, next, _, kind] = word(at).to_le_bytes();
        if (number, kind) == (VENDOR, COMMON) {
            return base(word, word(at.wrapping_add(4)) as u8)?.checked_add(word(at.wrapping_add(8)).into());
        }
        at = next & !3;
    }
    None
}

/// What a base address register says, if it is one of memory.
fn base(word: &dyn Fn(u8) -> u32, number: u8) -> Option<u64> {
    let register = BASE_ADDRESS + 4 * Some(number).filter(|number| *number < 6)?;
    let low = word(register);
    let high = if low & 0b110 == 0b100 { word(register + 4) } else { 0 };
    (low & 1 == 0).then_some(u64::from(high) << 32 | u64::from(low & !0xf))
}
