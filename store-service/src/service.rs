//! The store as a service: RESP on one port, health and metrics over HTTP on another.
//!
//! Holds no logic but that: the engine and the HTTP server do the work.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use kernel_app::http::HttpServer;
use kernel_app::settings::SettingError;
use kernel_app::{ConnectionId, Context, Endpoints, Instant, Listener, Origin, Service, Settings};

use crate::engine::Engine;
use crate::limits::{HTTP_BODY_BYTES_MAX, MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MIN};

const PORT_DEFAULT: u16 = 6379;
const HEALTH_PORT_DEFAULT: u16 = 8083;

/// Position of the RESP listener among the endpoints.
const RESP: usize = 0;
/// Position of the HTTP listener.
const HTTP: usize = 1;

/// The service `store`.
#[derive(Debug)]
pub struct Store {
    engine: Engine,
    http: HttpServer,
    health_port: u16,
}

impl Store {
    /// An empty store.
    ///
    /// # Errors
    /// When `PORT`, `HEALTH_PORT` or `MAXMEMORY` cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        let port = settings.port("PORT", PORT_DEFAULT)?;
        let health_port = settings.port("HEALTH_PORT", HEALTH_PORT_DEFAULT)?;
        let bytes_max = memory_limit(settings)?;
        let http = HttpServer::new(HTTP_BODY_BYTES_MAX);
        Ok(Self { engine: Engine::new(bytes_max, port), http, health_port })
    }
}

#[cfg(test)]
impl Store {
    /// What answers RESP.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// `MAXMEMORY` in bytes, or with Redis's suffixes for powers of 1024.
fn memory_limit(settings: &Settings) -> Result<usize, SettingError> {
    let Some(value) = settings.get("MAXMEMORY") else { return Ok(MEMORY_BYTES_DEFAULT) };
    parse_bytes(value).filter(|bytes| *bytes >= MEMORY_BYTES_MIN).ok_or_else(|| SettingError {
        name: "MAXMEMORY",
        value: value.to_owned(),
        expected: "a number of bytes of at least 1mb, such as 48mb",
    })
}

fn parse_bytes(value: &str) -> Option<usize> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match value[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1 << 10,
        "mb" => 1 << 20,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

impl Service for Store {
    fn name(&self) -> &'static str {
        "store"
    }

    fn endpoints(&self) -> Endpoints {
        let listeners = Vec::from([
            Listener { name: "resp", port: self.engine.port() },
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
        self.engine.turn(context);
        self.http.turn(&mut self.engine, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.engine.next_deadline(), self.http.next_deadline()].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_limit_is_read_as_redis_reads_it() {
        let limit = |value| memory_limit(&Settings::from_pairs([("MAXMEMORY", value)]));
        assert_eq!(limit("2mb"), Ok(2 << 20));
        assert_eq!(limit("1GB"), Ok(1 << 30));
        assert_eq!(limit("4194304"), Ok(4 << 20));
        assert_eq!(limit(""), Ok(MEMORY_BYTES_DEFAULT));
        for wrong in ["1kb", "x", "mb", "5tb", "99999999999999999999", "17179869184gb", "-1"] {
            let error = limit(wrong).expect_err(wrong);
            assert_eq!((error.name, error.value.as_str()), ("MAXMEMORY", wrong));
        }
    }
}
