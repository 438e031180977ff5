//! What the tests of the whole application share: the host tool's commands, real clients, free ports;
//! and the simulation of the application under faults.
//!
//! Holds no test; those are in `tests/`. Ships nothing.
#![forbid(unsafe_code)]
#![cfg(not(target_os = "hermit"))]

pub mod application;
pub mod client;
pub mod command;
pub mod crash;
pub mod differential;
pub mod enclosure;
pub mod fuzzed;
pub mod http;
pub mod machine;
pub mod needs;
pub mod packages;
pub mod poll;
pub mod postgres;
pub mod programs;
pub mod redis;
pub mod running;
pub mod scenarios;
pub mod services;
pub mod simulation;
pub mod soak;
pub mod sockets;
pub mod terminal;
