//! Somebody else who uses the store: writes large values, so that the log is compacted within a run.
//!
//! Wants nothing of the application and looks at no reply.

use std::time::Duration;

use kernel_app::store_client::StoreClient;
use kernel_app::{ConnectionId, Context, Endpoints, Instant, Origin, Peer, Service, Target};

/// How often a value is written.
const WRITE_INTERVAL: Duration = Duration::from_millis(150);
/// How large one is. With [`WRITE_INTERVAL`], a log of 1 MiB takes some 7 s.
const VALUE_BYTES: usize = 24 * 1024;
/// How long a reply may take.
const REPLY_WITHIN: Duration = Duration::from_secs(1);
const KEY: &[u8] = b"neighbour";

/// See the module.
pub struct Neighbour {
    store: Target,
    value: Vec<u8>,
    client: StoreClient<()>,
    write_at: Instant,
}

impl Neighbour {
    /// A neighbour of the application whose store is there.
    pub fn new(host: &str, port: u16) -> Self {
        let store = Target::Host { host: host.to_owned(), port };
        let value = vec![b'x'; VALUE_BYTES];
        Self { store, value, client: StoreClient::default(), write_at: Instant::ZERO }
    }
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
        self.client.ready(context, |(), _, _| {});
    }

    fn closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.client.closed(id, context, |(), _, _| {});
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.client.turn(context, |(), _, _| {});
        if self.write_at <= context.now && self.client.readiness().is_ok() {
            self.write_at = context.now + WRITE_INTERVAL;
            // What does not fit now is of no importance.
            let _ = self.client.send(&[b"SET", KEY, &self.value], (), REPLY_WITHIN, context);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let write = self.client.readiness().is_ok().then_some(self.write_at);
        [self.client.next_deadline(), write].into_iter().flatten().min()
    }
}
