//! The HTTP server that a service embeds: connections, timers, routing, health and metrics.
//!
//! `wire::http` parses, and the [`Handler`] contains the application logic. [`HttpService`] makes a service of it:
//!
//! ```
//! use std::borrow::Cow;
//! use kernel_app::http::{Answer, Exchange, Handler, HttpService, Method, Request, Response, Route};
//! use kernel_app::metrics::Exposition;
//! use kernel_app::{Connections, Context, Instant, Origin, Service};
//!
//! struct Greeter;
//!
//! impl Handler for Greeter {
//!     fn routes(&self) -> &'static [Route] {
//!         &[Route { path: "/", methods: &[Method::Get] }]
//!     }
//!
//!     fn handle(&mut self, _: &Request<'_>, _: Exchange, _: &mut Context<'_>) -> Answer<'_> {
//!         Answer::Now(Response::text(200, "hello\n"))
//!     }
//!
//!     fn readiness(&self) -> Result<(), Cow<'_, str>> {
//!         Ok(())
//!     }
//!
//!     fn metrics(&self, _: &mut Exposition) {}
//! }
//!
//! # struct Zeros;
//! # impl kernel_app::Entropy for Zeros {
//! #     fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) }
//! # }
//! # fn call<R>(connections: &mut Connections, act: impl FnOnce(&mut Context<'_>) -> R) -> R {
//! #     let (now, unix_time) = (Instant::ZERO, core::time::Duration::ZERO);
//! #     act(&mut Context { now, unix_time, entropy: &mut Zeros, connections, disk: None })
//! # }
//! let mut service = HttpService::new("greeter", 8080, 1024, Greeter);
//! let mut connections = Connections::new();
//! let id = connections.open(0, Origin::Accepted(0)).unwrap();
//! call(&mut connections, |context| service.opened(id, Origin::Accepted(0), context));
//! connections.get_mut(id).unwrap().input.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
//! call(&mut connections, |context| service.ready(id, context));
//! let sent = connections.get(id).unwrap().output.as_slice();
//! assert!(sent.starts_with(b"HTTP/1.1 200 OK\r\n") && sent.ends_with(b"\r\n\r\nhello\n"));
//! ```

mod builtin;
mod server;
mod service;
mod statistics;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::connections::{Connection, ConnectionId, Connections};
use crate::metrics::Exposition;
use crate::service::{Context, Listener};
pub use server::{HttpServer, REQUESTS_AT_ONCE_MAX};
pub use service::HttpService;
pub use wire::http::{Method, Page, Request, Response};

/// Index of the listener for health and metrics, where there is one.
pub(crate) const HEALTH_LISTENER: usize = 1;

/// The listeners of a service with pages on one port, and perhaps health and metrics on another one.
pub(crate) fn listeners(port: u16, health_port: Option<u16>) -> Vec<Listener> {
    let ports = [("http", Some(port)), ("health", health_port)];
    ports.into_iter().filter_map(|(name, port)| Some(Listener { name, port: port? })).collect()
}

/// Names one request of one connection, for a later answer. Dead once it is answered or its connection is
/// gone; a dead one is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exchange {
    connection: ConnectionId,
    serial: u32,
}

impl Exchange {
    /// The connection the request came on.
    pub fn connection(self) -> ConnectionId {
        self.connection
    }

    /// Whether who sent the request has ended the connection since, or only its half of it, which looks the same: an
    /// answer may still be read, but what the request asks for may long have been asked for elsewhere.
    pub fn is_abandoned(self, connections: &Connections) -> bool {
        connections.get(self.connection).is_none_or(Connection::has_peer_ended)
    }
}

/// What a handler says to a request.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// This, at once.
    Now(Response<'a>),
    /// [`HttpServer::respond`] will be called; until then the connection's next request waits.
    Later,
    /// 200 and a body of unknown length: [`HttpServer::push`] adds to it until [`HttpServer::finish`].
    Stream {
        /// Media type of the body.
        content_type: &'a str,
        /// More header lines, as in [`Response::headers`].
        headers: &'a [&'a str],
    },
}

/// A path and what may be done with it.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The whole path, as it stands in requests.
    pub path: &'static str,
    /// Methods the handler takes; `HEAD` comes with `GET`, and `OPTIONS` is answered by the server.
    pub methods: &'static [Method],
}

/// The application behind a server.
pub trait Handler {
    /// Every path that is served beside `/healthz`, `/readyz` and `/metrics`. Another path is answered 404,
    /// another method 405, before `handle` is called.
    fn routes(&self) -> &'static [Route];

    /// Answers a request for one of the routes. `HEAD` is to be answered as `GET`: the server leaves out the
    /// body.
    fn handle(&mut self, request: &Request<'_>, exchange: Exchange, context: &mut Context<'_>) -> Answer<'_>;

    /// Whether the service can do its work; if not, why (the body of `/readyz`'s 503).
    ///
    /// # Errors
    /// The reason, as a text for operators.
    fn readiness(&self) -> Result<(), Cow<'_, str>>;

    /// What operators should know of a service that can do its work: stands in the body of `/readyz`'s 200.
    fn remark(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// Writes the service's own metrics; the server adds those of HTTP and the process.
    fn metrics(&self, exposition: &mut Exposition);
}

/// Why bytes could not be added to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// The exchange has ended; forget it.
    Gone,
    /// The client reads too slowly: nothing was added. Push again later or leave it out.
    Full,
}
