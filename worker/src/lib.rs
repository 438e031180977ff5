//! The worker: it moves votes from the queue to the results.
//!
//! Results are in the store, or in PostgreSQL. vote-service takes votes, and result-service shows results.
//! `queue_consumer` describes how no vote is lost and each is counted once.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod admin_handler;
mod epochs;
mod fetched_entries;
mod health;
mod jitter;
mod limits;
mod membership;
mod queue_consumer;
mod recorder;
mod stats;
mod transaction_batch;
mod worker;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};

pub use worker::Worker;

/// Where health and metrics are served.
const PORT_DEFAULT: u16 = 8082;

/// The program: one worker.
///
/// `REDIS_URL` says where the store is, `PORT` where health and metrics are served, and `INSTANCE`
/// names the processing list: it must stay the same after a restart and differ between workers.
///
/// # Errors
/// The setting that cannot be used.
pub fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    let port = settings.port("PORT", PORT_DEFAULT)?;
    Ok(vec![Box::new(Worker::from_settings(settings, port)?)])
}
