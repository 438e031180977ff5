//! The smallest service: an echo server (RFC 862). It returns every received byte, on one port, until the client ends
//! the connection.
//!
//! The service is a state machine: it gets events, and uses no socket and no clock. `kernel_app` moves the bytes:
//! with smoltcp and virtio-net in a unikernel, with the kernel's sockets in a Linux process.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use kernel_app::settings::SettingError;
use kernel_app::{ConnectionId, Context, Endpoints, Instant, Listener, Origin, Service, Settings};

const PORT_DEFAULT: u16 = 7007;

kernel_app::program!("echo", program);

fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    Ok(vec![Box::new(Echo { port: settings.port("PORT", PORT_DEFAULT)? })])
}

struct Echo {
    port: u16,
}

impl Service for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { listeners: vec![Listener { name: "echo", port: self.port }], peers: Vec::new() }
    }

    fn opened(&mut self, _: ConnectionId, _: Origin, _: &mut Context<'_>) {}

    /// Bytes have come, or there is room again for the answer: what has no room stays in the input, and TCP holds the
    /// sender back.
    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let Some(connection) = context.connections.get_mut(id) else { return };
        let taken = connection.output.write_some(connection.input.as_slice());
        connection.input.consume(taken);
        if connection.input_ended && connection.input.is_empty() {
            context.connections.close(id);
        }
    }

    fn closed(&mut self, _: ConnectionId, _: &mut Context<'_>) {}

    fn turn(&mut self, _: &mut Context<'_>) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}
