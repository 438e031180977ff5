//! The connection of an application's machines: by QEMU's user network for each, or by a shared segment (`switch`) or
//! the kernel's bridge (`tap`), and by a balancer where instances share a port. This module starts them from a plan.
//!
//! The package `segment` implements the segment; `machine` makes QEMU's arguments.

mod outgoing;
mod own;
pub mod ports;
pub mod shared;

pub use own::{
    OwnNetwork, card, check, create, environment, folder, plugged_in, reserve_ports, start, tap_obstacle,
};
