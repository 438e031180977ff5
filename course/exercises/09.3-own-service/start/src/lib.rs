//! Exercise 9.3: a service of your own. Edit this file and `application.toml`.
//!
//! `visits` counts how often its page was asked for, and says so:
//!
//! ```text
//! GET /          visit 1 to the course        (then 2, 3, ...)
//! GET /metrics   ... visits_total 1
//! PORT           8080 unless it is set
//! PLACE          "the course" here; "this page" unless it is set; a text of at most 40 bytes
//! ```
//!
//! What follows is the frame: it listens, and answers every visit with the same words. Missing are: the page, the
//! setting, the metric, and two lines without which a client that says nothing stays for ever. `application.toml`
//! lacks a port that is published, 8090, the setting, and a health check that asks where the service listens.
#![no_std]
extern crate alloc;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use kernel_app::http::{Answer, Exchange, Handler, HttpServer, Method, Request, Response, Route};
use kernel_app::metrics::Exposition;
use kernel_app::settings::SettingError;
use kernel_app::{ConnectionId, Context, Endpoints, Instant, Listener, Origin, Service, Settings};

const PORT_DEFAULT: u16 = 8080;
/// Requests for the page have no bodies.
const BODY_BYTES_MAX: usize = 0;

/// Makes the program's one service.
///
/// # Errors
/// The setting that cannot be used.
pub fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    Ok(vec![Box::new(Visits::new(settings)?)])
}

/// The service: it passes what happens on to the HTTP server, which asks the page.
pub struct Visits {
    port: u16,
    http: HttpServer,
    page: Page,
}

/// What is served.
struct Page;

impl Visits {
    /// A service with these settings.
    ///
    /// # Errors
    /// The setting that cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        let port = settings.port("PORT", PORT_DEFAULT)?;
        Ok(Self { port, http: HttpServer::new(BODY_BYTES_MAX), page: Page })
    }
}

impl Handler for Page {
    fn routes(&self) -> &'static [Route] {
        &[Route { path: "/", methods: &[Method::Get] }]
    }

    fn handle(&mut self, _: &Request<'_>, _: Exchange, _: &mut Context<'_>) -> Answer<'_> {
        Answer::Now(Response::text(200, "a visit\n"))
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        Ok(())
    }

    fn metrics(&self, _: &mut Exposition) {}
}

impl Service for Visits {
    fn name(&self) -> &'static str {
        "visits"
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { listeners: vec![Listener { name: "http", port: self.port }], peers: Vec::new() }
    }

    fn opened(&mut self, id: ConnectionId, _: Origin, context: &mut Context<'_>) {
        self.http.opened(id, context);
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.http.ready(id, &mut self.page, context);
    }

    fn closed(&mut self, id: ConnectionId, _: &mut Context<'_>) {
        self.http.closed(id);
    }

    fn turn(&mut self, _: &mut Context<'_>) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}
