//! What happens when memory runs out: which commands are refused, which clients are disconnected, and what operators
//! are told.
//!
//! The keyspace knows whether a command fits.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use kernel_app::disk::DiskError;
use kernel_app::{Context, Instant};

use super::Engine;
use super::flow::drop_client;
use super::untold::Untold;
use crate::failure::Failure;
use crate::limits::{MACHINE_BYTES_OTHER, MACHINE_CLIENTS_BYTES_MAX};
use crate::session::Transaction;

/// How often the log tells of refusals, and of clients that are disconnected for what they take.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

impl Engine {
    /// Fits the limits to a machine whose memory is known; `MAXMEMORY` may be more than it has.
    pub(super) fn fit_machine(&mut self, context: &Context<'_>) {
        let Some(heap) = context.connections.heap_usage() else { return };
        self.clients_bytes_max = MACHINE_CLIENTS_BYTES_MAX;
        let free_bytes = heap.free_bytes.saturating_sub(MACHINE_BYTES_OTHER);
        self.keyspace.set_loadable_bytes(free_bytes);
        let wanted = self.keyspace.bytes_max();
        if let Some(bytes_max) = self.keyspace.fit_into(free_bytes) {
            log::warn!(
                "MAXMEMORY={wanted} is more than this machine has room for: {bytes_max} is used; give it more \
                 memory, or set MAXMEMORY below"
            );
        }
    }

    /// Counts a failure.
    pub(super) fn refused(&mut self, failure: Failure) {
        self.counts.errors += 1;
        match failure {
            Failure::Disk(error) | Failure::ExecDisk(error) => self.out_of_disk(error),
            Failure::OutOfMemory | Failure::ExecOutOfMemory => {
                self.counts.out_of_memory += 1;
                self.untold.out_of_memory += 1;
            }
            _ => {}
        }
    }

    /// Counts a refusal that the disk caused. `Journal` reports faults of the disk.
    fn out_of_disk(&mut self, _: DiskError) {
        self.counts.out_of_disk += 1;
        if self.journal.as_ref().is_some_and(|journal| journal.trouble().is_none()) {
            self.untold.out_of_disk += 1;
        }
    }

    /// Disconnects the clients that take the most, while all together take too much. Their number is bounded, so
    /// modest ones never do.
    pub(super) fn relieve(&mut self, context: &mut Context<'_>) {
        if self.sessions.bytes() > self.clients_bytes_max {
            self.sessions.give_back();
        }
        while self.sessions.bytes() > self.clients_bytes_max
            && let Some(session) = self.sessions.largest()
        {
            let id = session.client.id;
            self.untold.clients += 1;
            self.untold.client_bytes = session.counted_bytes;
            self.queue_bytes -= session.client.transaction.bytes();
            session.client.transaction = Transaction::default();
            drop_client(&mut session.client, context);
            session.give_back();
            self.sessions.recount(id);
        }
    }

    /// Logs refusals, one line a second at most.
    pub(super) fn tell(&mut self, now: Instant) {
        if now < self.untold.log_at {
            return;
        }
        let Some(line) = self.line() else { return };
        self.untold.log_at = now + LOG_INTERVAL;
        log::warn!("{line}");
    }

    fn line(&mut self) -> Option<String> {
        let take = core::mem::take;
        let Untold { out_of_memory, out_of_disk, clients, client_bytes, told_full, .. } = &mut self.untold;
        if *out_of_memory > 0 {
            *told_full = true;
            return Some(format!(
                "{}: {} refused; raise MAXMEMORY, delete keys or drain lists",
                self.keyspace.fullness(),
                commands(take(out_of_memory))
            ));
        }
        if *out_of_disk > 0 {
            let limit = self.journal.as_ref()?.log_bytes_max();
            let refused = commands(take(out_of_disk));
            return Some(format!(
                "the data nearly fill the log ({limit} bytes): {refused} refused; drain lists"
            ));
        }
        if *clients > 0 {
            return Some(format!(
                "clients take more than {} bytes: {} disconnected that took the most, the last one {client_bytes} \
                 bytes",
                self.clients_bytes_max,
                take(clients)
            ));
        }
        let room_again = *told_full && !self.keyspace.is_full();
        *told_full &= !room_again;
        room_again.then(|| format!("{}: what adds is accepted again", self.keyspace.fullness()))
    }

    /// What is to be known of a store that can work, but not take everything.
    pub fn remark_on_memory(&self) -> Option<String> {
        let fullness = self.keyspace.is_full().then(|| self.keyspace.fullness())?;
        Some(format!(
            "full: {fullness}: what adds data is refused; raise MAXMEMORY, delete keys or drain lists"
        ))
    }
}

fn commands(count: u64) -> String {
    format!("{count} command{}", if count == 1 { " was" } else { "s were" })
}
