//! One turn of the event loop: it passes network events to services, and the services' bytes to the network.
//!
//! The runtime reads no clock and knows no substrate. The platform calls [`Runtime::turn`] with the time, and then
//! waits until the deadline that it returns. Services decide what happens to a connection.

mod peers;
mod pipes;
#[cfg(test)]
mod tests;
mod through_memory;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::connections::{ConnectionId, Connections, HeapUsage};
use crate::disk::Disk;
use crate::network::{Event, ListenError, Network};
use crate::service::{Context, Endpoints, Origin, Peer, Service, Target};
use crate::shutdown::{ShutdownPhase, StopToken};
use crate::usage::Usage;
use peers::{Goal, Peers};
use pipes::Pipes;
use wire::Entropy;
use wire::Instant;

/// Most times per turn that bytes move through memory and the services' `turn` follows; what is left
/// then moves in the next turn, after the network had its share.
const MEMORY_ROUNDS_MAX: usize = 8;

/// Services on a network: everything of a node but its clock and its entropy.
pub struct Runtime<N> {
    network: N,
    connections: Connections,
    disk: Option<Box<dyn Disk>>,
    events: Vec<Event>,
    node: Node,
}

/// What events are dispatched to; apart from the table and the network, so that services can be
/// called with the table borrowed.
struct Node {
    services: Vec<Box<dyn Service>>,
    peers: Peers,
    pipes: Pipes,
}

/// A node that cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// A port cannot be listened on.
    Listen(ListenError),
    /// A service must not run.
    Service(String),
    /// A `memory://` peer that is not in this image.
    NoSuchService {
        /// Name of the service that has the peer.
        service: &'static str,
        /// Name of the peer.
        peer: &'static str,
        /// The service it names.
        wanted: String,
        /// The listener it names.
        listener: &'static str,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(error) => error.fmt(f),
            Self::Service(reason) => f.write_str(reason),
            Self::NoSuchService { service, peer, wanted, listener } => write!(
                f,
                "{service} wants its {peer} at memory://{wanted}, but this image has no service \
                 {wanted:?} that listens for {listener}; name one that it has, or a host and port"
            ),
        }
    }
}

impl core::error::Error for StartError {}

impl From<ListenError> for StartError {
    fn from(error: ListenError) -> Self {
        Self::Listen(error)
    }
}

impl<N: Network> Runtime<N> {
    /// Services ready to run: their ports are listened on, their peers are dialled by the first turn.
    /// A listener with port 0 is met through memory only.
    ///
    /// # Errors
    /// When a port is taken or a `memory://` peer is not among `services`.
    pub fn new(mut network: N, services: Vec<Box<dyn Service>>) -> Result<Self, StartError> {
        let endpoints: Vec<_> = services.iter().map(|service| service.endpoints()).collect();
        let mut peers = Peers::default();
        for (index, service) in services.iter().enumerate() {
            let Endpoints { listeners, peers: wanted } = &endpoints[index];
            for (number, listener) in listeners.iter().enumerate().filter(|(_, l)| l.port != 0) {
                network.listen(listener.port, index, Origin::Accepted(number))?;
            }
            for (number, peer) in wanted.iter().enumerate() {
                let goal = goal_of(service.name(), peer, &services, &endpoints)?;
                peers.add((index, number), service.name(), peer, goal);
            }
        }
        let node = Node { services, peers, pipes: Pipes::default() };
        Ok(Self { network, connections: Connections::new(), disk: None, events: Vec::new(), node })
    }

    /// Gives the node its disk.
    pub fn with_disk(mut self, disk: Box<dyn Disk>) -> Self {
        self.disk = Some(disk);
        self
    }

    /// Lets requests that name this secret order the node to stop.
    pub fn accept_stop_requests(&mut self, token: StopToken) {
        self.connections.stop_token = token;
    }

    /// Starts the services. Comes once, before the first turn.
    ///
    /// # Errors
    /// [`StartError::Service`], when one of them must not run.
    pub fn start(
        &mut self,
        now: Instant,
        unix_time: Duration,
        entropy: &mut dyn Entropy,
    ) -> Result<(), StartError> {
        let Self { connections, disk, node, .. } = self;
        let disk = disk.as_mut().map(|disk| &mut **disk as &mut dyn Disk);
        let mut context = Context { now, unix_time, entropy, connections, disk };
        node.services
            .iter_mut()
            .try_for_each(|service| service.start(&mut context))
            .map_err(StartError::Service)
    }

    /// One turn: what arrived goes to the services, what they wrote goes out. Returns when the next
    /// turn is due even if nothing arrives; `now` when work is left.
    pub fn turn(&mut self, now: Instant, unix_time: Duration, entropy: &mut dyn Entropy) -> Option<Instant> {
        self.connections.begin_turn(now);
        if self.connections.shutdown.is_under_way() {
            self.advance_shutdown(now);
        }
        self.network.poll(now, &mut self.connections, &mut self.events);
        let disk = self.disk.as_mut().map(|disk| &mut **disk as &mut dyn Disk);
        let mut context = Context { now, unix_time, entropy, connections: &mut self.connections, disk };
        for event in self.events.drain(..) {
            self.node.dispatch(event, &mut context);
            context.connections.relieve_memory();
        }
        self.node.dial(&mut self.network, &mut context);
        let work_left = self.node.run(&mut context);
        self.network.flush(now, &mut self.connections);
        if work_left {
            return Some(now);
        }
        let disk = self.disk.as_ref().and_then(|disk| disk.next_deadline());
        let deadlines = [self.network.next_deadline(now), self.node.next_deadline(), disk];
        let deadline = Instant::earliest(deadlines);
        if self.connections.shutdown.is_under_way() { self.stop_by(deadline, now) } else { deadline }
    }

    /// Why the node must not go on, if so.
    pub fn failure(&self) -> Option<&str> {
        self.node.services.iter().find_map(|service| service.failure())
    }

    /// Orders the node to stop. With a `notice`, connections are taken for that long; without one, until the next
    /// order.
    pub fn stop(&mut self, notice: Option<Duration>, now: Instant) {
        self.connections.shutdown.order(notice, now);
    }

    /// Whether the node has stopped: no more turns are wanted.
    pub fn has_stopped(&self) -> bool {
        self.connections.shutdown.is_over()
    }

    /// Called before each turn of a node that is stopping.
    #[cold]
    fn advance_shutdown(&mut self, now: Instant) {
        let phase = self.connections.shutdown.advance(now);
        if phase == ShutdownPhase::Draining && self.connections.shutdown_phase() != phase {
            self.network.stop_listening();
        }
        self.connections.set_shutdown_phase(phase);
    }

    /// After such a turn: when the next one is due, if its services have this deadline.
    #[cold]
    fn stop_by(&mut self, deadline: Option<Instant>, now: Instant) -> Option<Instant> {
        let writes = self.disk.as_ref().is_some_and(|disk| disk.is_busy());
        let connections = &mut self.connections;
        let is_told = connections.shutdown.phase() == connections.shutdown_phase();
        if is_told && !writes && !connections.holds_drain() {
            let is_alone = !connections.has_clients();
            connections.shutdown.note_drained(is_alone, now);
        }
        if connections.shutdown.phase() != connections.shutdown_phase() {
            // A request of this turn has ordered it, or nothing is under way any more: the next turn acts on that.
            return Some(now);
        }
        Instant::earliest([deadline, self.connections.shutdown.next_deadline()])
    }

    /// Sleeps until something arrives or `deadline` passes; without one, until something arrives.
    pub fn wait(&mut self, now: Instant, deadline: Option<Instant>) {
        self.network.wait(now, deadline);
    }

    /// The network, for what its platform asks of it.
    pub fn network_mut(&mut self) -> &mut N {
        &mut self.network
    }

    /// See [`Connections::watch_memory`].
    pub fn watch_memory(&mut self, connections: usize, is_short: fn() -> bool, usage: fn() -> HeapUsage) {
        self.connections.watch_memory(connections, is_short, usage);
    }

    /// The connection table as it is between turns.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// How much of what the network and the services bound is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.network.report_usage(report);
        self.node.services.iter().for_each(|service| service.report_usage(report));
    }
}

impl Node {
    fn dispatch(&mut self, event: Event, context: &mut Context<'_>) {
        match event {
            Event::Opened(id) => self.opened(id, context),
            Event::Ready(id) => self.ready(id, context),
            Event::Closed(id) => self.closed(id, context),
            Event::Unreachable { service, peer, reason } => {
                self.peers.failed(service, peer, reason, context);
                if let Some(service) = self.services.get_mut(service) {
                    service.unreachable(peer, reason);
                }
            }
            // The client acts on it in its turn.
            Event::Moved { service, peer } => {
                let id = context.connections.to_peer(service, peer);
                if let Some(connection) = id.and_then(|id| context.connections.get_mut(id)) {
                    connection.peer_has_moved = true;
                }
            }
        }
    }

    fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let Some((service, origin)) = owner(id, context) else { return };
        if let Origin::Peer(peer) = origin {
            self.peers.reached(service, peer, context.now);
        }
        self.services[service].opened(id, origin, context);
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        if let Some((service, _)) = owner(id, context) {
            self.services[service].ready(id, context);
        }
    }

    fn closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let Some((service, origin)) = owner(id, context) else { return };
        self.services[service].closed(id, context);
        context.connections.remove(id);
        if let Origin::Peer(peer) = origin {
            self.peers.lost(service, peer, context);
        }
    }

    /// Dials the peers that are due.
    fn dial<N: Network>(&mut self, network: &mut N, context: &mut Context<'_>) {
        while let Some((service, peer, goal)) = self.peers.take_due(context.now) {
            match goal {
                Goal::Host { host, port } => network.connect(host, *port, service, peer, context.now),
                Goal::Memory { service: server, listener } => {
                    let ends = [(service, Origin::Peer(peer)), (*server, Origin::Accepted(*listener))];
                    self.join(ends, context);
                }
            }
        }
    }

    /// Calls the services' `turn`, and moves what they have for one another through memory, until all
    /// is quiet. Says whether something is left because there was too much.
    fn run(&mut self, context: &mut Context<'_>) -> bool {
        for round in 0..MEMORY_ROUNDS_MAX {
            let moved = self.move_through_memory(context);
            if round > 0 && !moved {
                return false;
            }
            for service in &mut self.services {
                service.turn(context);
                context.connections.relieve_memory();
            }
            if self.pipes.is_empty() {
                return false;
            }
        }
        true
    }

    fn next_deadline(&self) -> Option<Instant> {
        let services = self.services.iter().filter_map(|service| service.next_deadline()).min();
        Instant::earliest([services, self.peers.next_deadline(), self.pipes.next_deadline()])
    }
}

/// Whose connection it is and how it came to be, while it lives.
fn owner(id: ConnectionId, context: &Context<'_>) -> Option<(usize, Origin)> {
    context.connections.get(id).map(|connection| (connection.service, connection.origin))
}

/// Where a peer is, with the names of a `memory://` one looked up.
fn goal_of(
    service: &'static str,
    peer: &Peer,
    services: &[Box<dyn Service>],
    endpoints: &[Endpoints],
) -> Result<Goal, StartError> {
    let (wanted, name) = match &peer.target {
        Target::Host { host, port } => return Ok(Goal::Host { host: host.clone(), port: *port }),
        Target::Memory { service, listener } => (service, *listener),
    };
    let found = services.iter().position(|service| service.name() == wanted).and_then(|index| {
        let listener = endpoints[index].listeners.iter().position(|listener| listener.name == name)?;
        Some(Goal::Memory { service: index, listener })
    });
    found.ok_or_else(|| StartError::NoSuchService {
        service,
        peer: peer.name,
        wanted: wanted.clone(),
        listener: name,
    })
}
