//! The store as its clients see it: bytes in, bytes out, through the connection table and nothing else.

mod blocking;
mod durability;
mod flow;
mod log_lines;
mod replies;
mod watches;

use core::time::Duration;
use std::borrow::ToOwned;
use std::format;
use std::string::String;
use std::vec::Vec;

use kernel_app::connections::Ending;
use kernel_app::{ConnectionId, Connections, Context, Disk, Entropy, Instant, Origin, Service, Settings};
use simulator::memory_disk::MemoryDisk;

use crate::Store;

/// A node with nothing but a store.
pub(super) struct Bench {
    pub store: Store,
    pub connections: Connections,
    pub now: Instant,
    pub disk: Option<MemoryDisk>,
    entropy: CountingEntropy,
}

/// Other bytes at every call, and the same in every run of a test.
pub(super) struct CountingEntropy(pub u8);

impl Entropy for CountingEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        bytes.fill(self.0);
    }
}

impl Bench {
    pub fn new() -> Self {
        Self::with(&[])
    }

    pub fn with(settings: &[(&str, &str)]) -> Self {
        Self::start(settings, None, 7).expect("a store without a disk starts")
    }

    /// A store with a disk; `life` makes its entropy another than that of an earlier one.
    pub fn start(settings: &[(&str, &str)], disk: Option<MemoryDisk>, life: u8) -> Result<Self, String> {
        let pairs = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let store = Store::new(&Settings::from_pairs(pairs)).expect("settings are valid");
        let (connections, now) = (Connections::new(), Instant::from_millis(1));
        let mut bench = Self { store, connections, now, disk, entropy: CountingEntropy(life) };
        bench.call(|store, context| store.start(context))?;
        Ok(bench)
    }

    /// Calls the store as the runtime would.
    pub fn call<R>(&mut self, call: impl FnOnce(&mut Store, &mut Context<'_>) -> R) -> R {
        let mut context = Context {
            now: self.now,
            unix_time: Duration::from_micros(1_700_000_000_000_042),
            entropy: &mut self.entropy,
            connections: &mut self.connections,
            disk: self.disk.as_mut().map(|disk| disk as &mut dyn Disk),
        };
        call(&mut self.store, &mut context)
    }

    pub fn connect(&mut self) -> ConnectionId {
        let id = self.connections.open(0, Origin::Accepted(0)).expect("room");
        self.call(|store, context| store.opened(id, Origin::Accepted(0), context));
        id
    }

    /// Delivers bytes without ending the turn.
    pub fn deliver(&mut self, id: ConnectionId, bytes: &[u8]) {
        let connection = self.connections.get_mut(id).expect("open");
        connection.input.write(bytes).expect("the input has room");
        self.call(|store, context| store.ready(id, context));
    }

    pub fn turn(&mut self) {
        self.call(|store, context| store.turn(context));
    }

    pub fn send(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.deliver(id, bytes);
        self.turn();
    }

    /// Takes what the store has written to a client, escaped.
    pub fn received(&mut self, id: ConnectionId) -> String {
        let connection = self.connections.get_mut(id).expect("open");
        let mut text = escape(connection.output.as_slice());
        connection.output.clear();
        if connection.ending() != Ending::Open {
            text.push_str("<EOF>");
        }
        text
    }

    /// Sends an inline request and takes the reply.
    pub fn ask(&mut self, id: ConnectionId, request: &str) -> String {
        self.send(id, format!("{request}\r\n").as_bytes());
        self.received(id)
    }

    /// The client ends its stream.
    pub fn end_input(&mut self, id: ConnectionId) {
        self.connections.get_mut(id).expect("open").input_ended = true;
        self.call(|store, context| store.ready(id, context));
        self.turn();
    }

    /// The connection is gone.
    pub fn disconnect(&mut self, id: ConnectionId) {
        self.call(|store, context| store.closed(id, context));
        self.connections.remove(id);
    }

    pub fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.turn();
    }
}

/// Bytes as text: line ends, backslashes and what is not printable as escapes.
pub(super) fn escape(bytes: &[u8]) -> String {
    let escaped = |byte: &u8| match byte {
        b'\r' => "\\r".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(*byte).into(),
        other => format!("\\x{other:02x}"),
    };
    bytes.iter().map(escaped).collect()
}

/// The reverse of [`escape`].
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, byte == b'\\') {
            (byte, false) => byte,
            (_, true) => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b'x') => {
                    let digits: String = rest.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
                }
                other => other.expect("a backslash is not the last byte"),
            },
        });
    }
    bytes
}
