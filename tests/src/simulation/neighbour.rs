//! Somebody else who uses the store: writes large values, so that the log is compacted within a run, or fills its
//! memory for a while.
//!
//! Wants nothing of the application. Now and then it writes a transaction that takes several records of the log; what
//! it begins and ends with must always be the same number.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use kernel_app::client::{Outcome, StoreClient};
use kernel_app::{ConnectionId, Context, Endpoints, Instant, Origin, Peer, Service, Target};
use wire::resp::Reply;

/// How often a value is written.
const WRITE_INTERVAL: Duration = Duration::from_millis(150);
/// How large one is. With [`WRITE_INTERVAL`], a log of 1 MiB takes some 7 s.
const VALUE_BYTES: usize = 24 * 1024;
/// How long a reply may take.
const REPLY_WITHIN: Duration = Duration::from_secs(1);
const KEY: &[u8] = b"neighbour";
/// Every so many writes it is a transaction,
const TRANSACTION_EVERY: u64 = 8;
/// of so many values: more than one record has room for.
const TRANSACTION_VALUES: usize = 7;
/// The hash with the number of transactions, twice.
pub const MARKS: &str = "neighbour:marks";
/// What a transaction counts up first, and what last.
pub const MARK_FIELDS: [&str; 2] = ["first", "last"];
/// How often a glutton adds a value.
const FILL_INTERVAL: Duration = Duration::from_millis(20);
/// So many of them are more than a cramped store has room for.
const FILLED_MAX: usize = 64;

/// Whether the neighbour fills the store; shared with whoever decides that.
pub type Appetite = Rc<Cell<bool>>;

/// A client of the store.
pub struct Neighbour {
    store: Target,
    value: Vec<u8>,
    client: StoreClient<Asked>,
    write_at: Instant,
    writes: bool,
    written: u64,
    appetite: Appetite,
    fill_at: Instant,
    /// Values that were added to fill the store.
    filled: usize,
    /// They are being removed.
    is_clearing: bool,
}

/// What the store was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Set,
    Clear,
}

impl Neighbour {
    /// A neighbour of the application whose store is there; writes all the time or only when it is hungry.
    pub fn new(host: &str, port: u16, writes: bool, appetite: Appetite) -> Self {
        Self {
            store: Target::Host { host: host.to_owned(), port },
            value: vec![b'x'; VALUE_BYTES],
            client: StoreClient::default(),
            write_at: Instant::ZERO,
            writes,
            written: 0,
            appetite,
            fill_at: Instant::ZERO,
            filled: 0,
            is_clearing: false,
        }
    }

    fn set(&mut self, key: &[u8], context: &mut Context<'_>) {
        // What does not fit now is of no importance.
        let _ = self.client.send(&[b"SET", key, &self.value], Asked::Set, REPLY_WITHIN, context);
    }

    fn write(&mut self, context: &mut Context<'_>) {
        self.write_at = context.now + WRITE_INTERVAL;
        self.written += 1;
        if !self.written.is_multiple_of(TRANSACTION_EVERY) {
            return self.set(KEY, context);
        }
        let mark = |field: &'static str| [&b"HINCRBY"[..], MARKS.as_bytes(), field.as_bytes(), b"1"];
        let [first, last] = MARK_FIELDS.map(mark);
        let value = [&b"SET"[..], KEY, &self.value];
        let commands = [&first[..]].into_iter().chain([&value[..]; TRANSACTION_VALUES]).chain([&last[..]]);
        // As in `set`.
        let _ = self.client.send_transaction(commands, Asked::Set, REPLY_WITHIN, context);
    }

    fn fill(&mut self, context: &mut Context<'_>) {
        self.fill_at = context.now + FILL_INTERVAL;
        if self.appetite.get() && self.filled < FILLED_MAX {
            self.set(&filler(self.filled), context);
            self.filled += 1;
        } else if !self.appetite.get() && !self.is_clearing {
            let keys: Vec<_> = (0..self.filled).map(filler).collect();
            let words: Vec<_> = [&b"DEL"[..]].into_iter().chain(keys.iter().map(Vec::as_slice)).collect();
            self.is_clearing = self.client.send(&words, Asked::Clear, REPLY_WITHIN, context).is_ok();
        }
    }

    /// Values are gone once the store says so; otherwise they are removed again.
    fn take_outcomes(&mut self, context: &mut Context<'_>) {
        while let Some((asked, outcome)) = self.client.next_outcome(context) {
            if asked == Asked::Clear {
                self.is_clearing = false;
                if matches!(outcome, Outcome::Answer(Reply::Integer(_))) {
                    self.filled = 0;
                }
            }
        }
    }

    fn is_filling(&self) -> bool {
        if self.appetite.get() { self.filled < FILLED_MAX } else { self.filled > 0 && !self.is_clearing }
    }
}

fn filler(number: usize) -> Vec<u8> {
    format!("neighbour:{number}").into_bytes()
}

impl Service for Neighbour {
    fn name(&self) -> &'static str {
        "neighbour"
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            listeners: Vec::new(),
            peers: vec![Peer { name: "store", setting: "REDIS_URL", target: self.store.clone() }],
        }
    }

    fn opened(&mut self, id: ConnectionId, _: Origin, context: &mut Context<'_>) {
        self.client.opened(id, context);
    }

    fn ready(&mut self, _: ConnectionId, context: &mut Context<'_>) {
        self.take_outcomes(context);
    }

    fn closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.client.closed(id);
        self.take_outcomes(context);
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.take_outcomes(context);
        if self.writes && self.write_at <= context.now && self.client.readiness().is_ok() {
            self.write(context);
        }
        if self.is_filling() && self.fill_at <= context.now && self.client.readiness().is_ok() {
            self.fill(context);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let is_ready = self.client.readiness().is_ok();
        let write = (is_ready && self.writes).then_some(self.write_at);
        let fill = (is_ready && self.is_filling()).then_some(self.fill_at);
        Instant::earliest([self.client.next_deadline(), write, fill])
    }
}
