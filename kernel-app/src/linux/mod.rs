//! A program as an ordinary Linux process: the kernel's sockets, clock and entropy.
//!
//! The same [`Runtime`](crate::runtime::Runtime) as on all substrates drives the services. This module provides what
//! the substrate has, and turns signals and errors into an exit status.

mod clock;
mod dial;
mod disk;
mod entropy;
mod intake;
mod logger;
mod network;
mod platform;
mod resolver;
mod signals;
mod socket;
mod transfer;

pub use clock::LinuxClock;
pub use dial::is_connected;
pub use entropy::LinuxEntropy;
pub use network::LinuxNetwork;
pub use platform::run;
