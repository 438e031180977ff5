//! Devices on MMIO as a VMM tells of them: Linux's `SIZE@ADDRESS:INTERRUPT`, with commas between them.
//!
//! Touches no machine. The loader gathers these words from the command line. Reference: Linux,
//! drivers/virtio/virtio_mmio.c.

use core::ops::Range;

/// Where registers can be: in mapped memory, of which the first page is none.
const MAPPED: Range<u64> = 4096..1 << 32;

/// A device's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Where its registers begin.
    pub registers: usize,
    /// How many bytes they take.
    pub bytes: usize,
    /// The number of its interrupt among those of all I/O APICs.
    pub interrupt: u32,
}

/// The devices of a list. What is none, or cannot be reached, is left out.
pub fn listed(list: &str) -> impl Iterator<Item = Device> {
    list.split(',').filter_map(device)
}

fn device(text: &str) -> Option<Device> {
    let (bytes, place) = text.split_once('@')?;
    // Linux's own number for the device may follow.
    let (registers, interrupt) = place.split_once(':')?;
    let interrupt = interrupt.split(':').next()?.parse().ok()?;
    let (bytes, registers) = (number(bytes)?, number(registers)?);
    let is_reachable = MAPPED.contains(&registers) && bytes <= MAPPED.end - registers;
    let is_aligned = registers % 4 == 0;
    (is_reachable && is_aligned).then_some(Device {
        registers: registers as usize,
        bytes: bytes as usize,
        interrupt,
    })
}

/// A decimal or hexadecimal number, perhaps of a larger unit.
fn number(text: &str) -> Option<u64> {
    let (digits, unit) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1 << 10),
        None => match text.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 1 << 20),
            None => (text, 1),
        },
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    number.ok()?.checked_mul(unit)
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
