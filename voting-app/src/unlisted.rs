//! A service with one port that is met through memory only.
//!
//! Changes nothing else about the service.

use alloc::boxed::Box;
use alloc::string::String;

use kernel_app::{ConnectionId, Context, Endpoints, Instant, Origin, Service, Usage};

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

    fn start(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        self.service.start(context)
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

    fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.service.report_usage(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::rc::Rc;
    use alloc::vec::Vec;
    use core::cell::Cell;
    use kernel_app::Listener;
    use kernel_app::harness::Harness;

    /// Tells whether it was started.
    struct Witness(Rc<Cell<bool>>);

    impl Service for Witness {
        fn name(&self) -> &'static str {
            "witness"
        }

        fn endpoints(&self) -> Endpoints {
            let listeners = ["resp", "http"].map(|name| Listener { name, port: 1 });
            Endpoints { listeners: listeners.into(), ..Endpoints::default() }
        }

        fn start(&mut self, _: &mut Context<'_>) -> Result<(), String> {
            self.0.set(true);
            Ok(())
        }

        fn opened(&mut self, _: ConnectionId, _: Origin, _: &mut Context<'_>) {}
        fn ready(&mut self, _: ConnectionId, _: &mut Context<'_>) {}
        fn closed(&mut self, _: ConnectionId, _: &mut Context<'_>) {}
        fn turn(&mut self, _: &mut Context<'_>) {}

        fn next_deadline(&self) -> Option<Instant> {
            None
        }
    }

    #[test]
    fn the_service_is_started_and_its_port_is_not_opened() {
        let started = Rc::<Cell<bool>>::default();
        let service = Unlisted::new(Box::new(Witness(started.clone())), "resp");
        let ports: Vec<_> = service.endpoints().listeners.iter().map(|listener| listener.port).collect();
        assert_eq!(ports, [0, 1]);
        Harness::new(service);
        assert!(started.get(), "a store that is not started has no secret for its hashes");
    }
}
