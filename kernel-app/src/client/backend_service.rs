//! A service with HTTP on one side, and one connection to a store, a database or another service on the other; vote and
//! result share it.
//!
//! It only connects the two sides. The [`Backend`] knows the questions and answers, and the [`Client`](super::Client)
//! knows how to talk to the server.

use alloc::vec;

use crate::connections::ConnectionId;
use crate::http::{self, Exchange, HEALTH_LISTENER, Handler, HttpServer};
use crate::network::Unreachable;
use crate::service::{Context, Endpoints, Origin, Peer, Service};
use crate::usage::Usage;
use wire::Instant;

/// What answers requests out of a store, a database or another service.
pub trait Backend: Handler {
    /// [`Service::name`].
    const NAME: &'static str;

    /// Whether this is the connection to the server behind it.
    fn is_backend(&self, id: ConnectionId) -> bool;

    /// The server was reached.
    fn backend_opened(&mut self, id: ConnectionId, context: &mut Context<'_>);

    /// The server could not be reached.
    fn backend_unreachable(&mut self, reason: Unreachable);

    /// The server has answered.
    fn backend_ready(&mut self, http: &mut HttpServer, context: &mut Context<'_>);

    /// The server is gone.
    fn backend_closed(&mut self, id: ConnectionId, http: &mut HttpServer, context: &mut Context<'_>);

    /// The connection of this request is gone; it may have been answered already.
    fn forget(&mut self, exchange: Exchange);

    /// [`Service::turn`], after that of the server.
    fn turn(&mut self, http: &mut HttpServer, context: &mut Context<'_>);

    /// When [`Backend::turn`] has something to do.
    fn next_deadline(&self) -> Option<Instant>;

    /// [`Service::report_usage`], beside those of the server.
    fn report_usage(&self, report: &mut dyn FnMut(Usage));
}

/// The service around a [`Backend`].
#[derive(Debug)]
pub struct BackendService<B> {
    port: u16,
    /// Of `/metrics`, where it is not for everybody who may see the page.
    health_port: Option<u16>,
    peer: Peer,
    http: HttpServer,
    backend: B,
}

impl<B: Backend> BackendService<B> {
    /// A service that listens on `port`, takes request bodies of up to `body_bytes_max` bytes, and stays
    /// connected to `peer`.
    pub fn new(port: u16, peer: Peer, body_bytes_max: usize, backend: B) -> Self {
        Self { port, health_port: None, peer, http: HttpServer::new(body_bytes_max), backend }
    }

    /// The same with `/metrics` on a port of its own, beside `/healthz` and `/readyz`, which are on both. For a page
    /// that strangers see: how many votes come and are refused is not their business.
    #[must_use]
    pub fn with_health_port(self, health_port: Option<u16>) -> Self {
        let http =
            if health_port.is_some() { self.http.with_health_listener(HEALTH_LISTENER) } else { self.http };
        Self { health_port, http, ..self }
    }
}

impl<B: Backend> Service for BackendService<B> {
    fn name(&self) -> &'static str {
        B::NAME
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { listeners: http::listeners(self.port, self.health_port), peers: vec![self.peer.clone()] }
    }

    fn opened(&mut self, connection: ConnectionId, origin: Origin, context: &mut Context<'_>) {
        match origin {
            Origin::Accepted(_) => self.http.opened(connection, context),
            Origin::Peer(_) => self.backend.backend_opened(connection, context),
        }
    }

    fn ready(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        if self.backend.is_backend(connection) {
            self.backend.backend_ready(&mut self.http, context);
        } else {
            self.http.ready(connection, &mut self.backend, context);
        }
    }

    fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        if self.backend.is_backend(connection) {
            self.backend.backend_closed(connection, &mut self.http, context);
        } else if let Some(exchange) = self.http.closed(connection) {
            self.backend.forget(exchange);
        }
    }

    fn unreachable(&mut self, _: usize, reason: Unreachable) {
        self.backend.backend_unreachable(reason);
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.http.turn(&mut self.backend, context);
        self.backend.turn(&mut self.http, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        Instant::earliest([self.http.next_deadline(), self.backend.next_deadline()])
    }

    fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.http.report_usage(report);
        self.backend.report_usage(report);
    }
}
