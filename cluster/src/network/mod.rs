//! How an application's machines are connected: each by QEMU's user network, or all of them by a segment of
//! their own (`switch`) or the kernel's bridge (`tap`), which this module starts from a plan.
//!
//! The segment itself is the package `segment`'s; QEMU's arguments are `machine`'s.

mod outgoing;
mod own;
pub mod ports;

pub use own::{
    OwnNetwork, card, check, create, environment, folder, plugged_in, reserve_ports, start, tap_obstacle,
};
