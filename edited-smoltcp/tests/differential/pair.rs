//! Two stacks that are told the same, of which one predicts.

use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{self, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{self, Egress, Route, Segment, Socket, SocketBuffer, Syn};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

pub const OWN_HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const PEER_HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub const OWN_ADDRESS: [u8; 4] = [10, 0, 0, 1];
pub const PEER_ADDRESS: [u8; 4] = [10, 0, 0, 2];
pub const PORT: u16 = 80;
/// Small, so that they are full now and then.
const BUFFER_BYTES: usize = 700;
const MTU: usize = 300;
/// Segments of one turn, as the platform limits them.
const ROUNDS: usize = 4;

/// Where a test's choices come from.
pub trait Choices {
    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: u32) -> u32;

    /// True once in so many times.
    fn once_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }
}

/// How many segments took the short way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Predicted {
    pub begun: u64,
    pub received: u64,
    pub sent: u64,
}

/// A card that holds what has come, and keeps what is sent.
#[derive(Default)]
pub struct Wire {
    pub frame: Option<Vec<u8>>,
    pub sent: Vec<Vec<u8>>,
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Room<'_>)> {
        let frame = self.frame.take()?;
        Some((Received(frame), Room(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        Some(Room(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MTU + 14;
        // As in a node, whose device has them.
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

pub struct Received(Vec<u8>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

pub struct Room<'a>(&'a mut Vec<Vec<u8>>);

impl phy::TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, fill: F) -> R {
        let mut frame = vec![0; bytes];
        let result = fill(&mut frame);
        self.0.push(frame);
        result
    }
}

/// A stack with one socket.
pub struct Stack {
    pub interface: Interface,
    pub sockets: SocketSet<'static>,
    pub wire: Wire,
    pub handle: SocketHandle,
}

impl Stack {
    pub fn new(hardware: [u8; 6], address: [u8; 4], seed: u64) -> Self {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(hardware)));
        config.random_seed = seed;
        let mut wire = Wire::default();
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        let [a, b, c, d] = address;
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::v4(a, b, c, d), 24)).expect("room for one");
        });
        let buffer = || SocketBuffer::new(vec![0; BUFFER_BYTES]);
        let mut socket = Socket::new(buffer(), buffer());
        // As a node has them.
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket.set_timeout(Some(Duration::from_secs(30)));
        socket.set_keep_alive(Some(Duration::from_secs(20)));
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        Self { interface, sockets, wire, handle }
    }

    pub fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    pub fn receive(&mut self, frame: &[u8], now: Instant) {
        self.wire.frame = Some(frame.to_vec());
        self.interface.poll_ingress_single(now, &mut self.wire, &mut self.sockets);
    }

    /// One round; whether something was sent.
    pub fn send(&mut self, now: Instant) -> bool {
        self.interface.poll_egress(now, &mut self.wire, &mut self.sockets) != PollResult::None
    }
}

/// The two, and what they have been told so far.
pub struct Pair {
    plain: Stack,
    predicting: Stack,
    route: Option<Route>,
    first_number: u32,
    predicted: Predicted,
    pub now: Instant,
}

impl Pair {
    /// Two that listen.
    pub fn new(seed: u64) -> Self {
        let stack = || {
            let mut stack = Stack::new(OWN_HARDWARE, OWN_ADDRESS, seed);
            stack.socket().listen(PORT).expect("a closed socket");
            stack
        };
        let mut pair = Self {
            plain: stack(),
            predicting: stack(),
            route: None,
            first_number: seed as u32,
            predicted: Predicted::default(),
            now: Instant::ZERO,
        };
        pair.meet_neighbour();
        pair
    }

    /// One of the two knows the way from a connection before.
    pub fn know_way(&mut self) {
        self.route = Route::of_frame(&way(), self.now);
        assert!(self.route.is_some(), "it is an ordinary one");
    }

    pub fn predicted(&self) -> Predicted {
        self.predicted
    }

    /// Time passes. After a while the neighbour is asked for again, as a node does.
    pub fn wait(&mut self, duration: Duration) {
        self.now += duration;
        if duration > Duration::from_secs(1) {
            self.meet_neighbour();
        }
    }

    fn meet_neighbour(&mut self) {
        let frame = arp_reply();
        for stack in [&mut self.plain, &mut self.predicting] {
            stack.receive(&frame, self.now);
            stack.wire.sent.clear();
        }
    }

    /// Both get a frame.
    pub fn receive(&mut self, frame: &[u8]) {
        let now = self.now;
        self.plain.receive(frame, now);
        if self.predicting.socket().state() == tcp::State::Listen {
            return self.begin(frame);
        }
        let segment = self.route().and_then(|route| Segment::of_frame(frame, &route));
        if segment.is_some_and(|segment| self.predicting.socket().receive_predicted(&segment, now)) {
            self.predicted.received += 1;
        } else {
            self.predicting.receive(frame, now);
        }
        self.compare();
    }

    /// What may begin a connection, for which both have the same number.
    fn begin(&mut self, frame: &[u8]) {
        let (now, number) = (self.now, self.first_number);
        let is_first = self.plain.socket().begin_with(number);
        let syn = self.route().and_then(|route| Syn::of_frame(frame, &route));
        if syn.is_some_and(|syn| self.predicting.socket().receive_syn_predicted(&syn, number, now)) {
            self.predicted.begun += 1;
        } else {
            self.predicting.receive(frame, now);
            assert_eq!(self.predicting.socket().begin_with(number), is_first, "whether it has begun");
        }
        self.compare();
    }

    /// Both send what they have; what they sent since this was last called.
    pub fn send(&mut self) -> Vec<Vec<u8>> {
        (0..ROUNDS).any(|_| !self.plain.send(self.now));
        (0..ROUNDS).any(|_| !self.send_predicted());
        self.compare();
        self.predicting.wire.sent.clear();
        core::mem::take(&mut self.plain.wire.sent)
    }

    fn send_predicted(&mut self) -> bool {
        let (now, route) = (self.now, self.route());
        let Stack { sockets, wire, handle, .. } = &mut self.predicting;
        if let Some(route) = route {
            let socket = sockets.get_mut::<Socket<'_>>(*handle);
            let sent = socket.send_predicted(&route, MTU, now, |outgoing| {
                // What was there before must not matter.
                let mut frame = vec![0xaa; outgoing.frame_bytes()];
                outgoing.write(&mut frame);
                wire.sent.push(frame);
            });
            match sent {
                Egress::Sent => {
                    self.predicted.sent += 1;
                    return true;
                }
                Egress::Nothing => return false,
                Egress::Unusual => {}
            }
        }
        let before = self.predicting.wire.sent.len();
        let sent = self.predicting.send(now);
        for frame in &self.predicting.wire.sent[before..] {
            self.route = Route::of_frame(frame, now).or(self.route);
        }
        sent
    }

    fn route(&self) -> Option<Route> {
        self.route.filter(|route| route.is_valid(self.now))
    }

    /// Both applications read, and read the same.
    pub fn read(&mut self, bytes: usize) -> usize {
        let mut read = [vec![0; bytes], vec![0; bytes]];
        let counts =
            [self.plain.socket().recv_slice(&mut read[0]), self.predicting.socket().recv_slice(&mut read[1])];
        assert_eq!(counts[0], counts[1], "what can be read");
        assert_eq!(read[0], read[1], "what is read");
        counts[0].unwrap_or(0)
    }

    /// Both applications write, as much as there is room for.
    pub fn write(&mut self, bytes: &[u8]) {
        let counts = [self.plain.socket().send_slice(bytes), self.predicting.socket().send_slice(bytes)];
        assert_eq!(counts[0], counts[1], "what can be written");
    }

    pub fn each(&mut self, act: impl Fn(&mut Socket<'static>)) {
        act(self.plain.socket());
        act(self.predicting.socket());
    }

    pub fn state(&mut self) -> tcp::State {
        self.plain.socket().state()
    }

    fn compare(&mut self) {
        let [one, other] = [&mut self.plain, &mut self.predicting];
        assert_eq!(one.wire.sent, other.wire.sent, "frames that were sent");
        let seen = |socket: &mut Socket<'static>| (socket.state(), socket.recv_queue(), socket.send_queue());
        assert_eq!(seen(one.socket()), seen(other.socket()), "state and queues");
        let due = |stack: &mut Stack| stack.interface.poll_at(self.now, &stack.sockets);
        assert_eq!(due(one), due(other), "when they want to be asked next");
    }

    /// Compares all that the sockets hold.
    pub fn compare_all(&mut self) {
        let text = |socket: &mut Socket<'static>| format!("{socket:?}");
        assert_eq!(text(self.plain.socket()), text(self.predicting.socket()), "all that the sockets hold");
    }
}

/// A frame of a connection before.
fn way() -> Vec<u8> {
    let parts: [&[u8]; 5] = [
        &PEER_HARDWARE,
        &OWN_HARDWARE,
        &[0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0],
        &OWN_ADDRESS,
        &PEER_ADDRESS,
    ];
    parts.concat()
}

/// What tells both where the other side is (RFC 826).
fn arp_reply() -> Vec<u8> {
    let parts: [&[u8]; 8] = [
        &OWN_HARDWARE,
        &PEER_HARDWARE,
        &[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2],
        &PEER_HARDWARE,
        &PEER_ADDRESS,
        &OWN_HARDWARE,
        &OWN_ADDRESS,
        &[],
    ];
    parts.concat()
}
