//! TCP/IP for nodes that own their network device: smoltcp behind the [`Network`] interface.
//!
//! It runs on Hermit (over virtio-net) and in the simulator (over a simulated wire). The [`FrameDevice`] drives the
//! device, and the platform sleeps. Read RFC 9293 before you change this module.
//!
//! Sockets are in a pool of at most [`SOCKETS_MAX`] and are reused in place. A table finds the socket of a segment,
//! so the cost of a segment does not depend on the number of sockets. A SYN gets a free socket. If there is none, the
//! SYN waits until less important connections have made room, see [`Connections::make_room`]; or else the oldest
//! unfinished handshake is evicted.

mod address;
mod answer;
mod arp;
mod checksum;
mod cut;
mod device;
mod dial;
mod dials;
mod flow;
mod guard;
mod ingress;
mod limits;
mod link;
mod member;
mod neighbours;
mod numbers;
mod offload;
mod path;
mod paths;
mod pool;
mod prediction;
mod routes;
mod syn_cache;
mod syn_queue;
mod time;
mod transfer;

use alloc::vec::Vec;

use smoltcp::iface::{Interface, PollResult, SocketSet};
use smoltcp::socket::tcp;

use crate::connections::Connections;
use crate::network::{Event, ListenError, Network};
use crate::service::Origin;
use crate::usage::Usage;
use wire::Instant;

pub use address::{Address, AddressError, mtu};
use device::Device;
pub use device::{FrameDevice, Transmitter};
use dials::Dials;
pub use flow::Flow;
pub use limits::{
    CLOSING_MAX, DIAL_SOCKETS, EGRESS_ROUNDS_MAX, ETHERNET_BYTES, HALF_OPEN_DIVISOR, HALF_OPEN_FRESH,
    HALF_OPEN_MAX, IDLE_KEEP_ALIVE, LINGER, NO_ROOM_PAUSE, PACKETS_PER_TURN_MAX, PEER_KEEP_ALIVE,
    RECEIVE_BYTES, RESPONSE_TIMEOUT, ROOM_WANTED, SEND_BYTES, SOCKETS_MAX, SOCKETS_MIN, SPARE_SOCKETS_KEPT,
    TIMERS_ASKED_AFTER, TRIM_INTERVAL,
};
use limits::{OTHER_SOCKETS, ROOM_RETRY, SOCKET_BYTES, SOCKETS_HEAP_DIVISOR, SYN_QUEUE_PER_SOCKET};
use link::Link;
use member::Role;
use neighbours::Neighbours;
use numbers::Choices;
pub use numbers::{Seeds, SequenceNumbers};
pub use offload::{NET_HEADER_BYTES, PartialChecksum, ReceivedChecksum, write_header};
use paths::Paths;
use pool::Pool;
use syn_queue::SynQueue;
pub use time::stack_time;

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

/// Most sockets of a node, given the size of its heap in bytes.
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
    syn_queue: SynQueue,
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
            syn_queue: SynQueue::new(SYN_QUEUE_PER_SOCKET * config.sockets_max),
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
        self.pool.forget_routes_but_to(None);
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
            let is_predictable = mtu == self.link.mtu;
            for _ in 0..member.rounds {
                let transmitter = self.device.transmitter();
                if is_predictable {
                    match member.send_predicted(mtu, now, transmitter) {
                        tcp::Egress::Sent => continue,
                        tcp::Egress::Nothing => break,
                        tcp::Egress::Unusual => {}
                    }
                }
                let mut device = Device::new(transmitter, mtu);
                let result = self.interface.poll_egress(time, &mut device, member.sockets_mut());
                if let Some(route) = device.route {
                    member.route = Some(route);
                    self.pool.routes.learn(route);
                }
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
        Instant::earliest(deadlines).map(|due| due.max(now + NO_ROOM_PAUSE))
    }

    fn earliest_timer(&mut self, now: Instant) -> Option<Instant> {
        let time = stack_time(now);
        let Self { interface, pool, others, .. } = self;
        let sets = pool.in_use.iter().map(|index| pool.members[*index].sockets()).chain([&*others]);
        let due = sets.filter_map(|sockets| interface.poll_at(time, sockets)).min();
        let due =
            due.map(|due| Instant::from_micros(u64::try_from(due.total_micros()).unwrap_or(0)).max(now));
        Instant::earliest([due, pool.earliest_deadline(), self.dials.earliest_deadline()])
    }
}

impl<D: FrameDevice> Network for SmoltcpNetwork<D> {
    fn listen(&mut self, port: u16, service: usize, origin: Origin) -> Result<(), ListenError> {
        self.pool.listen(port, service, origin)
    }

    fn stop_listening(&mut self) {
        self.pool.close_ports();
        self.syn_queue.clear();
    }

    fn connect(&mut self, host: &str, port: u16, service: usize, peer: usize, now: Instant) {
        self.forget_reached(service, peer);
        self.dials.start(host, port, service, peer, now);
        self.all_due = true;
    }

    fn poll(&mut self, now: Instant, connections: &mut Connections, events: &mut Vec<Event>) {
        self.pool.is_memory_short = connections.memory_watch();
        self.ingress(now);
        let timers_are_due = self.timers_are_due(now);
        let all = core::mem::take(&mut self.all_due) || timers_are_due;
        if all {
            self.pool.touch_all();
            self.others_due = true;
        }
        if self.pool.touched.is_empty() && !self.others_due && self.syn_queue.is_empty() {
            return;
        }
        self.let_in_waiting(now);
        self.pool.trim(now);
        let jitter = || self.choices.next();
        let own = self.address.own();
        self.address.poll(&mut self.interface, &mut self.others, now, jitter);
        if own != self.address.own() {
            self.pool.forget_routes_but_to(None);
        }
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
            // A dial may leave an address sooner than any socket has a timer.
            let ask_at = now + TIMERS_ASKED_AFTER;
            self.timers = Timers::Stale(self.dials.earliest_deadline().map_or(ask_at, |due| due.min(ask_at)));
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
        if self.syn_queue.is_empty() {
            return due;
        }
        let retry = now + ROOM_RETRY;
        Some(due.map_or(retry, |due| due.min(retry)))
    }

    fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.pool.report_usage(report);
        report(self.syn_queue.usage());
    }

    /// Nothing to sleep on here: the platform sleeps on its device's interrupt.
    fn wait(&mut self, _now: Instant, _deadline: Option<Instant>) {}
}
