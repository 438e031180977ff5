//! The store: lists, hashes and strings in memory, for programs that talk to Redis.
//!
//! It answers like Redis 7, byte for byte, for the commands that it has (`command.rs` lists them). Without a disk the
//! data lives as long as the process. With a disk it is also in a log, which is committed before any client is
//! answered. Keys do not expire.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod command;
pub mod engine;
pub mod failure;
mod health;
pub mod journal;
pub mod keyspace;
pub mod limits;
mod resp3;
mod service;
mod session;
#[cfg(test)]
mod tests;
mod timeout;
mod waiters;
mod watches;

use alloc::boxed::Box;
use alloc::vec::Vec;

use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};

pub use service::Store;

/// The program: one service.
///
/// # Errors
/// When `PORT`, `HEALTH_PORT` or `MAXMEMORY` cannot be used.
pub fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    Ok(Vec::from([Box::new(Store::new(settings)?) as Box<dyn Service>]))
}
