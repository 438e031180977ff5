//! Peers that mean harm: nothing they put on the wire may keep a service from serving others.
//!
//! What a request may look like is `conformance`'s business.

mod flood;
mod raw;
mod simulated;
mod sockets;
mod uptime;
