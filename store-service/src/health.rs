//! The store's HTTP side: `/healthz`, `/readyz` and `/metrics`, which the embedded server answers.
//!
//! Serves no data.

use alloc::borrow::Cow;

use kernel_app::Context;
use kernel_app::http::{Answer, Exchange, Handler, Request, Response, Route};
use kernel_app::metrics::{Exposition, Kind};

use crate::command::Command;
use crate::engine::Engine;

/// The list that the application's votes wait in.
const QUEUE: &str = "votes";
/// What the names of the workers' own lists begin with.
const PROCESSING: &str = "votes:processing";

impl Handler for Engine {
    fn routes(&self) -> &'static [Route] {
        &[]
    }

    fn handle(&mut self, _: &Request<'_>, _: Exchange, _: &mut Context<'_>) -> Answer<'_> {
        // Not reached: there are no routes.
        Answer::Now(Response::text(404, "not found\n"))
    }

    /// Data is in memory: who can connect can work. A full store still gives out what it holds.
    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        Ok(())
    }

    fn metrics(&self, exposition: &mut Exposition) {
        exposition
            .family("store_queue_length", "Votes that wait, and votes that workers have taken.", Kind::Gauge)
            .sample(&[("queue", QUEUE)], self.keyspace().list_len(QUEUE.as_bytes()))
            .sample(&[("queue", PROCESSING)], self.keyspace().lists_len(PROCESSING.as_bytes()));
        self.data_metrics(exposition);
        self.client_metrics(exposition);
        self.command_metrics(exposition);
    }
}

impl Engine {
    fn data_metrics(&self, exposition: &mut Exposition) {
        let keyspace = self.keyspace();
        exposition.gauge("store_keys", "Keys in the store.", signed(keyspace.len()));
        exposition.gauge("store_memory_bytes", "Memory of keys and values.", signed(keyspace.bytes()));
        let limit = signed(keyspace.bytes_max());
        exposition.gauge("store_memory_max_bytes", "Limit beyond which pushes are refused.", limit);
        exposition.counter("store_changes_total", "Commands that changed data.", keyspace.changes());
    }

    fn client_metrics(&self, exposition: &mut Exposition) {
        exposition.gauge("store_clients", "Connected RESP clients.", signed(self.clients()));
        exposition.gauge(
            "store_clients_blocked",
            "Clients that wait for an element.",
            signed(self.clients_blocked()),
        );
        let counts = self.counts();
        exposition.counter("store_connections_total", "RESP clients accepted.", counts.clients);
        let refused = counts.clients_refused;
        exposition.counter("store_connections_refused_total", "RESP clients beyond the limit.", refused);
    }

    fn command_metrics(&self, exposition: &mut Exposition) {
        let counts = self.counts();
        let mut family = exposition.family("store_commands_total", "Commands carried out.", Kind::Counter);
        for (command, calls) in Command::ALL.iter().zip(counts.calls) {
            family.sample(&[("command", command.spec().name)], calls);
        }
        exposition.counter("store_errors_total", "Requests answered with an error.", counts.errors);
        exposition.counter(
            "store_out_of_memory_total",
            "Commands that memory did not allow.",
            counts.out_of_memory,
        );
    }
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
