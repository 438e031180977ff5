//! Exercise 06.3: the fence.
//!
//! The driver passes buffer 7 to the device. The device is a thread on another processor. A processor keeps its stores
//! for a while before they arrive in the memory that both see; meanwhile it goes on, and other stores may overtake
//! them. The function below is right on a machine that does one thing after the other. Make it right on a real one:
//! choose each [`Ordering`], and add fences where they are needed.
//!
//! The device, when it finds nothing, says that it wants the doorbell, looks once more, and then rests until somebody
//! rings (virtio 1.2, section 2.7.13). Judge it with `cargo course check 6.3`.
#![no_std]
#![forbid(unsafe_code)]

pub use core::sync::atomic::Ordering;

/// The number of the buffer that is passed on.
pub const BUFFER: u16 = 7;
/// The used ring's flag: the device looks by itself, so the driver need not ring.
pub const NO_NOTIFY: u16 = 1;

/// The words that driver and device share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Slot 0 of the available ring.
    Slot,
    /// The index of the available ring: 0 before, 1 when the buffer is there.
    Index,
    /// The flags of the used ring, which the device writes.
    Flags,
}

/// The memory that both share, as one processor reaches it.
pub trait Memory {
    /// Writes a word: the store arrives now or later.
    fn store(&mut self, word: Word, value: u16, ordering: Ordering);
    /// Reads a word.
    fn load(&mut self, word: Word, ordering: Ordering) -> u16;
    /// What [`core::sync::atomic::fence`] does.
    fn fence(&mut self, ordering: Ordering);
    /// Writes to the doorbell's register, which wakes the device.
    fn ring(&mut self);
}

/// Passes the buffer on, and rings if the device wants that.
pub fn kick(memory: &mut impl Memory) {
    memory.store(Word::Slot, BUFFER, Ordering::Relaxed);
    memory.store(Word::Index, 1, Ordering::Relaxed);
    if memory.load(Word::Flags, Ordering::Relaxed) & NO_NOTIFY == 0 {
        memory.ring();
    }
}
