//! A service with HTTP on one side and one connection to the store on the other.
//!
//! Only the wiring, which vote and result share. What is asked for and what is answered is the
//! [`StoreUser`]'s business; how the store is talked to is `store_client`'s.

use alloc::vec;

use crate::connections::ConnectionId;
use crate::http::{Exchange, Handler, HttpServer};
use crate::network::Unreachable;
use crate::service::{Context, Endpoints, Listener, Origin, Peer, Service};
use crate::usage::Usage;
use wire::Instant;

/// Index of the listener for health and metrics.
const HEALTH: usize = 1;

/// What answers requests out of the store.
pub trait StoreUser: Handler {
    /// [`Service::name`].
    const NAME: &'static str;

    /// Whether this is the connection to the store.
    fn is_store(&self, id: ConnectionId) -> bool;

    /// The store was reached.
    fn store_opened(&mut self, id: ConnectionId, context: &mut Context<'_>);

    /// The store could not be reached.
    fn store_unreachable(&mut self, reason: Unreachable);

    /// The store has answered.
    fn store_ready(&mut self, http: &mut HttpServer, context: &mut Context<'_>);

    /// The store is gone.
    fn store_closed(&mut self, id: ConnectionId, http: &mut HttpServer, context: &mut Context<'_>);

    /// The connection of this request is gone; it may have been answered already.
    fn forget(&mut self, exchange: Exchange);

    /// [`Service::turn`], after that of the server.
    fn turn(&mut self, http: &mut HttpServer, context: &mut Context<'_>);

    /// When [`StoreUser::turn`] has something to do.
    fn next_deadline(&self) -> Option<Instant>;

    /// [`Service::usages`], beside those of the server.
    fn usages(&self, tell: &mut dyn FnMut(Usage));
}

/// The service around a [`StoreUser`].
#[derive(Debug)]
pub struct StoreBacked<U> {
    port: u16,
    /// Of `/metrics`, where it is not for everybody who may see the page.
    health_port: Option<u16>,
    store: Peer,
    http: HttpServer,
    user: U,
}

impl<U: StoreUser> StoreBacked<U> {
    /// A service that listens on `port`, takes request bodies of up to `body_bytes_max` bytes, and stays
    /// connected to `store`.
    pub fn new(port: u16, store: Peer, body_bytes_max: usize, user: U) -> Self {
        Self { port, health_port: None, store, http: HttpServer::new(body_bytes_max), user }
    }

    /// The same with `/metrics` on a port of its own, beside `/healthz` and `/readyz`, which are on both. For a page
    /// that strangers see: how many votes come and are refused is not their business.
    #[must_use]
    pub fn with_health_port(self, health_port: Option<u16>) -> Self {
        let http = if health_port.is_some() { self.http.with_health_listener(HEALTH) } else { self.http };
        Self { health_port, http, ..self }
    }
}

impl<U: StoreUser> Service for StoreBacked<U> {
    fn name(&self) -> &'static str {
        U::NAME
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            listeners: [("http", Some(self.port)), ("health", self.health_port)]
                .into_iter()
                .filter_map(|(name, port)| Some(Listener { name, port: port? }))
                .collect(),
            peers: vec![self.store.clone()],
        }
    }

    fn opened(&mut self, connection: ConnectionId, origin: Origin, context: &mut Context<'_>) {
        match origin {
            Origin::Accepted(_) => self.http.opened(connection, context),
            Origin::Peer(_) => self.user.store_opened(connection, context),
        }
    }

    fn ready(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        if self.user.is_store(connection) {
            self.user.store_ready(&mut self.http, context);
        } else {
            self.http.ready(connection, &mut self.user, context);
        }
    }

    fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        if self.user.is_store(connection) {
            self.user.store_closed(connection, &mut self.http, context);
        } else if let Some(exchange) = self.http.closed(connection) {
            self.user.forget(exchange);
        }
    }

    fn unreachable(&mut self, _: usize, reason: Unreachable) {
        self.user.store_unreachable(reason);
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.http.turn(&mut self.user, context);
        self.user.turn(&mut self.http, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.http.next_deadline().into_iter().chain(self.user.next_deadline()).min()
    }

    fn usages(&self, tell: &mut dyn FnMut(Usage)) {
        self.http.usages(tell);
        self.user.usages(tell);
    }
}
