//! TCP/IP for nodes that own their network device: smoltcp behind the [`Network`] contract.
//!
//! Used on Hermit (over virtio-net) and in the simulator (over a simulated wire). It drives no device
//! itself, that is the [`FrameDevice`]'s work, and it never sleeps. Read RFC 9293 before touching it.
//!
//! Sockets live in a pool of at most [`SOCKETS_MAX`] and are used again in place. A table says which socket
//! a segment is for, so that its cost does not depend on how many there are; a SYN gets a free one. When
//! there is none, the SYN waits until connections that are missed least have made room, see
//! [`Connections::make_room`]; or else the handshake that is waited for longest is forgotten.

mod address;
mod checksum;
mod device;
mod dial;
mod door;
mod flow;
mod forgotten;
#[cfg(test)]
mod full_ring_tests;
mod guard;
mod ingress;
mod knocks;
mod member;
mod neighbours;
mod numbers;
mod path;
mod pool;
#[cfg(test)]
mod tests;
mod transfer;

use alloc::vec::Vec;
use core::time::Duration;

use smoltcp::iface::{Interface, PollResult, SocketSet};

use crate::connections::Connections;
use crate::network::{Event, ListenError, Network};
use crate::service::Origin;
use crate::usage::Usage;
use wire::Instant;

pub use address::{Address, AddressError, mtu};
use device::Device;
pub use device::{FrameDevice, Transmitter};
use dial::Dials;
use door::Link;
use knocks::Knocks;
use member::Role;
use neighbours::Neighbours;
pub use numbers::Seeds;
use numbers::{Choices, SequenceNumbers};
use path::Paths;
use pool::Pool;

/// Connections that can be accepted at any time: when there is room for fewer, others are ended.
pub const ROOM_WANTED: usize = 16;
/// Most sockets of a node: opening, open and closing together. Fewer in a small machine.
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
/// Ethernet's header (IEEE 802.3, without tags).
const ETHERNET_BYTES: usize = 14;
/// What the headers of a segment take, IPv4's and TCP's without options.
const HEADERS_BYTES: usize = 40;
/// Payload of a full segment on Ethernet.
const SEGMENT_BYTES: usize = 1460;
/// The same for a peer that says nothing of it (RFC 9293 section 3.7.1).
const SEGMENT_BYTES_UNSAID: usize = 536;
/// However little the other side says that it takes in a segment, smoltcp sends so much.
const SEGMENT_BYTES_LEAST: usize = 48;
/// The address of a node that has none yet.
const NO_ADDRESS: core::net::Ipv4Addr = core::net::Ipv4Addr::UNSPECIFIED;
/// Packets that are read before services get their turn.
pub const PACKETS_PER_TURN_MAX: usize = 256;
/// Segments of one socket that are sent in one turn.
pub const EGRESS_ROUNDS_MAX: usize = 16;
/// How long after a packet the sockets are asked for their next timer. Asking all of them costs as much as a request,
/// and none can be due sooner: smoltcp sends again after 1 s, and what waits for less here is this long or longer.
pub const TIMERS_ASKED_AFTER: Duration = Duration::from_millis(500);
/// How long at least a device is left alone that takes no frames, whatever is due.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(10);
/// How long the other side may take to end its own stream once it has all of ours.
pub const LINGER: Duration = Duration::from_secs(2);
/// How long a connection whose service has ended it may take until the other side has all of it: a last segment that
/// is lost is sent again after 1, 3, 7 and 15 s.
pub const CLOSING_MAX: Duration = Duration::from_secs(30);
/// How long an end takes that meets no trouble; so long, others who want the socket wait for it.
const LEAVING_MAX: Duration = Duration::from_millis(250);
/// SYNs that wait for room, of each socket that there may be.
const KNOCKS_PER_SOCKET: usize = 2;
/// Handshakes that are remembered though they had to make room, of each socket that there may be.
const FORGOTTEN_PER_SOCKET: usize = 2;
/// How often it is asked whether somebody may make room for those who wait.
const ROOM_RETRY: Duration = Duration::from_millis(50);
/// How long a handshake may take (RFC 4987).
pub const HALF_OPEN_MAX: Duration = Duration::from_secs(5);
/// The part of the sockets that unfinished handshakes may take before others stop making room for them.
pub const HALF_OPEN_DIVISOR: usize = 4;
/// How long it may take, at least, when others want its place.
pub const HALF_OPEN_FRESH: Duration = Duration::from_millis(250);
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
    /// Largest packet that is sent or invited, if it is to be less than the device takes; see [`mtu`].
    pub mtu: Option<u16>,
    /// Most sockets, at most [`SOCKETS_MAX`]; see [`sockets_max`].
    pub sockets_max: usize,
    /// Of what nobody may guess.
    pub seeds: Seeds,
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
pub struct SmoltcpNetwork<D: FrameDevice> {
    device: D,
    link: Link,
    /// The largest packet that device and settings allow; the link may carry less.
    mtu_max: usize,
    interface: Interface,
    pool: Pool,
    /// Those who ask for a connection and wait for room.
    knocks: Knocks,
    neighbours: Neighbours,
    paths: Paths,
    sequence_numbers: SequenceNumbers,
    choices: Choices,
    /// The sockets that are not of TCP.
    others: SocketSet<'static>,
    /// Something happened to these since the last egress.
    others_due: bool,
    dials: Dials,
    address: address::Addressing,
    /// All sockets want attention: the device had no room for all that was to be sent, or a dial begins.
    all_due: bool,
    /// When timers want attention.
    timers: Timers,
}

impl<D: FrameDevice> SmoltcpNetwork<D> {
    /// A stack over `device`; a static address is usable at once.
    ///
    /// # Errors
    /// When a static address or gateway cannot be used.
    pub fn new(device: D, config: &StackConfig, now: Instant) -> Result<Self, AddressError> {
        let mtu = config.mtu.map_or(device.mtu(), |wanted| device.mtu().min(usize::from(wanted)));
        let (link, seeds) = (Link { hardware_address: config.hardware_address, mtu }, &config.seeds);
        let mut interface = link.interface(seeds.transactions, stack_time(now));
        let mut others = SocketSet::new(Vec::with_capacity(OTHER_SOCKETS));
        let address = address::Addressing::new(&config.address, &mut interface, &mut others)?;
        Ok(Self {
            device,
            link,
            mtu_max: mtu,
            interface,
            pool: Pool::new(config.sockets_max, seeds.flows),
            knocks: Knocks::new(KNOCKS_PER_SOCKET * config.sockets_max),
            neighbours: Neighbours::new(),
            paths: Paths::default(),
            sequence_numbers: SequenceNumbers::new(seeds),
            choices: Choices::new(seeds),
            others,
            others_due: true,
            dials: Dials::default(),
            address,
            all_due: false,
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

    /// An interface keeps the MTU that it is made with.
    #[cold]
    fn change_mtu(&mut self, mtu: usize, now: Instant) {
        self.link.mtu = mtu;
        self.interface = self.link.interface(self.choices.next(), stack_time(now));
        self.address.apply(&mut self.interface, &mut self.others);
    }

    /// Whether a timer has passed, as far as timers are known now.
    fn timers_are_due(&mut self, now: Instant) -> bool {
        if matches!(self.timers, Timers::Stale(ask_at) if ask_at <= now) {
            self.timers = Timers::Due(self.earliest_timer(now));
        }
        matches!(self.timers, Timers::Due(Some(due)) if due <= now)
    }

    /// Sends what touched sockets have, each in as many rounds as it wants.
    fn egress(&mut self, now: Instant) {
        let time = stack_time(now);
        if core::mem::take(&mut self.others_due) {
            let mut device = Device::new(self.device.transmitter(), self.link.mtu);
            self.interface.poll_egress(time, &mut device, &mut self.others);
        }
        for index in &self.pool.touched {
            let member = &mut self.pool.members[*index];
            let mtu = member.path_mtu.map_or(self.link.mtu, usize::from);
            let mut device = Device::new(self.device.transmitter(), mtu);
            for _ in 0..member.rounds {
                let result = self.interface.poll_egress(time, &mut device, member.sockets_mut());
                if result == PollResult::None {
                    break;
                }
            }
            // A socket whose time is up ends while it sends.
            member.again |=
                matches!(member.role, Role::Open(_) | Role::Closing(..)) && !member.socket().is_open();
        }
        // What found no room in the device goes out as soon as there is some.
        self.all_due |= !self.device.transmitter().has_room();
    }

    /// While the device takes nothing only what ends without a packet has a time; its interrupt ends the wait.
    fn deadline_without_room(&self, now: Instant) -> Option<Instant> {
        let deadlines = [self.pool.earliest_deadline(), self.dials.earliest_deadline()];
        deadlines.into_iter().flatten().min().map(|due| due.max(now + NO_ROOM_PAUSE))
    }

    fn earliest_timer(&mut self, now: Instant) -> Option<Instant> {
        let time = stack_time(now);
        let Self { interface, pool, others, .. } = self;
        let sets = pool.in_use.iter().map(|index| pool.members[*index].sockets()).chain([&*others]);
        let due = sets.filter_map(|sockets| interface.poll_at(time, sockets)).min();
        let due =
            due.map(|due| Instant::from_micros(u64::try_from(due.total_micros()).unwrap_or(0)).max(now));
        [due, pool.earliest_deadline(), self.dials.earliest_deadline()].into_iter().flatten().min()
    }
}

impl<D: FrameDevice> Network for SmoltcpNetwork<D> {
    fn listen(&mut self, port: u16, service: usize, origin: Origin) -> Result<(), ListenError> {
        self.pool.listen(port, service, origin)
    }

    fn stop_listening(&mut self) {
        self.pool.close_ports();
        self.knocks.clear();
    }

    fn connect(&mut self, host: &str, port: u16, service: usize, peer: usize, now: Instant) {
        self.dials.start(host, port, service, peer, now);
        self.all_due = true;
    }

    fn poll(&mut self, now: Instant, connections: &mut Connections, events: &mut Vec<Event>) {
        self.pool.may_grow = !connections.is_memory_short();
        self.ingress(now);
        let timers_are_due = self.timers_are_due(now);
        let all = core::mem::take(&mut self.all_due) || timers_are_due;
        if all {
            self.pool.touch_all();
            self.others_due = true;
        }
        if self.pool.touched.is_empty() && !self.others_due && self.knocks.is_empty() {
            return;
        }
        self.let_in_waiting(now);
        self.pool.trim(now);
        let jitter = || self.choices.next();
        self.address.poll(&mut self.interface, &mut self.others, now, jitter);
        let mtu = self.address.mtu().map_or(self.mtu_max, |told| self.mtu_max.min(usize::from(told)));
        if mtu != self.link.mtu {
            self.change_mtu(mtu, now);
        }
        self.poll_dials(now, events);
        self.scan(now, all, connections, events);
    }

    fn flush(&mut self, now: Instant, connections: &mut Connections) {
        self.flush_touched(now, connections);
        if self.pool.touched.is_empty() && !self.others_due {
            return;
        }
        self.egress(now);
        self.pool.recycle_finished();
        self.pool.settle();
        if let Timers::Due(_) = self.timers {
            self.timers = Timers::Stale(now + TIMERS_ASKED_AFTER);
        }
    }

    fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.all_due || self.others_due || !self.pool.touched.is_empty() {
            return if self.device.transmitter().has_room() {
                Some(now)
            } else {
                self.deadline_without_room(now)
            };
        }
        let due = match self.timers {
            Timers::Stale(ask_at) if now < ask_at => Some(ask_at),
            Timers::Stale(_) => {
                let due = self.earliest_timer(now);
                self.timers = Timers::Due(due);
                due
            }
            Timers::Due(due) => due,
        };
        if self.knocks.is_empty() {
            return due;
        }
        let retry = now + ROOM_RETRY;
        Some(due.map_or(retry, |due| due.min(retry)))
    }

    fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.pool.report_usage(report);
        report(self.knocks.usage());
    }

    /// Nothing to sleep on here: the platform sleeps on its device's interrupt.
    fn wait(&mut self, _now: Instant, _deadline: Option<Instant>) {}
}

/// smoltcp's span of time for ours.
fn stack_duration(duration: Duration) -> smoltcp::time::Duration {
    smoltcp::time::Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// smoltcp's clock for ours.
pub fn stack_time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}
