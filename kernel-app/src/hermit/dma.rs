//! Memory that virtio devices read and write.
//!
//! It is static: the image is loaded where virtual and physical addresses are equal, and what is one piece for the
//! program is one piece for a device.

use core::cell::UnsafeCell;

/// Zeroed, page-aligned memory that lives as long as the machine.
#[repr(C, align(4096))]
pub struct DmaMemory<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

// SAFETY: each is handed to one driver, on the one processor.
unsafe impl<const BYTES: usize> Sync for DmaMemory<BYTES> {}

impl<const BYTES: usize> DmaMemory<BYTES> {
    /// For a static.
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; BYTES]))
    }

    /// Its first byte.
    pub fn start(&self) -> *mut u8 {
        self.0.get().cast()
    }
}
