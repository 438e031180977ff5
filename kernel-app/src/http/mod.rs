//! The HTTP server that a service embeds: connections, timers, routing, health and metrics.
//!
//! Does not parse (`wire::http` does) and holds no application logic: that is the [`Handler`]'s.

use alloc::borrow::Cow;

use crate::connections::ConnectionId;
use crate::metrics::Exposition;
use crate::service::Context;
use wire::Instant;
pub use wire::http::{Method, Request, Response};

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
        /// More header lines.
        headers: &'a [(&'a str, &'a str)],
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
    fn handle(
        &mut self,
        request: &Request<'_>,
        exchange: Exchange,
        context: &mut Context<'_>,
    ) -> Answer<'_>;

    /// Whether the service can do its work; if not, why (the body of `/readyz`'s 503).
    ///
    /// # Errors
    /// The reason, as a text for operators.
    fn readiness(&self) -> Result<(), Cow<'_, str>>;

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

/// HTTP on the connections of a service; see the module.
#[derive(Debug, Default)]
pub struct HttpServer {}

impl HttpServer {
    /// A server that takes request bodies of at most `body_bytes_max` bytes.
    pub fn new(body_bytes_max: usize) -> Self {
        let _ = body_bytes_max;
        Self {}
    }

    /// Takes a connection on.
    pub fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let _ = (id, context);
    }

    /// Works through a connection's input. Ignores connections that were not `opened` here.
    pub fn ready<H: Handler>(&mut self, id: ConnectionId, handler: &mut H, context: &mut Context<'_>) {
        let _ = (id, handler, context);
    }

    /// Forgets a connection and names the exchange that was to be answered later or streamed, if any.
    pub fn closed(&mut self, id: ConnectionId) -> Option<Exchange> {
        let _ = id;
        None
    }

    /// Acts on deadlines and goes on with connections that have more to do. Call it in `Service::turn`.
    pub fn turn<H: Handler>(&mut self, handler: &mut H, context: &mut Context<'_>) {
        let _ = (handler, context);
    }

    /// When `turn` must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Answers an exchange whose handler said [`Answer::Later`]; does nothing when it is gone.
    pub fn respond(&mut self, exchange: Exchange, response: &Response<'_>, context: &mut Context<'_>) {
        let _ = (exchange, response, context);
    }

    /// Adds to a stream: all of `bytes`, or nothing.
    ///
    /// # Errors
    /// When the exchange is gone, or the output is full.
    pub fn push(
        &mut self,
        exchange: Exchange,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), PushError> {
        let _ = (exchange, bytes, context);
        Err(PushError::Gone)
    }

    /// Ends a stream's body.
    pub fn finish(&mut self, exchange: Exchange, context: &mut Context<'_>) {
        let _ = (exchange, context);
    }
}
