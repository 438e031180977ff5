//! The vote service: the voters' page, and votes queued in the store before they are acknowledged.
//!
//! Does not count: the worker does. Names no socket, clock or operating system.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ballot;
mod booth;
mod pages;
mod rejection;
mod voter;

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

use booth::Booth;
use pages::Pages;

/// Port of the voters' page unless `PORT` says otherwise.
pub const PORT_DEFAULT: u16 = 8080;
/// Longest `OPTION_A`, `OPTION_B` and `INSTANCE`.
pub const TEXT_BYTES_MAX: usize = 64;
/// Longest request body; a vote takes 6 bytes, or some 150 as multipart.
pub const BODY_BYTES_MAX: usize = 4 * 1024;

/// The program: one service.
///
/// # Errors
/// When `PORT`, `REDIS_URL`, `OPTION_A`, `OPTION_B` or `INSTANCE` cannot be used.
pub fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    Ok(vec![Box::new(VoteService::new(settings)?)])
}

/// HTTP on one side, one pipelined connection to the store on the other.
#[derive(Debug)]
pub struct VoteService {
    port: u16,
    store: Target,
    http: HttpServer,
    booth: Booth,
}

impl VoteService {
    /// A service with its pages rendered.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        let text = |name, default| settings.text(name, default, TEXT_BYTES_MAX);
        let pages =
            Pages::new(&text("OPTION_A", "Cats")?, &text("OPTION_B", "Dogs")?, &text("INSTANCE", "vote")?);
        Ok(Self {
            port: settings.port("PORT", PORT_DEFAULT)?,
            store: settings.target("REDIS_URL", "redis://store:6379", "redis", 6379, "resp")?,
            http: HttpServer::new(BODY_BYTES_MAX),
            booth: Booth::new(pages),
        })
    }
}

impl Service for VoteService {
    fn name(&self) -> &'static str {
        "vote"
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
            Origin::Peer(_) => self.booth.store_opened(connection, context),
        }
    }

    fn ready(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        if self.booth.is_store(connection) {
            self.booth.store_ready(&mut self.http, context);
        } else {
            self.http.ready(connection, &mut self.booth, context);
        }
    }

    fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        if self.booth.is_store(connection) {
            self.booth.store_closed(connection, &mut self.http, context);
        } else {
            // A vote that is still under way is counted all the same; its answer finds nobody.
            self.http.closed(connection);
        }
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.booth.turn(&mut self.http, context);
        self.http.turn(&mut self.booth, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.http.next_deadline().into_iter().chain(self.booth.next_deadline()).min()
    }
}
