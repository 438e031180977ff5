//! A simulated node: the runtime and the stack of a guest, on a simulated card.
//!
//! Has clocks that may be wrong; the simulation says when its turn is.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::clock::Clock;
use crate::device::SimulatedDevice;
use crate::disk::SimulatedDisk;
use crate::random::Random;
use kernel_app::connections::Connections;
use kernel_app::disk::DiskError;
use kernel_app::runtime::{Runtime, StartError};
use kernel_app::service::Service;
use kernel_app::stack::{Address, AddressError, SOCKETS_MAX, Seeds, SmoltcpNetwork, StackConfig};
use kernel_app::usage::Usage;
use wire::Instant;

/// What a turn of a node takes. More than nothing, so that a node that is always due lets time pass.
pub const TURN_TIME: Duration = Duration::from_micros(1);

/// Names a node of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(pub(crate) usize);

/// Makes the services of a node, at each of its starts.
pub type Boot = Box<dyn FnMut() -> Vec<Box<dyn Service>>>;

/// A node that cannot be started.
#[derive(Debug)]
pub enum NodeError {
    /// Its address cannot be used.
    Address(AddressError),
    /// Its disk cannot be opened.
    Disk(DiskError),
    /// Its services cannot be started.
    Start(StartError),
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Disk(error) => write!(f, "the disk cannot be opened: {error}"),
            Self::Start(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NodeError {}

/// A node: its programs, its card, its clocks and its disk.
pub(crate) struct Node {
    pub name: String,
    address: Ipv4Addr,
    hardware_address: [u8; 6],
    boot: Boot,
    random: Random,
    pub clock: Clock,
    disk: Option<SimulatedDisk>,
    /// None while the node is down.
    runtime: Option<Runtime<SmoltcpNetwork<SimulatedDevice>>>,
    /// When the next turn is due.
    due: Option<Instant>,
    /// The last turn takes until then.
    busy_until: Instant,
    /// Since when it is paused, on its own clock.
    paused: Option<Instant>,
    /// Why it has ended by itself.
    pub failure: Option<String>,
}

impl Node {
    /// A node that is down.
    pub fn new(
        name: &str,
        address: Ipv4Addr,
        hardware_address: [u8; 6],
        disk: Option<SimulatedDisk>,
        boot: Boot,
        random: Random,
    ) -> Self {
        Self {
            name: name.into(),
            address,
            hardware_address,
            boot,
            random,
            clock: Clock::default(),
            disk,
            runtime: None,
            due: None,
            busy_until: Instant::ZERO,
            paused: None,
            failure: None,
        }
    }

    /// Starts with new services and an empty network.
    pub fn start(&mut self, now: Instant) -> Result<(), NodeError> {
        self.kill(now);
        self.failure = None;
        self.clock.reset(now);
        let local = self.clock.local(now);
        let cidr = format!("{}/24", self.address);
        let config = StackConfig {
            hardware_address: self.hardware_address,
            address: Address::Static { cidr, gateway: None, dns: None },
            mtu: None,
            sockets_max: SOCKETS_MAX,
            seeds: Seeds::draw(&mut self.random),
        };
        let network =
            SmoltcpNetwork::new(SimulatedDevice::default(), &config, local).map_err(NodeError::Address)?;
        let mut runtime = Runtime::new(network, (self.boot)()).map_err(NodeError::Start)?;
        if let Some(disk) = &self.disk {
            disk.open().map_err(NodeError::Disk)?;
            runtime = runtime.with_disk(Box::new(disk.clone()));
        }
        runtime.start(local, self.clock.unix_time(now), &mut self.random).map_err(NodeError::Start)?;
        self.runtime = Some(runtime);
        self.wake(now);
        Ok(())
    }

    /// Stops at once, as in a power cut: nothing is sent any more, nothing is kept but what the disk has. One
    /// whose process has ended already may still lose what its disk's cache has.
    pub fn crash(&mut self, now: Instant) {
        self.kill(now);
        if let Some(disk) = &self.disk {
            disk.cut_power(self.clock.local(now));
        }
    }

    /// Ends the process at once: nothing is sent any more, the disk and its cache stay as they are.
    pub fn kill(&mut self, now: Instant) {
        if self.runtime.take().is_some()
            && let Some(disk) = &self.disk
        {
            disk.leave(self.clock.local(now));
        }
        (self.due, self.paused) = (None, None);
    }

    /// Nothing happens in the node until [`Node::resume`]; frames wait in its card.
    pub fn pause(&mut self, now: Instant) {
        self.paused = self.paused.or_else(|| self.is_up().then(|| self.clock.local(now)));
    }

    /// Goes on, with clocks that went on meanwhile or with a monotonic one that stood.
    pub fn resume(&mut self, now: Instant, clock_stood: bool) {
        let Some(since) = self.paused.take() else { return };
        if clock_stood {
            self.clock.set(now, since);
        }
        self.wake(now);
    }

    /// The monotonic clock jumps ahead.
    pub fn leap(&mut self, now: Instant, by: Duration) {
        self.clock.set(now, self.clock.local(now) + by);
        if self.is_up() {
            self.wake(now);
        }
    }

    /// The connection table, while the node is up.
    pub fn connections(&self) -> Option<&Connections> {
        self.runtime.as_ref().map(Runtime::connections)
    }

    /// How much of what it bounds is in use, while it is up.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        if let Some(runtime) = &self.runtime {
            runtime.report_usage(report);
        }
    }

    /// Makes the monotonic clock run at another rate; deadlines are looked at anew.
    pub fn set_drift(&mut self, now: Instant, drift_ppm: i32) {
        self.clock.set_drift(now, drift_ppm);
        if self.is_up() {
            self.wake(now);
        }
    }

    pub fn is_up(&self) -> bool {
        self.runtime.is_some()
    }

    /// Asks for a turn as soon as the node is free.
    pub fn wake(&mut self, now: Instant) {
        let at = now.max(self.busy_until);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// When it is to have a turn, unless it is paused.
    pub fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.paused.is_none())
    }

    /// A frame arrives; a node that is down does not hear it.
    pub fn receive(&mut self, frame: Vec<u8>, now: Instant) {
        if let Some(runtime) = &mut self.runtime
            && runtime.network_mut().device_mut().receive_frame(frame)
        {
            self.wake(now);
        }
    }

    /// One turn of the event loop; gives the frames that it sent.
    pub fn turn(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let Some(runtime) = &mut self.runtime else { return Vec::new() };
        let due = runtime.turn(self.clock.local(now), self.clock.unix_time(now), &mut self.random);
        self.busy_until = now + TURN_TIME;
        self.due = due.map(|due| self.clock.simulated(due).max(self.busy_until));
        if let Some(reason) = runtime.failure() {
            self.failure = Some(reason.into());
            self.kill(now);
            return Vec::new();
        }
        runtime.network_mut().device_mut().take_sent()
    }
}
