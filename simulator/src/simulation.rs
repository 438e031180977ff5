//! Nodes on a simulated wire under a virtual clock: the same services, runtime and TCP stack as in a
//! guest, with one seed that decides everything that is left to chance.
//!
//! What can go wrong: frames are lost, late, reordered, doubled, or cut off on one way or both
//! ([`Conditions`], [`Simulation::connect_one_way`]); nodes lose their power or only their process, start, and
//! pause; their clocks are wrong and jump; their disks are slow, full, failing, rotten, torn by power cuts and
//! cached ([`disk`](crate::disk)).
//!
//! Two simulations that are built and driven alike with the same seed put the same frames on the wire
//! at the same times, which [`Simulation::trace_hash`] shows. Simulates no processor: a turn takes
//! [`TURN_TIME`](crate::node::TURN_TIME), however much is done in it.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::client::{self, Client, RequestId};
use crate::disk::SimulatedDisk;
use crate::node::{Boot, Node, NodeError, NodeId};
use crate::random::Random;
use crate::station::{StationId, Stations};
use ether::{Conditions, Ether, FrameCounts};
use kernel_app::connections::Connections;
use kernel_app::service::Service;
use kernel_app::usage::Usage;
use wire::Instant;

/// A condition did not come true within its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedOut {
    /// How long it was waited for, in simulated time.
    pub limit: Duration,
    /// Whether nothing at all was left to happen.
    pub is_quiet: bool,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the condition did not come true within {:?} of simulated time", self.limit)?;
        if self.is_quiet { f.write_str(", and nothing is left to happen") } else { Ok(()) }
    }
}

impl std::error::Error for TimedOut {}

/// Nodes, the wire between them and their clock.
///
/// ```
/// use core::time::Duration;
/// use kernel_app::http::HttpService;
/// # use kernel_app::http::{Answer, Exchange, Handler, Method, Request, Response, Route};
/// # use kernel_app::metrics::Exposition;
/// # use kernel_app::{Context, Service};
/// use simulator::{Simulation, client};
///
/// struct Greeter;
/// # impl Handler for Greeter {
/// #     fn routes(&self) -> &'static [Route] { &[Route { path: "/", methods: &[Method::Get] }] }
/// #     fn handle(&mut self, _: &Request<'_>, _: Exchange, _: &mut Context<'_>) -> Answer<'_> {
/// #         Answer::Now(Response::text(200, "hello"))
/// #     }
/// #     fn readiness(&self) -> Result<(), std::borrow::Cow<'_, str>> { Ok(()) }
/// #     fn metrics(&self, _: &mut Exposition) {}
/// # }
/// // impl Handler for Greeter: answers "hello".
///
/// let mut simulation = Simulation::new(7);
/// let (server, browser) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
/// let boot = || vec![Box::new(HttpService::new("greeter", 8080, 1024, Greeter)) as Box<dyn Service>];
/// let node = simulation.add_node("greeter", server, boot)?;
/// let client = simulation.add_client("browser", browser, (server, 8080), 1)?;
/// let request = simulation.send(&client, &client::get("/"));
/// simulation.run_until(|_| client.response(request).is_some(), Duration::from_secs(5))?;
/// assert_eq!(client.response(request).unwrap().text(), "hello");
///
/// // The power goes, and everything with it that is not on a disk.
/// simulation.crash(node);
/// simulation.restart(node)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Simulation {
    now: Instant,
    random: Random,
    nodes: Vec<Node>,
    stations: Stations,
    ether: Ether,
    steps: u64,
}

impl Simulation {
    /// No nodes yet, on a quiet network.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let ether = Ether::new(random.fork());
        Self { now: Instant::ZERO, random, nodes: Vec::new(), stations: Stations::default(), ether, steps: 0 }
    }

    /// Adds a node and starts it; `boot` makes its services now and after every crash.
    ///
    /// # Errors
    /// When the services cannot be started.
    pub fn add_node(
        &mut self,
        name: &str,
        address: Ipv4Addr,
        boot: impl FnMut() -> Vec<Box<dyn Service>> + 'static,
    ) -> Result<NodeId, NodeError> {
        self.add(name, address, None, Box::new(boot))
    }

    /// The same, with a disk whose content stays across crashes.
    ///
    /// # Errors
    /// When the services cannot be started.
    pub fn add_node_with_disk(
        &mut self,
        name: &str,
        address: Ipv4Addr,
        disk: &SimulatedDisk,
        boot: impl FnMut() -> Vec<Box<dyn Service>> + 'static,
    ) -> Result<NodeId, NodeError> {
        self.add(name, address, Some(disk.clone()), Box::new(boot))
    }

    fn add(
        &mut self,
        name: &str,
        address: Ipv4Addr,
        disk: Option<SimulatedDisk>,
        boot: Boot,
    ) -> Result<NodeId, NodeError> {
        let index = self.nodes.len();
        let hardware_address = ether::hardware_address(index);
        let mut node = Node::new(name, address, hardware_address, disk, boot, self.random.fork());
        node.start(self.now)?;
        self.nodes.push(node);
        Ok(NodeId(index))
    }

    /// An empty disk of so many sectors.
    pub fn new_disk(&mut self, sectors: u64) -> SimulatedDisk {
        SimulatedDisk::new(sectors, self.random.fork())
    }

    /// Adds a node that sends HTTP requests to `server`, over as many connections as are given.
    ///
    /// # Errors
    /// When the node cannot be started.
    pub fn add_client(
        &mut self,
        name: &str,
        address: Ipv4Addr,
        server: (Ipv4Addr, u16),
        connections: usize,
    ) -> Result<Client, NodeError> {
        let requests = client::Requests::default();
        let services = client::boot(server, connections, requests.clone());
        Ok(Client { node: self.add_node(name, address, services)?, requests })
    }

    /// Queues a request at a client.
    pub fn send(&mut self, client: &Client, request: &[u8]) -> RequestId {
        self.nodes[client.node.0].wake(self.now);
        client.requests.borrow_mut().push(request)
    }

    /// Gives a request up: one that was sent loses its connection, as when a browser's tab is closed.
    pub fn abandon(&mut self, client: &Client, request: RequestId) {
        self.nodes[client.node.0].wake(self.now);
        client.requests.borrow_mut().abandon(request);
    }

    /// Adds a station.
    pub fn add_station(&mut self) -> StationId {
        self.stations.add()
    }

    /// The Ethernet address at which frames reach a station.
    pub fn station_address(&self, station: StationId) -> [u8; 6] {
        ether::hardware_address(station.position())
    }

    /// Sends a frame from a station, whatever is in it.
    pub fn send_frame(&mut self, station: StationId, frame: &[u8]) {
        self.carry(station.position(), frame);
    }

    /// Takes the frames that have arrived at a station.
    pub fn take_frames(&mut self, station: StationId) -> Vec<Vec<u8>> {
        self.stations.take(station)
    }

    /// Simulated time since the start.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Of every frame sent so far, with its sender and its time.
    pub fn trace_hash(&self) -> u64 {
        self.ether.trace.hash()
    }

    /// How many frames were sent so far.
    pub fn frames(&self) -> u64 {
        self.ether.trace.frames()
    }

    /// Keeps frames from now on, up to [`CAPTURE_BYTES_MAX`](ether::capture::CAPTURE_BYTES_MAX).
    pub fn record(&mut self) {
        self.ether.trace.record();
    }

    /// The recorded frames as a capture file (pcap).
    pub fn recording(&self) -> &[u8] {
        self.ether.trace.recording()
    }

    /// What frames meet on the wire from now on.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.ether.conditions = conditions;
    }

    /// What has happened to frames so far.
    pub fn frame_counts(&self) -> FrameCounts {
        self.ether.counts
    }

    /// Cuts or mends the wire between two nodes.
    pub fn connect(&mut self, one: NodeId, other: NodeId, connected: bool) {
        self.connect_one_way(one, other, connected);
        self.connect_one_way(other, one, connected);
    }

    /// Cuts or mends one way of the wire between two nodes.
    pub fn connect_one_way(&mut self, from: NodeId, to: NodeId, connected: bool) {
        self.ether.connect(from.0, to.0, connected);
    }

    /// Makes a node's monotonic clock fast or slow, by at most [`DRIFT_PPM_MAX`](crate::DRIFT_PPM_MAX) millionths.
    pub fn set_clock_drift(&mut self, node: NodeId, drift_ppm: i32) {
        self.nodes[node.0].set_drift(self.now, drift_ppm);
    }

    /// Makes a node's wall clock wrong by this much.
    pub fn set_wall_clock_offset(&mut self, node: NodeId, offset_ms: i64) {
        self.nodes[node.0].clock.set_wall_offset_ms(offset_ms);
    }

    /// Stops a node as a power cut does.
    pub fn crash(&mut self, node: NodeId) {
        self.nodes[node.0].crash(self.now);
    }

    /// Ends a node's process: what it wrote and did not flush stays in its disk's cache.
    pub fn kill(&mut self, node: NodeId) {
        self.nodes[node.0].kill(self.now);
    }

    /// Stops a node as SIGSTOP does, until [`Simulation::resume`]: frames wait in its card, as far as there is room.
    pub fn pause(&mut self, node: NodeId) {
        self.nodes[node.0].pause(self.now);
    }

    /// Lets a paused node go on; its monotonic clock may have stood meanwhile, as that of a stopped machine.
    pub fn resume(&mut self, node: NodeId, clock_stood: bool) {
        self.nodes[node.0].resume(self.now, clock_stood);
    }

    /// Makes a node's monotonic clock jump ahead, as it does when a machine was suspended.
    pub fn leap(&mut self, node: NodeId, by: Duration) {
        self.nodes[node.0].leap(self.now, by);
    }

    /// Starts a node anew, also one that is up.
    ///
    /// # Errors
    /// When its services cannot be started; the node is down then.
    pub fn restart(&mut self, node: NodeId) -> Result<(), NodeError> {
        self.nodes[node.0].start(self.now)
    }

    /// Why a node has ended by itself, if it has.
    pub fn failure(&self, node: NodeId) -> Option<&str> {
        self.nodes[node.0].failure.as_deref()
    }

    /// A node's connection table, while it is up.
    pub fn connections(&self, node: NodeId) -> Option<&Connections> {
        self.nodes[node.0].connections()
    }

    /// How much of what a node's stack and services bound is in use, while it is up.
    pub fn report_usage(&self, node: NodeId, report: &mut dyn FnMut(Usage)) {
        self.nodes[node.0].report_usage(report);
    }

    /// How many times something has happened so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Gives a node a turn soon, because something outside of the simulation has changed for it.
    pub fn wake(&mut self, node: NodeId) {
        self.nodes[node.0].wake(self.now);
    }

    /// Whether a node is up.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.nodes[node.0].is_up()
    }

    /// What a node was called when it was added.
    pub fn name(&self, node: NodeId) -> &str {
        &self.nodes[node.0].name
    }

    /// Lets the next thing happen; false when nothing is left to happen.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next_event() else { return false };
        self.now = self.now.max(at);
        self.steps += 1;
        while let Some(arrival) = self.ether.take_arrived(self.now) {
            if !self.stations.receive(arrival.to, &arrival.frame) {
                self.nodes[arrival.to].receive(arrival.frame, self.now);
            }
        }
        for index in 0..self.nodes.len() {
            if self.nodes[index].due().is_some_and(|due| due <= self.now) {
                self.turn(index);
            }
        }
        true
    }

    /// Lets things happen until `condition` holds.
    ///
    /// # Errors
    /// When it does not hold within `limit` of simulated time.
    pub fn run_until(
        &mut self,
        mut condition: impl FnMut(&Self) -> bool,
        limit: Duration,
    ) -> Result<(), TimedOut> {
        let end = self.now + limit;
        while !condition(self) {
            match self.next_event() {
                None => return Err(TimedOut { limit, is_quiet: true }),
                Some(at) if at > end => {
                    self.now = end;
                    return Err(TimedOut { limit, is_quiet: false });
                }
                Some(_) => self.step(),
            };
        }
        Ok(())
    }

    /// Lets things happen for a time.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.next_event().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// When the next thing happens, unless nothing is left to happen.
    pub fn next_event(&self) -> Option<Instant> {
        let turns = self.nodes.iter().filter_map(Node::due).min();
        Instant::earliest([turns, self.ether.next_arrival()])
    }

    fn turn(&mut self, index: usize) {
        for frame in self.nodes[index].turn(self.now) {
            self.carry(index, &frame);
        }
    }

    fn carry(&mut self, from: usize, frame: &[u8]) {
        let positions = (0..self.nodes.len()).chain(self.stations.positions());
        self.ether.send(from, frame, positions, self.now);
    }
}
