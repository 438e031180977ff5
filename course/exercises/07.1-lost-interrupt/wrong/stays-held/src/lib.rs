//! Exercise 07.1: a queue that loses an interrupt.
//!
//! The event loop has found nothing to do and calls [`sleep`]. It must return when the device has used a buffer, and it
//! must halt the processor until then. The function below works nearly always: now and then a packet waits until the
//! next one comes. Mend it.
//!
//! When `sleep` is called, interrupts are let in, and the device is told not to interrupt. When it returns, both must
//! be so again. It may return too early, but it must not return without a halt while the ring is empty. Judge it with
//! `cargo course check 7.1`.
#![no_std]
#![forbid(unsafe_code)]

/// The processor and the queue's driver. The device goes on between any two of these steps.
pub trait Machine {
    /// `cli`: interrupts wait from now on.
    fn hold_interrupts(&mut self);
    /// `sti`: interrupts are taken from now on, those first that have waited.
    fn let_in_interrupts(&mut self);
    /// `hlt`: stops until an interrupt is taken.
    fn halt(&mut self);
    /// `sti` directly followed by `hlt`: the processor takes no interrupt between the two.
    fn let_in_and_halt(&mut self);
    /// Asks the device to interrupt when it uses the next buffer, or not to; the fence is included.
    fn want_interrupt(&mut self, wanted: bool);
    /// Whether the used ring has an entry that was not taken yet.
    fn has_used(&mut self) -> bool;
}

/// Sleeps until the device has used a buffer.
pub fn sleep(machine: &mut impl Machine) {
    machine.hold_interrupts();
    machine.want_interrupt(true);
    if !machine.has_used() {
        machine.let_in_and_halt();
    }
    machine.want_interrupt(false);
}
