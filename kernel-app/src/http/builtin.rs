//! Routing, and the answers that a server gives without its handler's `handle`.
//!
//! The server writes them.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::statistics::Statistics;
use super::{Answer, Exchange, Handler, Method, Request, Response, Route};
use crate::connections::HeapUsage;
use crate::metrics::{CONTENT_TYPE, Exposition};
use crate::service::{Context, Origin};
use crate::shutdown::{NOTICE, ShutdownPhase};
use wire::http::status::{STATUSES, position};

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "/metrics";
/// Announces the end, and drains half a second later: one request stops a machine, as a hook of an engine sends it.
const STOP: &str = "/stop";
/// Announces the end, and waits for a second request before it drains: for who stops several machines together.
const ANNOUNCE: &str = "/stop/announce";
/// The order to stop for who ends the machine at the answer, which comes when nothing is under way any more. It is a
/// GET, since hooks of engines send nothing else.
const DRAIN: &str = "/stop/drain";
/// What a request to stop without the right secret is told (RFC 6750 section 3).
const WANTS_TOKEN: &str = "WWW-Authenticate: Bearer\r\n";
/// Paths of every server.
const BUILTIN: [Route; 6] = [
    Route { path: "/healthz", methods: &[Method::Get] },
    Route { path: "/readyz", methods: &[Method::Get] },
    Route { path: METRICS, methods: &[Method::Get] },
    Route { path: STOP, methods: &[Method::Post] },
    Route { path: ANNOUNCE, methods: &[Method::Post] },
    Route { path: DRAIN, methods: &[Method::Get] },
];
/// What `OPTIONS *` says of the server as a whole.
const ANY: Route = Route { path: "*", methods: &[Method::Get, Method::Post] };

/// Which paths a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of them.
    All,
    /// The handler's, and health.
    Pages,
    /// Health, metrics and the order to stop.
    Health,
}

impl Scope {
    /// What a connection is for that came to be like this.
    pub fn of(origin: Origin, health_listener: Option<usize>) -> Self {
        match health_listener {
            None => Self::All,
            Some(index) if origin == Origin::Accepted(index) => Self::Health,
            Some(_) => Self::Pages,
        }
    }
}

/// An answer, and who it belongs to.
#[derive(Debug)]
pub(super) enum Outcome<'a> {
    /// The handler's.
    Handler(Answer<'a>),
    /// The server's own.
    Page { status: u16, content_type: &'static str, body: Cow<'a, str> },
    /// The server's own for a status, with this header line.
    WithLine { status: u16, line: Cow<'static, str> },
}

/// Passes a request to the handler of its path.
pub(super) fn answer<'a, H: Handler>(
    request: &Request<'_>,
    exchange: Exchange,
    handler: &'a mut H,
    (statistics, connections, scope): (&Statistics, usize, Scope),
    context: &mut Context<'_>,
) -> Outcome<'a> {
    let named = |route: &&Route| route.path == request.path;
    let own = handler.routes().iter().find(named).filter(|_| scope != Scope::Health);
    match own.or_else(|| BUILTIN.iter().chain([&ANY]).find(named)) {
        None => status_page(404),
        Some(Route { path: METRICS | STOP | ANNOUNCE | DRAIN, .. }) if scope == Scope::Pages => {
            status_page(404)
        }
        Some(Route { path: STOP | ANNOUNCE | DRAIN, .. })
            if own.is_none() && !context.connections.stop_token.is_set() =>
        {
            status_page(404)
        }
        Some(route) if !allows(route, request.method) => {
            let status = if request.method == Method::Options { 200 } else { 405 };
            Outcome::WithLine { status, line: allow_line(route).into() }
        }
        Some(_) if own.is_some() => Outcome::Handler(handler.handle(request, exchange, context)),
        Some(Route { path: STOP | ANNOUNCE | DRAIN, .. })
            if !context.connections.stop_token.allows(request.header_bytes("authorization")) =>
        {
            Outcome::WithLine { status: 401, line: WANTS_TOKEN.into() }
        }
        Some(Route { path: STOP, .. }) => stop(Some(NOTICE), context),
        Some(Route { path: ANNOUNCE, .. }) => stop(None, context),
        Some(Route { path: DRAIN, .. }) => drain(exchange, context),
        Some(Route { path: "/healthz", .. }) => page(200, "ok\n"),
        Some(Route { path: "/readyz", .. })
            if context.connections.shutdown_phase() != ShutdownPhase::Open =>
        {
            page(503, "stopping\n")
        }
        Some(Route { path: "/readyz", .. }) => readiness(handler),
        Some(_) => {
            let mut exposition = Exposition::default();
            statistics.write(connections, context.now, context.unix_time, &mut exposition);
            write_heap(context, &mut exposition);
            handler.metrics(&mut exposition);
            Outcome::Page { status: 200, content_type: CONTENT_TYPE, body: exposition.into_text().into() }
        }
    }
}

/// An order to stop, like those that the platform passes on.
fn stop(notice: Option<Duration>, context: &mut Context<'_>) -> Outcome<'static> {
    context.connections.shutdown.order(notice, context.now);
    page(202, "stopping\n")
}

/// The same, answered once [`drained`] has an answer.
fn drain(exchange: Exchange, context: &mut Context<'_>) -> Outcome<'static> {
    if let Some(response) = drained(context.connections.shutdown_phase()) {
        return Outcome::Handler(Answer::Now(response));
    }
    context.connections.shutdown.order_and_wait(context.now);
    if let Some(connection) = context.connections.get_mut(exchange.connection()) {
        connection.holds_drain = false;
    }
    Outcome::Handler(Answer::Later)
}

/// What those are told who wait until the node has drained, once there is something to tell.
pub(super) fn drained(phase: ShutdownPhase) -> Option<Response<'static>> {
    match phase {
        ShutdownPhase::Open | ShutdownPhase::Announced | ShutdownPhase::Draining => None,
        ShutdownPhase::Drained => Some(Response::text(200, "drained\n")),
        ShutdownPhase::Overdue => Some(Response::text(503, "the time to drain is over\n")),
    }
}

fn write_heap(context: &Context<'_>, exposition: &mut Exposition) {
    let Some(HeapUsage { used_bytes, free_bytes }) = context.connections.heap_usage() else { return };
    let signed = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    exposition.gauge("heap_used_bytes", "Memory that is given out.", signed(used_bytes));
    exposition.gauge("heap_free_bytes", "Memory that is not.", signed(free_bytes));
}

fn readiness<H: Handler>(handler: &H) -> Outcome<'_> {
    match handler.readiness() {
        Ok(()) => match handler.remark() {
            None => page(200, "ready\n"),
            Some(remark) => {
                Outcome::Page { status: 200, content_type: TEXT, body: format!("ready; {remark}\n").into() }
            }
        },
        Err(reason) => Outcome::Page { status: 503, content_type: TEXT, body: format!("{reason}\n").into() },
    }
}

fn page(status: u16, body: &'static str) -> Outcome<'static> {
    Outcome::Page { status, content_type: TEXT, body: body.into() }
}

fn status_page(status: u16) -> Outcome<'static> {
    page(status, STATUSES[position(status)].text)
}

/// The page of a status, with the reason phrase as its text.
pub(super) fn plain(status: u16) -> Response<'static> {
    Response::text(status, STATUSES[position(status)].text)
}

/// Whether the handler takes the method; `HEAD` comes with `GET`.
fn allows(route: &Route, method: Method) -> bool {
    let wanted = if method == Method::Head { Method::Get } else { method };
    route.methods.contains(&wanted) || route.methods.contains(&method)
}

/// The `Allow` line.
fn allow_line(route: &Route) -> String {
    let mut line = String::from("Allow: ");
    for method in route.methods {
        line.push_str(method.name());
        line.push_str(if *method == Method::Get { ", HEAD, " } else { ", " });
    }
    line + "OPTIONS\r\n"
}
