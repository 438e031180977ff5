//! The store as a service: RESP on one port, health and metrics over HTTP on another.
//!
//! The engine and the HTTP server do the work.

use alloc::string::String;
use alloc::vec::Vec;

use kernel_app::http::HttpServer;
use kernel_app::settings::SettingError;
use kernel_app::shutdown::ShutdownPhase;
use kernel_app::{ConnectionId, Context, Endpoints, Instant, Listener, Origin, Service, Settings, Usage};

use crate::engine::Engine;
use crate::limits::{HTTP_BODY_BYTES_MAX, MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MIN};

const PORT_DEFAULT: u16 = 6379;
const HEALTH_PORT_DEFAULT: u16 = 8083;

/// Characters of a wrong value that an error shows.
const VALUE_CHARS_MAX: usize = 80;

/// Position of the RESP listener among the endpoints.
const RESP: usize = 0;
/// Position of the HTTP listener.
const HTTP: usize = 1;

/// The service `store`.
#[derive(Debug)]
pub struct Store {
    engine: Engine,
    http: HttpServer,
    resp_port: u16,
    health_port: u16,
}

impl Store {
    /// An empty store.
    ///
    /// # Errors
    /// When `PORT`, `HEALTH_PORT`, `MAXMEMORY`, `REQUIREPASS` or `RECOVER` cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        let port = settings.port("PORT", PORT_DEFAULT)?;
        let health_port = settings.port("HEALTH_PORT", HEALTH_PORT_DEFAULT)?;
        let expected = "a number of bytes of at least 1mb, such as 48mb";
        let bytes_max = settings.bytes("MAXMEMORY", MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MIN, expected)?;
        let http = HttpServer::new(HTTP_BODY_BYTES_MAX);
        let engine = Engine::new(bytes_max, port)
            .with_password(settings.secret("REQUIREPASS")?)
            .accepting_loss(accepts_loss(settings)?);
        Ok(Self { engine, http, resp_port: port, health_port })
    }

    /// The same for services in one image with it, which meet it through memory: clients have no port to connect to.
    pub fn without_port(self) -> Self {
        Self { resp_port: 0, ..self }
    }
}

/// What `RECOVER` says. There is one word for it, so that nobody loses data by a `1` or a `yes`.
fn accepts_loss(settings: &Settings) -> Result<bool, SettingError> {
    match settings.get("RECOVER") {
        None => Ok(false),
        Some("accept-loss") => Ok(true),
        Some(value) => Err(SettingError {
            name: "RECOVER",
            value: value.chars().take(VALUE_CHARS_MAX).collect(),
            expected: "accept-loss, to start on a damaged disk without what is behind the damage",
        }),
    }
}

#[cfg(test)]
impl Store {
    /// What answers RESP.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl Service for Store {
    fn name(&self) -> &'static str {
        "store"
    }

    fn endpoints(&self) -> Endpoints {
        let listeners = Vec::from([
            Listener { name: "resp", port: self.resp_port },
            Listener { name: "http", port: self.health_port },
        ]);
        Endpoints { listeners, peers: Vec::new() }
    }

    fn start(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        self.engine.start(context)
    }

    fn opened(&mut self, connection: ConnectionId, origin: Origin, context: &mut Context<'_>) {
        match origin {
            Origin::Accepted(RESP) => self.engine.opened(connection, context),
            _ => self.http.opened(connection, context),
        }
    }

    fn ready(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        let origin = context.connections.get(connection).map(|connection| connection.origin);
        match origin {
            Some(Origin::Accepted(HTTP)) => self.http.ready(connection, &mut self.engine, context),
            _ => self.engine.ready(connection, context),
        }
    }

    fn closed(&mut self, connection: ConnectionId, _: &mut Context<'_>) {
        self.engine.closed(connection);
        self.http.closed(connection);
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        if context.connections.shutdown_phase() >= ShutdownPhase::Draining {
            self.engine.seal();
        }
        self.engine.turn(context);
        if context.connections.shutdown_phase() >= ShutdownPhase::Draining {
            self.engine.dismiss_clients(context);
        }
        self.http.turn(&mut self.engine, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        Instant::earliest([self.engine.next_deadline(), self.http.next_deadline()])
    }

    fn failure(&self) -> Option<&str> {
        self.engine.failure()
    }

    fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.engine.report_usage(report);
        self.http.report_usage(report);
    }
}
