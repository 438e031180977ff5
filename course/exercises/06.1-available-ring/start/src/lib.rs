//! Exercise 06.1: the available ring.
//!
//! Write [`Driver::offer`] and [`Driver::kick`]. The driver has described its buffers already; here it passes their
//! numbers to the device. `offer` puts a number into the next slot of the ring. `kick` tells the device of all that was
//! offered since the last kick: it stores the index, and then rings the doorbell, unless the device has said that it
//! looks by itself.
//!
//! Judge it with `cargo course check 6.1`.
#![no_std]
#![forbid(unsafe_code)]

use core::sync::atomic::AtomicU16;

/// The used ring's flag: the device looks by itself, so the driver need not ring (virtio 1.2, section 2.7.10).
pub const NO_NOTIFY: u16 = 1;

/// The available ring (virtio 1.2, section 2.7.6). Only the driver writes it.
pub struct Available<const SIZE: usize> {
    pub flags: AtomicU16,
    /// How many buffers the device was told of.
    pub index: AtomicU16,
    /// Their numbers. `SIZE` is a power of two.
    pub ring: [AtomicU16; SIZE],
}

/// The driver's end of a queue.
pub struct Driver<'a, const SIZE: usize> {
    available: &'a Available<SIZE>,
    /// The flags of the used ring. Only the device writes them.
    used_flags: &'a AtomicU16,
    // What else must it remember?
}

impl<'a, const SIZE: usize> Driver<'a, SIZE> {
    /// A driver of a queue that nobody has used yet.
    pub fn new(available: &'a Available<SIZE>, used_flags: &'a AtomicU16) -> Self {
        Self { available, used_flags }
    }

    /// Puts a buffer's number into the next slot. The device is not told of it yet.
    pub fn offer(&mut self, descriptor: u16) {
        let _ = (descriptor, self.available);
    }

    /// Tells the device of what was offered since the last kick; `ring_doorbell` writes to its register.
    pub fn kick(&mut self, ring_doorbell: &mut impl FnMut()) {
        let _ = (ring_doorbell, self.used_flags);
    }
}
