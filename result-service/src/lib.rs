//! The result service: it shows live scores as a page, as server-sent events and as JSON.
//!
//! The worker counts the votes. This service only asks for the sizes of two hashes in the store, or for a count of
//! rows in PostgreSQL. It uses no socket, no clock and no operating system.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod chart;
mod history;
mod result_handler;
mod result_page;
mod score_poller;
mod scores;
mod source;
mod subscribers;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use kernel_app::client::backend_service::BackendService;
use kernel_app::client::{DatabaseClient, StoreClient};
use kernel_app::settings::{DatabaseAddress, SettingError, is_database};
use kernel_app::{Peer, Service, Settings};

pub use result_handler::ResultHandler;
use result_page::ResultPage;
use source::Source;

/// Port of the result page unless `PORT` says otherwise.
pub const PORT_DEFAULT: u16 = 8081;
/// Longest `OPTION_A` and `OPTION_B`.
pub const TEXT_BYTES_MAX: usize = 64;
/// Longest request body; nothing here wants one.
pub const BODY_BYTES_MAX: usize = 1024;

const STORE_DEFAULT: &str = "redis://store:6379";

/// The program: one service.
///
/// # Errors
/// When a setting cannot be used.
pub fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    Ok(vec![Box::new(service(settings)?)])
}

/// HTTP on one side, one pipelined connection to the store on the other.
pub type ResultService = BackendService<ResultHandler>;

/// A service that knows no scores yet.
///
/// # Errors
/// When a setting cannot be used.
pub fn service(settings: &Settings) -> Result<ResultService, SettingError> {
    let option_a = settings.text("OPTION_A", "Cats", TEXT_BYTES_MAX)?;
    let option_b = settings.text("OPTION_B", "Dogs", TEXT_BYTES_MAX)?;
    let port = settings.port("PORT", PORT_DEFAULT)?;
    let health_port = settings.optional_port("HEALTH_PORT")?;
    let (peer, source) = results(settings)?;
    let page = ResultPage::new(&option_a, &option_b);
    let page = if matches!(source, Source::Database(_)) { page.of_database() } else { page };
    let handler = ResultHandler::new(page, source);
    Ok(BackendService::new(port, peer, BODY_BYTES_MAX, handler).with_health_port(health_port))
}

/// The results are where `RESULTS_URL` says, or beside the queue.
fn results(settings: &Settings) -> Result<(Peer, Source), SettingError> {
    let url = settings.get("RESULTS_URL");
    if url.is_some_and(is_database) {
        let DatabaseAddress { peer, login } = settings.database("RESULTS_URL")?;
        return Ok((peer, Source::Database(DatabaseClient::new(login))));
    }
    let name = if url.is_some() { "RESULTS_URL" } else { "REDIS_URL" };
    let store = settings.store(name, STORE_DEFAULT)?;
    Ok((store.peer(), Source::Store(StoreClient::new(store.login))))
}
