//! The RESP server: it passes clients' requests to the keyspace, and replies to the clients.
//!
//! It holds no data itself and opens no ports. A request goes through [`Engine::request`] (name, number of arguments,
//! transaction), [`Engine::run`] and, for data, [`Keyspace::execute`]. Replies stay in the client's
//! [`Session`](crate::session::Session) until [`Engine::turn`] has committed the turn's changes.

mod blocking;
mod connection;
mod durability;
mod flow;
mod info;
mod memory;
mod requests;
mod sessions;
mod subcommand;
mod transaction;
mod untold;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use kernel_app::pace::LogPace;
use kernel_app::secret::Secret;
use kernel_app::{ConnectionId, Instant, Usage};

use crate::command::Command;
use crate::journal::{Journal, Opening};
use crate::keyspace::Keyspace;
use crate::limits::{
    CLIENTS_BYTES_MAX, CLIENTS_MAX, QUEUE_BYTES_MAX, REPLY_BYTES_MAX, WAIT_BYTES_MAX, WATCH_BYTES_MAX,
};
use crate::waiters::Waiters;
use crate::watches::Watches;
use sessions::Sessions;
use untold::Untold;

/// The RESP server.
#[derive(Debug)]
pub struct Engine {
    keyspace: Keyspace,
    sessions: Sessions,
    waiters: Waiters,
    watches: Watches,
    /// None while data live in memory only.
    journal: Option<Journal>,
    /// The log is being read.
    opening: Option<Opening>,
    /// Why the store must not go on.
    failure: Option<String>,
    /// What was found on the disk, to be logged by the first turn.
    found: Option<String>,
    /// Clients whose input is held by the journal.
    held: Vec<ConnectionId>,
    password: Option<Secret>,
    /// A damaged log is read up to the damage.
    accept_loss: bool,
    /// Clients that may go on with their input: they are no longer blocked or paused.
    resumed: VecDeque<ConnectionId>,
    /// Clients with something to be done at the turn's end.
    listed: Vec<ConnectionId>,
    /// Bytes of all replies that were not yet handed to the network.
    replies_bytes: usize,
    /// Bytes of all transactions' queues.
    queue_bytes: usize,
    /// Since when the client that has stalled for longest has taken nothing.
    stall_since: Option<Instant>,
    /// Since when the oldest replies have waited for a commit.
    uncommitted_since: Option<Instant>,
    counts: Counts,
    started: Instant,
    port: u16,
    /// What the log has not been told yet.
    untold: Untold,
    log_paces: LogPaces,
    /// What all clients may have allocated together.
    clients_bytes_max: usize,
}

/// Of what any client can cause.
#[derive(Debug, Default)]
struct LogPaces {
    http: LogPace,
    stalled: LogPace,
    uncommitted: LogPace,
}

/// What has been counted since the start.
#[derive(Debug)]
pub struct Counts {
    /// Commands carried out, by their number.
    pub calls: [u64; Command::ALL.len()],
    /// Commands that ended in an error, unknown ones included.
    pub errors: u64,
    /// Commands that memory did not allow.
    pub out_of_memory: u64,
    /// Commands that the disk did not allow.
    pub out_of_disk: u64,
    /// Clients that were accepted.
    pub clients: u64,
    /// Clients that were refused because there were too many.
    pub clients_refused: u64,
}

impl Engine {
    /// A server without data or clients; `port` is for `INFO` only.
    pub fn new(bytes_max: usize, port: u16) -> Self {
        let counts = Counts {
            calls: [0; Command::ALL.len()],
            errors: 0,
            out_of_memory: 0,
            out_of_disk: 0,
            clients: 0,
            clients_refused: 0,
        };
        Self {
            keyspace: Keyspace::new(bytes_max, [0; 2]),
            sessions: Sessions::default(),
            waiters: Waiters::default(),
            watches: Watches::default(),
            journal: None,
            opening: None,
            failure: None,
            found: None,
            held: Vec::new(),
            password: None,
            accept_loss: false,
            resumed: VecDeque::new(),
            listed: Vec::new(),
            replies_bytes: 0,
            queue_bytes: 0,
            stall_since: None,
            uncommitted_since: None,
            counts,
            started: Instant::ZERO,
            port,
            untold: Untold::new(),
            log_paces: LogPaces::default(),
            clients_bytes_max: CLIENTS_BYTES_MAX,
        }
    }

    /// The same, for clients that give this password.
    #[must_use]
    pub fn with_password(self, password: Option<Secret>) -> Self {
        Self { password, ..self }
    }

    /// The same, which starts on a damaged log too, without what is behind the damage.
    #[must_use]
    pub fn accepting_loss(self, accept_loss: bool) -> Self {
        Self { accept_loss, ..self }
    }

    /// The data in memory.
    pub fn keyspace(&self) -> &Keyspace {
        &self.keyspace
    }

    /// The log, if there is a disk.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Whether the data are not there yet.
    pub fn is_loading(&self) -> bool {
        self.opening.is_some() || self.failure.is_some()
    }

    /// How many bytes of the log were read, while they are.
    pub fn loaded_bytes(&self) -> Option<u64> {
        self.opening.as_ref().map(Opening::bytes)
    }

    /// Why the store must not go on, if so.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The node is about to end.
    pub fn seal(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.seal();
        }
    }

    /// What was found on the disk, until the first turn has told it.
    #[cfg(test)]
    pub(crate) fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }

    /// What has been counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Port of the RESP listener.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.sessions.len()
    }

    /// How many of them are blocked.
    pub fn clients_blocked(&self) -> usize {
        self.waiters.len()
    }

    /// What clients have allocated, in use or not.
    pub fn clients_bytes(&self) -> usize {
        self.sessions.bytes()
    }

    /// How much of what is bounded here is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        // The one that is worked on comes on top, until it is put back.
        let clients_max = self.clients_bytes_max + 2 * REPLY_BYTES_MAX;
        report(Usage::new("clients of the store", self.sessions.len(), CLIENTS_MAX));
        report(Usage::new("bytes of clients", self.sessions.bytes(), clients_max));
        report(Usage::new("bytes of transactions", self.queue_bytes, QUEUE_BYTES_MAX));
        report(Usage::new("bytes of keys waited for", self.waiters.bytes(), WAIT_BYTES_MAX));
        report(Usage::new("bytes of watched keys", self.watches.bytes(), WATCH_BYTES_MAX));
        self.keyspace.report_usage(report);
        if let Some(journal) = &self.journal {
            journal.report_usage(report);
        }
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }
}
