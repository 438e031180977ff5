//! A service that answers every request itself: HTTP, and nothing behind it.
//!
//! It only connects the server with the runtime. The [`Handler`] has the pages.

use super::{HEALTH_LISTENER, Handler, HttpServer, listeners};
use crate::connections::ConnectionId;
use crate::service::{Context, Endpoints, Origin, Service};
use crate::usage::Usage;
use wire::Instant;

/// The service around a [`Handler`] that answers at once.
#[derive(Debug)]
pub struct HttpService<H> {
    name: &'static str,
    port: u16,
    /// Of `/metrics`, where it is not for everybody who may see the pages.
    health_port: Option<u16>,
    http: HttpServer,
    handler: H,
}

impl<H: Handler> HttpService<H> {
    /// A service that listens on `port`, and takes request bodies of up to `body_bytes_max` bytes.
    pub fn new(name: &'static str, port: u16, body_bytes_max: usize, handler: H) -> Self {
        Self { name, port, health_port: None, http: HttpServer::new(body_bytes_max), handler }
    }

    /// The same with `/metrics` on a port of its own, beside `/healthz` and `/readyz`, which are on both.
    #[must_use]
    pub fn with_health_port(self, health_port: Option<u16>) -> Self {
        let is_apart = health_port.is_some();
        let http = if is_apart { self.http.with_health_listener(HEALTH_LISTENER) } else { self.http };
        Self { health_port, http, ..self }
    }
}

impl<H: Handler> Service for HttpService<H> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { listeners: listeners(self.port, self.health_port), ..Endpoints::default() }
    }

    fn opened(&mut self, connection: ConnectionId, _: Origin, context: &mut Context<'_>) {
        self.http.opened(connection, context);
    }

    fn ready(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        self.http.ready(connection, &mut self.handler, context);
    }

    fn closed(&mut self, connection: ConnectionId, _: &mut Context<'_>) {
        // The handler answers at once: no request waits for anything.
        self.http.closed(connection);
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.http.turn(&mut self.handler, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.http.next_deadline()
    }

    fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.http.report_usage(report);
    }
}
