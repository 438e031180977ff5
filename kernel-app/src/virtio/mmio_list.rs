//! Devices on MMIO as a VMM tells of them: Linux's `SIZE@ADDRESS:INTERRUPT`, with commas between them.
//!
//! Touches no machine. The loader gathers these words from the command line. Reference: Linux,
//! drivers/virtio/virtio_mmio.c.

use core::ops::Range;

/// Where registers can be: in mapped memory, of which the first page is none.
const MAPPED: Range<u64> = 4096..1 << 32;

/// A device's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioDevice {
    /// Where its registers begin.
    pub registers: usize,
    /// How many bytes they take.
    pub bytes: usize,
    /// The number of its interrupt among those of all I/O APICs.
    pub interrupt: u32,
}

/// The devices of a list. What is none, or cannot be reached, is left out.
pub fn listed(list: &str) -> impl Iterator<Item = MmioDevice> {
    list.as_bytes().split(|byte| *byte == b',').filter_map(device)
}

/// Read once, and seldom: for size, not speed.
#[cold]
fn device(text: &[u8]) -> Option<MmioDevice> {
    // Linux's own number for the device may follow.
    let mut parts = text.split(|byte| matches!(byte, b'@' | b':'));
    let mut next = || parts.next().and_then(number);
    let (bytes, registers, interrupt) = (next()?, next()?, next()?);
    let is_reachable = MAPPED.contains(&registers) && bytes <= MAPPED.end - registers;
    let is_aligned = registers % 4 == 0;
    (is_reachable && is_aligned).then_some(MmioDevice {
        registers: registers as usize,
        bytes: bytes as usize,
        interrupt: u32::try_from(interrupt).ok()?,
    })
}

/// A decimal or hexadecimal number, perhaps of a larger unit.
#[cold]
fn number(text: &[u8]) -> Option<u64> {
    let (text, unit) = match text {
        [text @ .., b'k' | b'K'] => (text, 1 << 10),
        [text @ .., b'm' | b'M'] => (text, 1 << 20),
        _ => (text, 1),
    };
    let (digits, radix) = match text {
        [b'0', b'x', digits @ ..] => (digits, 16),
        _ => (text, 10),
    };
    let append = |number: u64, digit: &u8| {
        let digit = char::from(*digit).to_digit(radix)?;
        number.checked_mul(radix.into())?.checked_add(digit.into())
    };
    let number = digits.iter().try_fold(0, append).filter(|_| !digits.is_empty());
    number?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn all(list: &str) -> Vec<(usize, usize, u32)> {
        listed(list).map(|device| (device.registers, device.bytes, device.interrupt)).collect()
    }

    #[test]
    fn lists_of_vmms_are_read() {
        assert_eq!(all("4K@0xc0001000:5,4K@0xc0002000:6"), [(0xc000_1000, 4096, 5), (0xc000_2000, 4096, 6)]);
        assert_eq!(all("512@0xfeb02e00:47"), [(0xfeb0_2e00, 512, 47)]);
        assert_eq!(all("0x200@8192:5:0,1M@0xfff00000:4294967295").len(), 2);
    }

    #[test]
    fn what_is_no_device_is_left_out() {
        for broken in ["", "4K", "4K@", "4K@0x1000", "4K@0x1000:", "K@0x1000:5", "4K@0xg:5", "4K@0x1000:-1"] {
            assert_eq!(all(broken), [], "{broken}");
        }
        assert_eq!(all(",4K@0xc0001000:5,,x,4K@0xc0002000:6").len(), 2);
    }

    #[test]
    fn what_cannot_be_reached_is_left_out() {
        for far in
            ["4K@0x100000000:5", "4K@0xfffff004:5", "4K@0:5", "4K@0x1001:5", "18446744073709551615K@4096:5"]
        {
            assert_eq!(all(far), [], "{far}");
        }
    }
}
