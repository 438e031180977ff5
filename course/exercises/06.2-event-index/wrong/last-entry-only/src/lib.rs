//! Exercise 06.2: the event index.
//!
//! With the feature VIRTIO_F_EVENT_IDX, the other side does not say "notify me" or "do not": it writes the number of
//! the ring's entry at which it wants to be notified. Say whether a notification is due (virtio 1.2, sections 2.7.7 and
//! 2.7.10). Nobody else is notified: each notification costs thousands of instructions.
//!
//! Judge it with `cargo course check 6.2`.
#![no_std]
#![forbid(unsafe_code)]

/// Whether this side must notify the other one. The index of this side's ring was `old` and is now `new`, so it has
/// written the entries `old`, `old + 1`, … to `new - 1`; numbers go on with 0 after 65,535. The other side waits for
/// the entry `event`.
pub fn must_notify(event: u16, old: u16, new: u16) -> bool {
    let _ = old;
    new == event.wrapping_add(1)
}
