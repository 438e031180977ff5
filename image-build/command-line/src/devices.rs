//! Devices that the words `virtio_mmio.device=` tell of, as the text of one setting.
//!
//! Linux's form: drivers/virtio/virtio_mmio.c.

use alloc::string::String;
use core::fmt::Write;

/// Most devices that are told of: a VMM without PCI has interrupts for fewer.
pub const DEVICES_MAX: usize = 32;

/// Places of devices: for each its size, its address and its interrupt as decimal numbers, `SIZE@ADDRESS:INTERRUPT`,
/// with commas in between.
pub struct Devices {
    text: String,
    count: usize,
}

impl Devices {
    pub fn new() -> Self {
        Self { text: String::new(), count: 0 }
    }

    /// Notes one more, as Linux writes it; whether it is one, and there is room.
    pub fn add(&mut self, device: &str) -> bool {
        let Some((bytes, address, interrupt)) = read(device).filter(|_| self.count < DEVICES_MAX) else {
            return false;
        };
        let comma = if self.count == 0 { "" } else { "," };
        self.count += 1;
        // A text takes what is written.
        let _ = write!(self.text, "{comma}{bytes}@{address}:{interrupt}");
        true
    }

    /// Them all, if there is any.
    pub fn listed(&self) -> Option<&str> {
        (self.count > 0).then_some(&self.text)
    }
}

/// Size, address and interrupt. A number for Linux's own name of the device may follow.
fn read(device: &str) -> Option<(u64, u64, u32)> {
    let (bytes, place) = device.split_once('@')?;
    let mut numbers = place.split(':');
    let (bytes, address) = (with_unit(bytes)?, number(numbers.next()?)?);
    let interrupt = numbers.next()?.parse().ok()?;
    address.checked_add(bytes).filter(|_| bytes > 0 && address > 0)?;
    Some((bytes, address, interrupt))
}

/// A number of bytes, or of the unit behind it.
fn with_unit(text: &str) -> Option<u64> {
    let shift = match text.bytes().last()? {
        b'k' | b'K' => 10,
        b'm' | b'M' => 20,
        b'g' | b'G' => 30,
        _ => return number(text),
    };
    number(&text[..text.len() - 1])?.checked_mul(1 << shift)
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
