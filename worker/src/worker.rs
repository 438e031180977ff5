//! The worker as a service: one connection to the store, and one port for operators.
//!
//! Moves no votes itself; [`Mover`] does.

use alloc::string::String;
use alloc::vec;

use crate::limits::INSTANCE_BYTES_MAX;
use crate::mover::Mover;
use crate::received::Fault;
use kernel_app::http::HttpServer;
use kernel_app::network::Unreachable;
use kernel_app::settings::{SettingError, without_password};
use kernel_app::{
    Buffer, ConnectionId, Context, Endpoints, Instant, Listener, Origin, Peer, Service, Settings, Usage,
};

/// Where a store listens unless told otherwise.
const STORE_URL_DEFAULT: &str = "redis://store:6379";
/// How much of an address that cannot be used is shown.
const URL_CHARS_SHOWN: usize = 80;
/// Requests to the port for operators have no bodies.
const BODY_BYTES_MAX: usize = 0;

/// See the crate.
#[derive(Debug)]
pub struct Worker {
    port: u16,
    peer: Peer,
    http: HttpServer,
    mover: Mover,
    store: Option<ConnectionId>,
}

impl Worker {
    /// A worker that serves operators on `port`.
    ///
    /// # Errors
    /// The setting that cannot be used: `REDIS_URL`, `INSTANCE`, or a `RESULTS_URL` that leads elsewhere than
    /// to the queue, beside which results are kept.
    pub fn from_settings(settings: &Settings, port: u16) -> Result<Self, SettingError> {
        let store = settings.store("REDIS_URL", STORE_URL_DEFAULT)?;
        if let Some(url) = settings.get("RESULTS_URL").filter(|url| settings.get("REDIS_URL") != Some(url)) {
            let shown = without_password(url);
            let (name, value) = ("RESULTS_URL", shown.chars().take(URL_CHARS_SHOWN).collect());
            return Err(SettingError { name, value, expected: "nothing, or what REDIS_URL says" });
        }
        let name: String = settings.text("INSTANCE", "worker", INSTANCE_BYTES_MAX)?;
        Ok(Self {
            port,
            peer: store.peer(),
            http: HttpServer::new(BODY_BYTES_MAX),
            mover: Mover::new(&name).with_login(store.login),
            store: None,
        })
    }

    /// Lets the mover use the buffers of its connection, and gives the connection up after a fault.
    fn converse(
        &mut self,
        context: &mut Context<'_>,
        step: impl FnOnce(&mut Mover, &mut Buffer, &mut Buffer) -> Result<(), Fault>,
    ) {
        let Some(id) = self.store else { return };
        let Some(connection) = context.connections.get_mut(id) else { return };
        if let Err(fault) = step(&mut self.mover, &mut connection.input, &mut connection.output) {
            self.mover.give_up(fault);
            context.connections.abort(id);
        } else if connection.input_ended {
            context.connections.close(id);
        }
    }
}

impl Service for Worker {
    fn name(&self) -> &'static str {
        "worker"
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            listeners: vec![Listener { name: "http", port: self.port }],
            peers: vec![self.peer.clone()],
        }
    }

    fn opened(&mut self, id: ConnectionId, origin: Origin, context: &mut Context<'_>) {
        match origin {
            Origin::Accepted(_) => self.http.opened(id, context),
            Origin::Peer(_) => {
                self.store = Some(id);
                let now = context.now;
                self.converse(context, |mover, _, output| mover.connected(output, now));
            }
        }
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        if self.store != Some(id) {
            return self.http.ready(id, &mut self.mover, context);
        }
        let now = context.now;
        self.converse(context, |mover, input, output| mover.input(input, output, now));
    }

    fn closed(&mut self, id: ConnectionId, _: &mut Context<'_>) {
        if self.store == Some(id) {
            self.store = None;
            self.mover.lost();
        } else {
            self.http.closed(id);
        }
    }

    fn unreachable(&mut self, _: usize, reason: Unreachable) {
        self.mover.unreachable(reason);
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        if self.mover.next_deadline().is_some_and(|due| due <= now) {
            self.converse(context, |mover, _, output| mover.tick(output, now));
        }
        self.http.turn(&mut self.mover, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.mover.next_deadline(), self.http.next_deadline()].into_iter().flatten().min()
    }

    fn usages(&self, tell: &mut dyn FnMut(Usage)) {
        self.mover.usages(tell);
        self.http.usages(tell);
    }
}
