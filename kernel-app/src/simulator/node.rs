//! A simulated node: the runtime and the stack of a guest, on a simulated card.
//!
//! Has no clock of its own; the simulation says when its turn is.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;
use core::time::Duration;

use super::device::SimulatedDevice;
use super::random::Random;
use crate::runtime::{Runtime, StartError};
use crate::service::Service;
use crate::stack::{Address, AddressError, SOCKETS_MAX, SmoltcpNetwork, StackConfig};
use wire::Instant;

/// What a turn of a node takes. More than nothing, so that a node that is always due lets time pass.
pub const TURN_TIME: Duration = Duration::from_micros(1);

/// Makes the services of a node, at each of its starts.
pub type Boot = Box<dyn FnMut() -> Vec<Box<dyn Service>>>;

/// A node that cannot be started.
#[derive(Debug)]
pub enum NodeError {
    /// Its address cannot be used.
    Address(AddressError),
    /// Its services cannot be started.
    Start(StartError),
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Start(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for NodeError {}

/// See the module.
pub(super) struct Node {
    pub name: String,
    address: Ipv4Addr,
    hardware_address: [u8; 6],
    boot: Boot,
    random: Random,
    /// None while the node is down.
    runtime: Option<Runtime<SmoltcpNetwork<SimulatedDevice>>>,
    /// When the next turn is due.
    due: Option<Instant>,
    /// The last turn takes until then.
    busy_until: Instant,
}

impl Node {
    /// A node that is down.
    pub fn new(name: &str, address: Ipv4Addr, hardware_address: [u8; 6], boot: Boot, random: Random) -> Self {
        let name = name.into();
        let busy_until = Instant::ZERO;
        Self { name, address, hardware_address, boot, random, runtime: None, due: None, busy_until }
    }

    /// Starts with new services and an empty network, as after a power cut.
    pub fn start(&mut self, now: Instant, unix_time: Duration) -> Result<(), NodeError> {
        let cidr = format!("{}/24", self.address);
        let config = StackConfig {
            hardware_address: self.hardware_address,
            address: Address::Static { cidr, gateway: None, dns: None },
            sockets_max: SOCKETS_MAX,
            seed: self.random.next(),
        };
        let network =
            SmoltcpNetwork::new(SimulatedDevice::default(), &config, now).map_err(NodeError::Address)?;
        let mut runtime = Runtime::new(network, (self.boot)()).map_err(NodeError::Start)?;
        runtime.start(now, unix_time, &mut self.random).map_err(NodeError::Start)?;
        self.runtime = Some(runtime);
        self.wake(now);
        Ok(())
    }

    /// Stops at once: nothing is sent any more, nothing is kept.
    pub fn crash(&mut self) {
        self.runtime = None;
        self.due = None;
    }

    pub fn is_up(&self) -> bool {
        self.runtime.is_some()
    }

    /// Asks for a turn as soon as the node is free.
    pub fn wake(&mut self, now: Instant) {
        let at = now.max(self.busy_until);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    pub fn due(&self) -> Option<Instant> {
        self.due
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
    pub fn turn(&mut self, now: Instant, unix_time: Duration) -> Vec<Vec<u8>> {
        let Some(runtime) = &mut self.runtime else { return Vec::new() };
        let due = runtime.turn(now, unix_time, &mut self.random);
        self.busy_until = now + TURN_TIME;
        self.due = due.map(|due| due.max(self.busy_until));
        runtime.network_mut().device_mut().take_sent()
    }
}
