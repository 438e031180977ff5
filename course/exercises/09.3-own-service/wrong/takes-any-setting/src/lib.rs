//! Takes the setting as it is.
#![no_std]
extern crate alloc;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kernel_app::http::{Answer, Exchange, Handler, HttpServer, Method, Request, Response, Route};
use kernel_app::metrics::{Counter, Exposition};
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
struct Page {
    place: String,
    visits: Counter,
    /// The text of the last answer.
    text: String,
}

impl Visits {
    /// A service with these settings.
    ///
    /// # Errors
    /// The setting that cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        let port = settings.port("PORT", PORT_DEFAULT)?;
        let place = String::from(settings.get("PLACE").unwrap_or("this page"));
        let page = Page { place, visits: Counter::default(), text: String::new() };
        Ok(Self { port, http: HttpServer::new(BODY_BYTES_MAX), page })
    }
}

impl Handler for Page {
    fn routes(&self) -> &'static [Route] {
        &[Route { path: "/", methods: &[Method::Get] }]
    }

    fn handle(&mut self, _: &Request<'_>, _: Exchange, _: &mut Context<'_>) -> Answer<'_> {
        self.visits.increment();
        self.text = format!("visit {} to {}\n", self.visits.value(), self.place);
        Answer::Now(Response::text(200, &self.text))
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        Ok(())
    }

    fn metrics(&self, exposition: &mut Exposition) {
        exposition.counter("visits_total", "How often the page was asked for.", self.visits.value());
    }
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

    fn turn(&mut self, context: &mut Context<'_>) {
        self.http.turn(&mut self.page, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.http.next_deadline()
    }
}
