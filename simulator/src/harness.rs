//! One service in the hands of a test: the test is its network, its clock and its dice.
//!
//! No simulation: nothing is delayed, cut or lost unless the test says so.

use std::time::Duration;

use kernel_app::connections::{ConnectionId, Connections, Ending};
use kernel_app::service::{Context, Origin, Service};
use wire::{Entropy, Instant};

/// Most turns that [`Harness::pass`] takes; more mean that a deadline is never met.
pub const TURNS_MAX: usize = 100_000;

/// A service that a test drives.
#[derive(Debug)]
pub struct Harness<S> {
    /// What is tested.
    pub service: S,
    /// The connection table of the service.
    pub connections: Connections,
    /// The time it is told.
    pub now: Instant,
    dice: Dice,
}

/// Different bytes at every call, and the same ones in every run.
#[derive(Debug, Default)]
struct Dice(u64);

impl Entropy for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

impl<S: Service> Harness<S> {
    /// A service one second after the clock's start, without connections or a disk.
    ///
    /// # Panics
    /// When it does not start.
    pub fn new(service: S) -> Self {
        let now = Instant::from_millis(1_000);
        let mut harness = Self { service, connections: Connections::new(), now, dice: Dice::default() };
        harness.call(|service, context| service.start(context)).expect("the service starts");
        harness
    }

    /// A client connects to the first listener.
    ///
    /// # Panics
    /// When the connection table is full.
    pub fn accept(&mut self) -> ConnectionId {
        self.open(Origin::Accepted(0))
    }

    /// The first peer is reached.
    ///
    /// # Panics
    /// When the connection table is full.
    pub fn reach_peer(&mut self) -> ConnectionId {
        self.open(Origin::Peer(0))
    }

    /// Bytes arrive, and the loop turns.
    ///
    /// # Panics
    /// When the connection is gone or its input is full.
    pub fn receive(&mut self, id: ConnectionId, bytes: impl AsRef<[u8]>) {
        let connection = self.connections.get_mut(id).expect("the connection is open");
        connection.input.write(bytes.as_ref()).expect("the input has room");
        self.call(|service, context| service.ready(id, context));
        self.turn();
    }

    /// The same, and the other side's end behind them, as it is when it came before anybody looked.
    ///
    /// # Panics
    /// When the connection is gone or its input is full.
    pub fn receive_last(&mut self, id: ConnectionId, bytes: impl AsRef<[u8]>) {
        let connection = self.connections.get_mut(id).expect("the connection is open");
        (connection.input_ended, connection.peer_ended) = (true, true);
        self.receive(id, bytes);
    }

    /// Takes what was sent.
    ///
    /// # Panics
    /// When the connection is gone, or what was sent is not UTF-8.
    pub fn sent(&mut self, id: ConnectionId) -> String {
        let output = &mut self.connections.get_mut(id).expect("the connection is open").output;
        let text = String::from_utf8(output.as_slice().to_vec()).expect("UTF-8");
        output.clear();
        text
    }

    /// Whether and how the service wants the connection to end; none when it has ended.
    pub fn ending(&self, id: ConnectionId) -> Option<Ending> {
        self.connections.get(id).map(|connection| connection.ending())
    }

    /// The connection ends, and the loop turns.
    pub fn close(&mut self, id: ConnectionId) {
        self.call(|service, context| service.closed(id, context));
        self.connections.remove(id);
        self.turn();
    }

    /// Time passes: the loop turns at each of the service's deadlines, and at the end.
    ///
    /// # Panics
    /// When the service's deadlines never pass.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..TURNS_MAX {
            match self.service.next_deadline() {
                Some(deadline) if deadline < end => self.now = self.now.max(deadline),
                _ => {
                    self.now = end;
                    return self.turn();
                }
            }
            self.turn();
        }
        panic!("the service wants to be called at {:?}, again and again", self.service.next_deadline());
    }

    fn open(&mut self, origin: Origin) -> ConnectionId {
        let id = self.connections.open(0, origin).expect("the table has room");
        self.call(|service, context| service.opened(id, origin, context));
        self.turn();
        id
    }

    fn turn(&mut self) {
        self.call(|service, context| service.turn(context));
    }

    fn call<R>(&mut self, act: impl FnOnce(&mut S, &mut Context<'_>) -> R) -> R {
        let Self { service, connections, now, dice } = self;
        let unix_time = Duration::from_secs(1_700_000_000);
        act(service, &mut Context { now: *now, unix_time, entropy: dice, connections, disk: None })
    }
}
