//! Network cards whose queues are in memory that a VMM shares with this process (vhost-user).
//!
//! The guest's driver and the switch then work on the same virtqueues. No frame passes through the VMM: it sets the
//! queues up by [messages](message), and carries interrupts where the kernel does not.
//!
//! ```text
//!  guest                        VMM                          this process
//!  driver ── kick ─────────────────────── eventfd ─────────▶ card ─▶ switch
//!    ▲ └──── virtqueues in the guest's memory ────────────────┘ │
//!    └────── interrupt ── KVM, or the VMM ◀── eventfd (call) ───┘
//! ```

mod card;
pub mod driver;
pub mod message;
#[cfg(test)]
mod tests;
pub mod virtqueue;

pub use card::{Card, CardError, Reaction};

/// Queues of a network card (virtio 1.2, section 5.1.2): what it receives, and what it transmits.
pub const QUEUES: usize = 2;
/// Number of the queue whose buffers the guest gives for frames that come.
pub const RECEIVE: usize = 0;
/// Number of the queue of the guest's own frames.
pub const TRANSMIT: usize = 1;
