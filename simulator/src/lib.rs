//! Services in the hands of tests: whole applications on a simulated wire under a virtual clock ([`Simulation`]),
//! or one service whose network, clock and dice are the test's ([`harness`]).
//!
//! For tests only: no image links it.
#![forbid(unsafe_code)]
#![cfg(not(target_os = "hermit"))]

pub mod captured_log;
pub mod client;
mod clock;
pub mod device;
pub mod disk;
pub mod harness;
pub mod memory_disk;
pub mod node;
mod simulation;
pub mod station;
#[cfg(test)]
mod tests;

pub use clock::{DRIFT_PPM_MAX, UNIX_TIME_START};
pub use ether::{Conditions, FrameCounts, random};
pub use node::{NodeError, NodeId};
pub use simulation::{Simulation, TimedOut};
