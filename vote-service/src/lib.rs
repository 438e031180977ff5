//! The vote service: it serves the voters' page, and queues votes in the store before it acknowledges them.
//!
//! The worker counts the votes. This service uses no socket, no clock and no operating system.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod copies;
mod epoch;
mod fullness;
mod gate;
mod pages;
mod rate;
mod rejection;
mod responder;
mod sender;
mod ticket_queue;
mod vote_handler;
mod vote_log;
mod voter;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use kernel_app::client::backend_service::BackendService;
use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};

use copies::Copies;
use gate::Gate;
use pages::Pages;
pub use vote_handler::VoteHandler;

/// Port of the voters' page unless `PORT` says otherwise.
pub const PORT_DEFAULT: u16 = 8080;
/// Longest `OPTION_A`, `OPTION_B` and `INSTANCE`.
pub const TEXT_BYTES_MAX: usize = 64;
/// Longest request body; a vote takes 6 bytes, or some 150 as multipart.
pub const BODY_BYTES_MAX: usize = 4 * 1024;

/// The program: one service.
///
/// # Errors
/// When a setting cannot be used.
pub fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    Ok(vec![Box::new(service(settings)?)])
}

/// HTTP on one side, one pipelined connection to the store on the other.
pub type VoteService = BackendService<VoteHandler>;

/// The service with its pages rendered.
///
/// # Errors
/// When a setting cannot be used.
pub fn service(settings: &Settings) -> Result<VoteService, SettingError> {
    let text = |name, default| settings.text(name, default, TEXT_BYTES_MAX);
    let pages =
        Pages::new(&text("OPTION_A", "Cats")?, &text("OPTION_B", "Dogs")?, &text("INSTANCE", "vote")?);
    let port = settings.port("PORT", PORT_DEFAULT)?;
    let health_port = settings.optional_port("HEALTH_PORT")?;
    let store = settings.store("REDIS_URL", "redis://store:6379")?;
    let (peer, gate) = (store.peer(), Gate::new(settings)?);
    let handler = VoteHandler::new(pages, gate, Copies::new(settings)?, store.login);
    Ok(BackendService::new(port, peer, BODY_BYTES_MAX, handler).with_health_port(health_port))
}
