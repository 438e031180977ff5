//! A client on a connection that the test plays the server on.

use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::time::Duration;

use super::{Client, Outcome, Protocol};
use crate::connections::{Connection, ConnectionId, Connections, Ending};
use crate::service::{Context, Origin};
use ether::random::NoEntropy;
use wire::Instant;

/// How soon the answers are wanted to what tests send.
pub(super) const WITHIN: Duration = Duration::from_millis(100);

/// A protocol whose answers tests can tell in words.
pub(super) trait Shown: Protocol {
    fn shown(answer: Self::Answer<'_>) -> String;
}

/// A client whose connection's both ends are in the test's hands.
pub(super) struct Bench<P: Protocol> {
    pub client: Client<P, u32>,
    pub connections: Connections,
    pub id: ConnectionId,
    pub now: Instant,
    outcomes: Vec<String>,
}

impl<P: Shown> Bench<P> {
    /// The client's connection is there, and nothing was received on it.
    pub fn opened(client: Client<P, u32>) -> Self {
        let mut connections = Connections::new();
        let id = connections.open(0, Origin::Peer(0)).expect("room");
        let now = Instant::from_millis(1_000);
        let mut bench = Self { client, connections, id, now, outcomes: vec![] };
        bench.with(|client, context| client.opened(id, context));
        bench
    }

    /// There is another connection, in place of one that is closed.
    pub fn reopen(&mut self) {
        self.connections.remove(self.id);
        let id = self.connections.open(0, Origin::Peer(0)).expect("room");
        self.id = id;
        self.with(|client, context| client.opened(id, context));
    }

    pub fn with<R>(&mut self, act: impl FnOnce(&mut Client<P, u32>, &mut Context<'_>) -> R) -> R {
        let mut context = Context {
            now: self.now,
            unix_time: Duration::ZERO,
            entropy: &mut NoEntropy,
            connections: &mut self.connections,
            disk: None,
        };
        act(&mut self.client, &mut context)
    }

    pub fn connection(&mut self) -> &mut Connection {
        self.connections.get_mut(self.id).expect("open")
    }

    pub fn receive(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection().input.write(bytes.as_ref()).expect("fits");
        self.pull();
    }

    pub fn close(&mut self) {
        self.client.closed(self.id);
        self.pull();
    }

    pub fn turn_after(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.pull();
    }

    fn pull(&mut self) {
        let mut outcomes = Vec::new();
        self.with(|client, context| {
            while let Some((token, outcome)) = client.next_outcome(context) {
                outcomes.push(format!("{token}={}", shown::<P>(outcome)));
            }
        });
        self.outcomes.append(&mut outcomes);
    }

    /// What was sent since it was last asked.
    pub fn take_sent(&mut self) -> Vec<u8> {
        let output = &mut self.connection().output;
        let sent = output.as_slice().to_vec();
        output.clear();
        sent
    }

    /// What became of tokens since it was last asked.
    pub fn outcomes(&mut self) -> String {
        core::mem::take(&mut self.outcomes).join(" ")
    }

    /// Whether the client has given the connection up.
    pub fn is_dropped(&self) -> bool {
        self.connections.get(self.id).is_some_and(|connection| connection.ending() == Ending::Abort)
    }

    /// Why the server is of no use.
    pub fn reason(&self) -> String {
        self.client.explained_readiness().expect_err("not ready").into_owned()
    }
}

fn shown<P: Shown>(outcome: Outcome<P::Answer<'_>>) -> String {
    match outcome {
        Outcome::Answer(answer) => P::shown(answer),
        Outcome::Overdue => "overdue".into(),
        Outcome::Lost => "lost".into(),
    }
}
