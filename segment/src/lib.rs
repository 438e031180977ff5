//! An application's own Ethernet segment: a switch between virtual machines inside the host tool, with DHCP,
//! DNS, published ports, captures, and faults on demand. It needs no rights.
//!
//! Everything but `host`, `tap` and the thread of `balancer` is sans-IO: frames, bytes and the time come in, frames and
//! bytes come out. It starts no machine and knows nothing of what the machines say to each other.
//!
//! [`balancer`] stands before published ports that several machines share, on any network.
//!
//! ```text
//!  machine ─── card ─── queue ─┐                        ┌─ relay ── published port ── the host's clients
//!  machine ─── card ─── queue ─┼─ switch ─── gateway ───┼─ relay ── unix socket ───── health checks
//!  machine ── stream ── queue ─┘   │                    └─ ARP, DHCP, DNS, echo
//!                              rules, faults, capture
//! ```
//!
//! Architecture invariant: what no rule allows does not pass, and no frame costs an allocation unless a
//! fault holds it back.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg(not(target_os = "hermit"))]

pub mod balancer;
pub mod capture;
pub mod fabric;
pub mod faults;
pub mod frame;
pub mod gateway;
pub mod host;
pub mod layout;
pub mod queue;
pub mod respond;
pub mod sample;
mod segment;
pub mod switch;
pub mod tap;
pub mod vhost_user;

pub use segment::Segment;
