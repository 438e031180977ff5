//! The result service: live scores as a page, as server-sent events and as JSON.
//!
//! Does not count: it asks the store how long the two hashes are that the worker keeps. Names no
//! socket, clock or operating system.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod audience;
mod board;
mod hall;
mod scores;
mod tally;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use kernel_app::http::HttpServer;
use kernel_app::settings::SettingError;
use kernel_app::{
    ConnectionId, Context, Endpoints, Instant, Listener, Origin, Peer, Service, Settings, Target,
};

use board::Board;
use hall::Hall;

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
/// When `PORT`, `RESULTS_URL`, `REDIS_URL`, `OPTION_A` or `OPTION_B` cannot be used.
pub fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    Ok(vec![Box::new(ResultService::new(settings)?)])
}

/// HTTP on one side, one pipelined connection to the store on the other.
#[derive(Debug)]
pub struct ResultService {
    port: u16,
    store: Target,
    http: HttpServer,
    hall: Hall,
}

impl ResultService {
    /// A service that knows no scores yet.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        let option_a = settings.text("OPTION_A", "Cats", TEXT_BYTES_MAX)?;
        let option_b = settings.text("OPTION_B", "Dogs", TEXT_BYTES_MAX)?;
        Ok(Self {
            port: settings.port("PORT", PORT_DEFAULT)?,
            store: results_target(settings)?,
            http: HttpServer::new(BODY_BYTES_MAX),
            hall: Hall::new(Board::new(&option_a, &option_b)),
        })
    }
}

/// The results are where `RESULTS_URL` says, or beside the queue.
fn results_target(settings: &Settings) -> Result<Target, SettingError> {
    let name = if settings.get("RESULTS_URL").is_some() { "RESULTS_URL" } else { "REDIS_URL" };
    settings.target(name, STORE_DEFAULT, "redis", 6379, "resp")
}

impl Service for ResultService {
    fn name(&self) -> &'static str {
        "result"
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            listeners: vec![Listener { name: "http", port: self.port }],
            peers: vec![Peer { name: "store", target: self.store.clone() }],
        }
    }

    fn opened(&mut self, connection: ConnectionId, origin: Origin, context: &mut Context<'_>) {
        match origin {
            Origin::Accepted(_) => self.http.opened(connection, context),
            Origin::Peer(_) => self.hall.store_opened(connection, context),
        }
    }

    fn ready(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        if self.hall.is_store(connection) {
            self.hall.store_ready(&mut self.http, context);
        } else {
            self.http.ready(connection, &mut self.hall, context);
        }
    }

    fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        if self.hall.is_store(connection) {
            self.hall.store_closed(connection, &mut self.http, context);
        } else if let Some(exchange) = self.http.closed(connection) {
            self.hall.forget(exchange);
        }
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.http.turn(&mut self.hall, context);
        self.hall.turn(&mut self.http, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.http.next_deadline().into_iter().chain(self.hall.next_deadline()).min()
    }
}
