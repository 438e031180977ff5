//! Exercise 06.1: the available ring.
#![no_std]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU16, Ordering, fence};

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
    /// How many buffers were offered.
    offered: u16,
    /// How many of them the device was told of.
    told: u16,
}

impl<'a, const SIZE: usize> Driver<'a, SIZE> {
    /// A driver of a queue that nobody has used yet.
    pub fn new(available: &'a Available<SIZE>, used_flags: &'a AtomicU16) -> Self {
        Self { available, used_flags, offered: 0, told: 0 }
    }

    /// Puts a buffer's number into the next slot. The device is not told of it yet.
    pub fn offer(&mut self, descriptor: u16) {
        let slot = usize::from(self.offered) % SIZE;
        self.available.ring[slot].store(descriptor, Ordering::Relaxed);
        self.offered = self.offered + 1;
    }

    /// Tells the device of what was offered since the last kick; `ring_doorbell` writes to its register.
    pub fn kick(&mut self, ring_doorbell: &mut impl FnMut()) {
        if self.told == self.offered {
            return;
        }
        self.told = self.offered;
        self.available.index.store(self.offered, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.used_flags.load(Ordering::Relaxed) & NO_NOTIFY == 0 {
            ring_doorbell();
        }
    }
}
