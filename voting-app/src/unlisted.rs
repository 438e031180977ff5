//! A service with one port that is met through memory only.
//!
//! Changes nothing else about the service.

use alloc::boxed::Box;

use kernel_app::{ConnectionId, Context, Endpoints, Instant, Origin, Service};

/// See the module.
pub struct Unlisted {
    service: Box<dyn Service>,
    listener: &'static str,
}

impl Unlisted {
    /// `service` without an open port for its listener of this name.
    pub fn new(service: Box<dyn Service>, listener: &'static str) -> Self {
        Self { service, listener }
    }
}

impl Service for Unlisted {
    fn name(&self) -> &'static str {
        self.service.name()
    }

    fn endpoints(&self) -> Endpoints {
        let mut endpoints = self.service.endpoints();
        for listener in endpoints.listeners.iter_mut().filter(|listener| listener.name == self.listener) {
            listener.port = 0;
        }
        endpoints
    }

    fn opened(&mut self, connection: ConnectionId, origin: Origin, context: &mut Context<'_>) {
        self.service.opened(connection, origin, context);
    }

    fn ready(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        self.service.ready(connection, context);
    }

    fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_>) {
        self.service.closed(connection, context);
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.service.turn(context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.service.next_deadline()
    }
}
