//! The store's HTTP side: `/healthz`, `/readyz` and `/metrics`, which the embedded server answers.
//!
//! It serves no data.

use alloc::borrow::Cow;
use alloc::format;

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

    /// Who can connect can work, unless the disk does not. A full store still gives out what it holds.
    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        if let Some(bytes) = self.loaded_bytes() {
            return Err(Cow::Owned(format!("loading: {bytes} bytes of the log are read\n")));
        }
        let Some(journal) = self.journal() else { return Ok(()) };
        if let Some(trouble) = journal.trouble() {
            return Err(Cow::Owned(format!("the disk cannot be written: {}\n", trouble.error)));
        }
        match journal.is_slow() {
            true => Err(Cow::Borrowed("the disk has not ended a write for seconds\n")),
            false => Ok(()),
        }
    }

    fn remark(&self) -> Option<Cow<'_, str>> {
        self.remark_on_memory().map(Cow::Owned)
    }

    fn metrics(&self, exposition: &mut Exposition) {
        exposition
            .family("store_queue_length", "Votes that wait, and votes that workers have taken.", Kind::Gauge)
            .sample(&[("queue", QUEUE)], self.keyspace().list_len(QUEUE.as_bytes()))
            .sample(&[("queue", PROCESSING)], self.keyspace().lists_len(PROCESSING.as_bytes()));
        self.data_metrics(exposition);
        self.disk_metrics(exposition);
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
        let full = i64::from(keyspace.is_full());
        exposition.gauge("store_full", "Whether memory refuses what adds data: 0 or 1.", full);
        exposition.counter("store_changes_total", "Commands that changed data.", keyspace.changes());
    }

    fn disk_metrics(&self, exposition: &mut Exposition) {
        let durable = i64::from(self.journal().is_some() || self.is_loading());
        exposition.gauge("store_durable", "Whether data outlive the store: 0 or 1.", durable);
        let Some(journal) = self.journal() else { return };
        let counts = journal.counts();
        exposition.counter("store_commits_total", "Commits to the log.", counts.commits);
        exposition.histogram(
            "store_commit_seconds",
            "From a commit's first write to the end of its last flush.",
            &counts.commit_time,
        );
        exposition.counter("store_log_written_bytes_total", "Bytes of committed records.", counts.bytes);
        exposition.gauge("store_log_bytes", "Bytes of the log.", signed_u64(journal.log_bytes()));
        let limit = signed_u64(journal.log_bytes_max());
        exposition.gauge("store_log_max_bytes", "Bytes that the log may have.", limit);
        exposition.counter("store_compactions_total", "Compactions of the log.", counts.compactions);
        exposition.counter(
            "store_compactions_failed_total",
            "Compactions that were abandoned.",
            counts.compactions_failed,
        );
        exposition.counter("store_disk_errors_total", "Writes and reads that failed.", counts.errors);
        exposition.counter(
            "store_out_of_disk_total",
            "Commands that the disk did not allow.",
            self.counts().out_of_disk,
        );
    }

    fn client_metrics(&self, exposition: &mut Exposition) {
        exposition.gauge("store_clients", "Connected RESP clients.", signed(self.clients()));
        let bytes = signed(self.clients_bytes());
        exposition.gauge("store_clients_bytes", "Memory of their replies, transactions and requests.", bytes);
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

fn signed_u64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
