//! The store: lists, hashes and strings in memory, for everything that speaks to Redis.
//!
//! Answers as Redis 7 does, byte for byte, on the commands it has (`command.rs` lists them). Data live as
//! long as the process or, where there is a disk, in a log that is committed before anybody is answered. No key
//! expires.
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
