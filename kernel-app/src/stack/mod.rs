//! TCP/IP for nodes that own their network device: smoltcp behind the [`Network`] contract.
//!
//! Used on Hermit (over virtio-net) and in the simulator (over a simulated wire). It drives no device
//! itself, that is the [`Device`]'s work, and it never sleeps. Read RFC 9293 before touching it.
//!
//! Sockets live in a pool of at most [`SOCKETS_MAX`] and are used again in place. Each port keeps
//! [`BACKLOG`] sockets listening; one that received a SYN is replaced before the next packets are read,
//! so a burst meets an open port for as long as the pool has room. After that, connections that are
//! missed least make room, see [`Connections::longest_idle`].

mod address;
mod dial;
mod pool;
mod transfer;

use alloc::vec::Vec;
use core::time::Duration;

use smoltcp::iface::{Config, Interface, PollIngressSingleResult, SocketSet};
use smoltcp::phy::Device;
use smoltcp::wire::{EthernetAddress, HardwareAddress};

use crate::connections::Connections;
use crate::network::{Event, ListenError, Network};
use crate::service::Origin;
use wire::Instant;

pub use address::{Address, AddressError};
use dial::Dials;
use pool::Pool;

/// Sockets that listen on each port.
pub const BACKLOG: usize = 16;
/// Most sockets of a node: listening, opening, open and closing together. Fewer in a small machine.
pub const SOCKETS_MAX: usize = 1024;
/// As many in the smallest machine.
pub const SOCKETS_MIN: usize = 64;
/// The part of the heap that sockets may take.
const SOCKETS_HEAP_DIVISOR: usize = 2;
/// Those of them that are left to connections that the node opens itself.
pub const DIAL_SOCKETS: usize = 8;
/// Sockets that are not of TCP: DHCP and DNS.
const OTHER_SOCKETS: usize = 2;
/// Free sockets that are kept for the next burst.
pub const SPARE_SOCKETS_KEPT: usize = 32;
/// How often free sockets beyond that are given back, if nobody has needed them in between.
pub const TRIM_INTERVAL: Duration = Duration::from_secs(5);
/// Receive window of a socket.
pub const RECEIVE_BYTES: usize = 4 * 1024;
/// Unacknowledged and unsent bytes that a socket holds.
pub const SEND_BYTES: usize = 8 * 1024;
/// What a socket takes of the heap.
const SOCKET_BYTES: usize = RECEIVE_BYTES + SEND_BYTES + 1024;
/// Payload of a full segment on Ethernet.
const SEGMENT_BYTES: usize = 1460;
/// Packets that are read before services get their turn.
pub const PACKETS_PER_TURN_MAX: usize = 256;
/// Segments of one socket that are sent in one turn.
pub const EGRESS_ROUNDS_MAX: usize = 8;
/// How long after the last packet the sockets are asked for their next timer. Asking costs as much as a
/// request, and packets come sooner than timers; those are late by this much at most.
pub const TIMERS_ASKED_AFTER: Duration = Duration::from_millis(10);
/// How long a handshake may take from the SYN on, the client's repeated tries included.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The part of the sockets that unfinished handshakes keep when new ones need them; beyond it, the oldest
/// go first, before any connection.
pub const HANDSHAKES_KEPT_DIVISOR: usize = 4;
/// How long a connection whose service has ended it may take to close before it is reset.
pub const LINGER: Duration = Duration::from_secs(2);
/// How long the other side of an open connection may be silent, probes and all, before it counts as lost.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often an accepted connection is probed that is otherwise silent. smoltcp counts a connection as lost
/// that has been silent for [`RESPONSE_TIMEOUT`], whether or not it owes anything.
pub const IDLE_KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How often an otherwise silent connection to a peer is probed.
pub const PEER_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// What a stack needs to know of its node.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// Ethernet address of the device.
    pub hardware_address: [u8; 6],
    /// Where the IPv4 address comes from.
    pub address: Address,
    /// Most sockets, at most [`SOCKETS_MAX`]; see [`sockets_max`].
    pub sockets_max: usize,
    /// Seed of TCP sequence numbers, ports and transaction ids; must be unpredictable.
    pub seed: u64,
}

/// Most sockets of a node with a heap of so many bytes.
pub fn sockets_max(heap_bytes: usize) -> usize {
    (heap_bytes / SOCKETS_HEAP_DIVISOR / SOCKET_BYTES).clamp(SOCKETS_MIN, SOCKETS_MAX)
}

/// What is known of the next timer.
enum Timers {
    /// Something was sent or received since the sockets were asked; they are asked again then.
    Stale(Instant),
    /// The earliest timer, if any runs.
    Due(Option<Instant>),
}

/// smoltcp over `D` as a [`Network`].
pub struct SmoltcpNetwork<D: Device> {
    device: D,
    interface: Interface,
    sockets: SocketSet<'static>,
    pool: Pool,
    dials: Dials,
    address: address::Addressing,
    /// A socket changed without a packet (an end was asked for, or input space came free).
    scan_due: bool,
    /// Rounds of egress to run: one sends at most one segment of each socket.
    egress_rounds: usize,
    /// When timers want attention.
    timers: Timers,
}

impl<D: Device> SmoltcpNetwork<D> {
    /// A stack over `device`; a static address is usable at once.
    ///
    /// # Errors
    /// When a static address or gateway cannot be used.
    pub fn new(mut device: D, config: &StackConfig, now: Instant) -> Result<Self, AddressError> {
        let hardware = HardwareAddress::Ethernet(EthernetAddress(config.hardware_address));
        let mut interface_config = Config::new(hardware);
        interface_config.random_seed = config.seed;
        let mut interface = Interface::new(interface_config, &mut device, stack_time(now));
        let mut sockets = SocketSet::new(Vec::with_capacity(config.sockets_max + OTHER_SOCKETS));
        let address = address::Addressing::new(&config.address, &mut interface, &mut sockets)?;
        Ok(Self {
            device,
            interface,
            sockets,
            pool: Pool::new(config.sockets_max),
            dials: Dials::new(config.seed),
            address,
            scan_due: false,
            egress_rounds: 1,
            timers: Timers::Due(Some(now)),
        })
    }

    /// The device underneath.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The device underneath, for what its platform does between turns.
    pub fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// This node's IPv4 address, once it has one.
    pub fn ipv4_address(&self) -> Option<core::net::Ipv4Addr> {
        self.interface.ipv4_addr()
    }

    /// Reads what has arrived; whether there was anything.
    fn ingress(&mut self, now: Instant) -> bool {
        let time = stack_time(now);
        let mut packets = 0;
        while packets < PACKETS_PER_TURN_MAX {
            let result = self.interface.poll_ingress_single(time, &mut self.device, &mut self.sockets);
            if result == PollIngressSingleResult::None {
                break;
            }
            packets += 1;
            // One packet takes at most one listening socket, so checking once a backlog is enough.
            if packets % BACKLOG == 0 {
                self.pool.replace_taken_listeners(now, &mut self.sockets);
            }
        }
        if packets > 0 {
            self.pool.replace_taken_listeners(now, &mut self.sockets);
        }
        packets > 0
    }

    /// Asks for at least `rounds` of egress in this turn.
    fn want_egress(&mut self, rounds: usize) {
        self.egress_rounds = self.egress_rounds.max(rounds.min(EGRESS_ROUNDS_MAX));
    }

    fn timers_are_due(&self, now: Instant) -> bool {
        matches!(self.timers, Timers::Due(Some(due)) if due <= now)
    }

    /// Sends what sockets have, in as many rounds as were asked for.
    fn egress(&mut self, now: Instant) {
        let time = stack_time(now);
        for _ in 0..core::mem::take(&mut self.egress_rounds) {
            self.interface.poll_egress(time, &mut self.device, &mut self.sockets);
        }
        // What found no room in the device goes out as soon as there is some.
        self.scan_due |= self.device.transmit(time).is_none();
    }
}

impl<D: Device> Network for SmoltcpNetwork<D> {
    fn listen(&mut self, port: u16, service: usize, origin: Origin) -> Result<(), ListenError> {
        self.pool.listen(port, service, origin, &mut self.sockets)
    }

    fn connect(&mut self, host: &str, port: u16, service: usize, peer: usize, now: Instant) {
        self.dials.start(host, port, service, peer, now);
        self.scan_due = true;
    }

    fn poll(&mut self, now: Instant, connections: &mut Connections, events: &mut Vec<Event>) {
        self.pool.may_grow = !connections.is_memory_short();
        let arrived = self.ingress(now);
        if !(arrived || self.scan_due || self.timers_are_due(now)) {
            return;
        }
        self.scan_due = false;
        self.pool.trim(now, &mut self.sockets);
        self.want_egress(1);
        self.address.poll(&mut self.interface, &mut self.sockets);
        self.poll_dials(now, events);
        self.scan(now, connections, events);
    }

    fn flush(&mut self, now: Instant, connections: &mut Connections) {
        self.flush_touched(now, connections);
        if self.egress_rounds == 0 {
            return;
        }
        self.egress(now);
        self.pool.recycle_finished(&mut self.sockets);
        self.timers = Timers::Stale(now + TIMERS_ASKED_AFTER);
    }

    fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.scan_due {
            return Some(now);
        }
        match self.timers {
            Timers::Stale(ask_at) if now < ask_at => Some(ask_at),
            Timers::Stale(_) => {
                let due = self.earliest_timer(now);
                self.timers = Timers::Due(due);
                due
            }
            Timers::Due(due) => due,
        }
    }

    /// Nothing to sleep on here: the platform sleeps on its device's interrupt.
    fn wait(&mut self, _now: Instant, _deadline: Option<Instant>) {}
}

impl<D: Device> SmoltcpNetwork<D> {
    fn earliest_timer(&mut self, now: Instant) -> Option<Instant> {
        let sockets = self
            .interface
            .poll_at(stack_time(now), &self.sockets)
            .map(|due| Instant::from_micros(u64::try_from(due.total_micros()).unwrap_or(0)).max(now));
        [sockets, self.pool.earliest_deadline(), self.dials.earliest_deadline()].into_iter().flatten().min()
    }
}

/// smoltcp's span of time for ours.
fn stack_duration(duration: Duration) -> smoltcp::time::Duration {
    smoltcp::time::Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// smoltcp's clock for ours.
fn stack_time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}
