//! Ctrl-Alt-Delete among the bytes of a PC's keyboard: how Firecracker and libvirt ask a machine without ACPI to stop.
//!
//! The bytes come in one of two sets: as keyboards send them, or as the controller translates them. Reference: IBM
//! PS/2 technical reference, keyboard scan codes, sets 1 and 2.

/// A key in set 2 and in set 1, when it is pressed.
const CONTROL: [u8; 2] = [0x14, 0x1d];
const ALT: [u8; 2] = [0x11, 0x38];
const DELETE: [u8; 2] = [0x71, 0x53];
/// What the byte for a key that the first keyboards had not stands behind.
const EXTENDED: u8 = 0xe0;

/// What has come so far.
#[derive(Clone, Copy, Default)]
pub struct CtrlAltDelete {
    /// How many of the three keys are down, in this order.
    pressed: u8,
    is_extended: bool,
}

impl CtrlAltDelete {
    /// Whether this byte completes it. Any key in between begins anew.
    pub fn take(&mut self, byte: u8) -> bool {
        if byte == EXTENDED {
            self.is_extended = true;
            return false;
        }
        let is_extended = core::mem::take(&mut self.is_extended);
        self.pressed = match self.pressed {
            _ if CONTROL.contains(&byte) => 1,
            1 if ALT.contains(&byte) => 2,
            2 if is_extended && DELETE.contains(&byte) => 3,
            _ => 0,
        };
        self.pressed == 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes of these it takes until it is complete.
    fn completes_after(bytes: &[u8]) -> Option<usize> {
        let mut keys = CtrlAltDelete::default();
        bytes.iter().position(|byte| keys.take(*byte)).map(|at| at + 1)
    }

    #[test]
    fn both_sets_are_understood() {
        assert_eq!(completes_after(&[0x14, 0x11, 0xe0, 0x71]), Some(4));
        assert_eq!(completes_after(&[0x1d, 0x38, 0xe0, 0x53]), Some(4));
        assert_eq!(completes_after(&[0x1e, 0x9e, 0x1d, 0x1d, 0x38, 0xe0, 0x53]), Some(7));
    }

    #[test]
    fn other_keys_are_not_taken_for_it() {
        for bytes in [
            &[0x14, 0x11, 0x71][..],
            &[0x11, 0x14, 0xe0, 0x71],
            &[0x14, 0xe0, 0x71],
            &[0x1d, 0x38, 0xb8, 0xe0, 0x53],
            &[0xe0, 0x71, 0x14, 0x11],
        ] {
            assert_eq!(completes_after(bytes), None, "{bytes:x?}");
        }
    }
}
