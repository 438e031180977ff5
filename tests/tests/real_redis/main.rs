//! The application on a real redis-server instead of its own store: Linux processes, and guests once.
//!
//! What the servers answer command by command is compared in `differential.rs`.

mod failover;
mod faults;
mod servers;
mod trio;
mod voting;
