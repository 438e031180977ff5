//! Small services that each show one side of a socket.
//!
//! None speaks a protocol.

use std::sync::atomic::Ordering::SeqCst;

use kernel_app::{ConnectionId, Context, Endpoints, Instant, Listener, Origin, Peer, Service, Target};

use super::harness::COUNTS;

fn listening(port: u16) -> Endpoints {
    Endpoints { listeners: vec![Listener { name: "test", port }], peers: Vec::new() }
}

/// What all of them have in common: they count, and have no timers.
macro_rules! service_basics {
    () => {
        fn name(&self) -> &'static str {
            "test"
        }

        fn closed(&mut self, _: ConnectionId, _: &mut Context<'_>) {
            COUNTS.with(|counts| counts.closed.fetch_add(1, SeqCst));
        }

        fn turn(&mut self, _: &mut Context<'_>) {}

        fn next_deadline(&self) -> Option<Instant> {
            None
        }
    };
}

fn count_opened() {
    COUNTS.with(|counts| counts.opened.fetch_add(1, SeqCst));
}

/// Sends back what it gets, and ends when the client does. Between requests it is idle.
pub struct Echo {
    port: u16,
}

impl Echo {
    pub fn boxed(port: u16) -> Box<dyn Service> {
        Box::new(Self { port })
    }
}

impl Service for Echo {
    service_basics!();

    fn endpoints(&self) -> Endpoints {
        listening(self.port)
    }

    fn opened(&mut self, _: ConnectionId, _: Origin, _: &mut Context<'_>) {
        count_opened();
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let connection = context.connections.get_mut(id).expect("live");
        let taken = connection.output.write_some(connection.input.as_slice());
        connection.input.consume(taken);
        connection.has_answered = true;
        if connection.input.is_empty() && connection.input_ended {
            context.connections.close(id);
        }
        context.connections.set_idle(id, Some(context.now));
    }
}

/// Sends a pattern to everybody who comes, reads nothing, and ends.
pub struct Flood {
    port: u16,
    bytes: usize,
    sent: Vec<(ConnectionId, usize)>,
}

impl Flood {
    pub fn boxed(port: u16, bytes: usize) -> Box<dyn Service> {
        Box::new(Self { port, bytes, sent: Vec::new() })
    }
}

impl Service for Flood {
    service_basics!();

    fn endpoints(&self) -> Endpoints {
        listening(self.port)
    }

    fn opened(&mut self, id: ConnectionId, _: Origin, context: &mut Context<'_>) {
        count_opened();
        self.sent.push((id, 0));
        self.ready(id, context);
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let Some((_, sent)) = self.sent.iter_mut().find(|(known, _)| *known == id) else { return };
        let connection = context.connections.get_mut(id).expect("live");
        let count = connection.output.space().min(self.bytes - *sent);
        let pattern: Vec<u8> = (*sent..*sent + count).map(|at| (at % 251) as u8).collect();
        *sent += connection.output.write_some(&pattern);
        COUNTS.with(|counts| counts.output_bytes.store(connection.output.len(), SeqCst));
        if *sent == self.bytes {
            context.connections.close(id);
        }
    }
}

/// Resets whoever speaks to it.
pub struct Resetter {
    port: u16,
}

impl Resetter {
    pub fn boxed(port: u16) -> Box<dyn Service> {
        Box::new(Self { port })
    }
}

impl Service for Resetter {
    service_basics!();

    fn endpoints(&self) -> Endpoints {
        listening(self.port)
    }

    fn opened(&mut self, _: ConnectionId, _: Origin, _: &mut Context<'_>) {
        count_opened();
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        context.connections.get_mut(id).expect("live").output.write_some(b"never seen");
        context.connections.abort(id);
    }
}

/// Stays connected to a peer, greets it, and counts the answers.
pub struct Caller {
    host: &'static str,
    port: u16,
}

impl Caller {
    pub fn boxed(host: &'static str, port: u16) -> Box<dyn Service> {
        Box::new(Self { host, port })
    }
}

impl Service for Caller {
    service_basics!();

    fn endpoints(&self) -> Endpoints {
        let target = Target::Host { host: self.host.to_string(), port: self.port };
        Endpoints { listeners: Vec::new(), peers: vec![Peer { name: "echo", setting: "ECHO_URL", target }] }
    }

    fn opened(&mut self, id: ConnectionId, _: Origin, context: &mut Context<'_>) {
        count_opened();
        context.connections.get_mut(id).expect("live").output.write_some(b"hello");
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let connection = context.connections.get_mut(id).expect("live");
        if connection.input.as_slice() == b"hello" {
            connection.input.clear();
            COUNTS.with(|counts| counts.answers.fetch_add(1, SeqCst));
        }
        if connection.input_ended {
            context.connections.close(id);
        }
    }
}
