//! A consumer with its client, on a connection whose other end is in the test's hands.

use alloc::string::String;
use core::time::Duration;

use super::{Awaited, QueueConsumer, Store};
use kernel_app::client::{Broken, SendError, StoreClient, StoreLogin};
use kernel_app::connections::Ending;
use kernel_app::{ConnectionId, Connections, Context, Origin};
use simulator::random::NoEntropy;
use votes::PAYLOAD_BYTES_MAX;
use wire::{Buffer, Instant};

/// A consumer, its client and the connection.
pub(super) struct Conversation {
    pub consumer: QueueConsumer,
    pub client: StoreClient<Awaited>,
    connections: Connections,
    id: Option<ConnectionId>,
}

impl Conversation {
    pub fn new(consumer: QueueConsumer, login: StoreLogin) -> Self {
        let client = StoreClient::new(login).with_bulk_max(PAYLOAD_BYTES_MAX);
        Self { consumer, client, connections: Connections::new(), id: None }
    }

    fn with(&mut self, now: Instant, act: impl FnOnce(&mut Store<'_, '_>, &mut QueueConsumer)) {
        let mut context = Context {
            now,
            unix_time: Duration::ZERO,
            entropy: &mut NoEntropy,
            connections: &mut self.connections,
            disk: None,
        };
        act(&mut Store { client: &mut self.client, context: &mut context }, &mut self.consumer);
    }

    /// A connection is there, and the first commands are on it.
    pub fn connect(&mut self, now: Instant) {
        self.disconnect(now);
        let id = self.connections.open(0, Origin::Peer(0)).expect("room");
        self.id = Some(id);
        self.with(now, |store, _| store.client.opened(id, store.context));
        self.serve(now);
    }

    /// The connection is gone, if there is one.
    pub fn disconnect(&mut self, now: Instant) {
        if let Some(id) = self.id.take() {
            self.client.closed(id);
            self.connections.remove(id);
            self.serve(now);
        }
    }

    /// Takes the replies that have come and goes on; false once the connection was given up.
    pub fn serve(&mut self, now: Instant) -> bool {
        self.with(now, |store, consumer| consumer.serve(store));
        self.is_connected()
    }

    pub fn is_connected(&self) -> bool {
        let connection = self.id.and_then(|id| self.connections.get(id));
        connection.is_some_and(|connection| connection.ending() != Ending::Abort)
    }

    /// Whether it was given up because replies were overdue, which is the only fault that a store of ours has.
    pub fn is_silent(&self) -> bool {
        self.client.readiness() == Err(SendError::Broken(Broken::Overdue))
    }

    /// Replies arrive, as fast as they are taken.
    pub fn receive(&mut self, replies: &mut Buffer, now: Instant) -> bool {
        while let Some(connection) = self.id.and_then(|id| self.connections.get_mut(id)) {
            let taken = connection.input.write_some(replies.as_slice());
            replies.consume(taken);
            let is_connected = self.serve(now);
            if replies.is_empty() || !is_connected {
                return is_connected;
            }
        }
        false
    }

    /// What was sent and has not left yet.
    pub fn output(&mut self) -> Option<&mut Buffer> {
        self.connections.get_mut(self.id?).map(|connection| &mut connection.output)
    }

    /// Whether votes are counted, as shown to operators.
    pub fn readiness(&self) -> Result<(), String> {
        self.client.explained_readiness().map_err(String::from)?;
        self.consumer.readiness().map_err(String::from)
    }
}
