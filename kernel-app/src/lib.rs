//! The library that turns a [`Service`] into a Hermit unikernel, a Linux process or a simulated node.
//!
//! A service is a state machine over [`Connections`]: it uses no socket, no clock and no operating system. The
//! substrate moves bytes between its sockets and the connection table, and gives the time. Application logic is in
//! the services, not here.
//!
//! Begin with [`Service`], and with [`program!`] for its entry point; a service with pages is a [`http::Handler`]. The
//! guide `docs/your-own-service.md` makes two services, step by step.
#![no_std]

extern crate alloc;
#[cfg(target_os = "linux")]
extern crate std;

#[cfg(any(test, target_os = "hermit"))]
mod acpi;
pub mod assets;
pub mod client;
pub mod connections;
#[cfg(any(test, target_os = "hermit"))]
mod ctrl_alt_delete;
pub mod disk;
#[cfg(target_os = "hermit")]
pub mod hermit;
pub mod http;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod log_line;
#[cfg(all(test, target_os = "linux"))]
#[path = "hermit/memory.rs"]
mod memory;
pub mod metrics;
pub mod network;
pub mod pace;
pub mod program;
pub mod runtime;
pub mod secret;
pub mod service;
pub mod settings;
pub mod shutdown;
pub mod stack;
#[cfg(any(test, target_os = "hermit"))]
mod timekeeping;
pub mod usage;
#[cfg(any(test, target_os = "hermit"))]
mod virtio;

pub use connections::{ConnectionId, Connections};
pub use disk::Disk;
pub use service::{Context, Endpoints, Listener, Origin, Peer, Service, Target};
pub use settings::Settings;
pub use usage::Usage;
pub use wire::{Buffer, Entropy, Instant};
