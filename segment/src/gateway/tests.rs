//! Relays between streams in memory and a station that is smoltcp over the simulator's card.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use kernel_app::stack::stack_time;
use simulator::device::SimulatedDevice;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use wire::Instant;

use super::{News, Stream};
use crate::Segment;
use crate::layout::tests::voting;
use crate::layout::{GATEWAY, Layout, PREFIX_BITS, address, hardware_address};
use crate::queue::FrameReader;

const STORE: usize = 0;
const PORT: u16 = 6379;
const OUTSIDE_PORT: u16 = 5432;
const NEWS: News = News { readable: true, writable: true, closing: true };

/// The host's side of a relay.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Sides>>);

#[derive(Default)]
struct Sides {
    to_station: VecDeque<u8>,
    to_station_ended: bool,
    from_station: Vec<u8>,
    from_station_ended: bool,
    /// Bytes that are taken from the station at most.
    takes: Option<usize>,
    is_refused: bool,
    is_reset: bool,
}

impl Read for Memory {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut sides = self.0.borrow_mut();
        match sides.to_station.read(bytes)? {
            0 if !sides.to_station_ended => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sides = self.0.borrow_mut();
        let room = sides.takes.map_or(usize::MAX, |takes| takes.saturating_sub(sides.from_station.len()));
        if room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = bytes.len().min(room);
        sides.from_station.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Memory {
    fn is_connected(&mut self) -> io::Result<bool> {
        if self.0.borrow().is_refused { Err(ErrorKind::ConnectionRefused.into()) } else { Ok(true) }
    }

    fn end_output(&mut self) -> io::Result<()> {
        self.0.borrow_mut().from_station_ended = true;
        Ok(())
    }

    fn reset_on_close(&mut self) {
        self.0.borrow_mut().is_reset = true;
    }
}

/// A segment with one machine: the store.
struct Bench {
    segment: Segment<Memory>,
    device: SimulatedDevice,
    interface: Interface,
    sockets: SocketSet<'static>,
    now: Instant,
    /// The server outside.
    outside: Memory,
}

impl Bench {
    fn new() -> Self {
        let mut stations = voting().stations().to_vec();
        stations[STORE].outgoing = vec![OUTSIDE_PORT];
        let mut segment = Segment::new(Layout::new(stations), 7, None);
        segment.plug(STORE, true);
        let mut device = SimulatedDevice::default();
        let hardware = HardwareAddress::Ethernet(EthernetAddress(hardware_address(STORE)));
        let mut interface = Interface::new(Config::new(hardware), &mut device, stack_time(Instant::ZERO));
        interface
            .update_ip_addrs(|all| all.push(IpCidr::new(address(STORE).into(), PREFIX_BITS)).expect("room"));
        let mut sockets = SocketSet::new(Vec::new());
        let buffer = || tcp::SocketBuffer::new(vec![0; 4096]);
        sockets.add(tcp::Socket::new(buffer(), buffer()));
        Self { segment, device, interface, sockets, now: Instant::ZERO, outside: Memory::default() }
    }

    /// The machine's socket.
    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(SocketHandle::default())
    }

    fn listening() -> Self {
        let mut bench = Self::new();
        bench.socket().listen(PORT).expect("a free port");
        bench
    }

    /// A client of the host.
    fn dial(&mut self) -> Memory {
        let client = Memory::default();
        self.segment.gateway.dial(STORE, PORT, client.clone());
        client
    }

    /// Lets everything happen that does within a simulated second.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.now = self.now + Duration::from_millis(5);
            self.segment.begin(self.now);
            let outside = self.outside.clone();
            self.interface.poll(stack_time(self.now), &mut self.device, &mut self.sockets);
            for frame in self.device.take_sent() {
                self.segment.receive(STORE, &frame, &mut |_, _| Some(outside.clone()));
            }
            self.segment.turn(&mut |_, _| None);
            let (mut bytes, mut reader) = (Vec::new(), FrameReader::default());
            self.segment.fabric.queue(STORE).flush(&mut bytes).expect("memory takes all");
            let mut bytes = bytes.as_slice();
            while !bytes.is_empty() {
                reader.fill(&mut bytes).expect("readable");
                while let Some(frame) = reader.next_frame().expect("frames") {
                    assert!(self.device.receive_frame(frame.to_vec()), "the card has room");
                }
            }
        }
        while self.segment.fabric.take_dirty().is_some() {}
    }

    fn received(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        while self.socket().can_recv() {
            self.socket().recv(|bytes| (bytes.len(), received.extend_from_slice(bytes))).expect("open");
        }
        received
    }
}

#[test]
fn bytes_go_both_ways_and_one_end_leaves_the_other_open() {
    let mut bench = Bench::listening();
    let client = bench.dial();
    client.0.borrow_mut().to_station.extend(b"question");
    client.0.borrow_mut().to_station_ended = true;
    bench.segment.gateway.note(0, NEWS);
    bench.settle();
    assert_eq!(bench.received(), b"question");
    assert!(!bench.socket().may_recv() && bench.socket().may_send(), "half open");
    bench.socket().send_slice(b"answer").expect("open");
    bench.settle();
    assert_eq!(client.0.borrow().from_station, b"answer");
    assert!(!client.0.borrow().from_station_ended);
    bench.socket().close();
    bench.settle();
    let sides = client.0.borrow();
    assert!(sides.from_station_ended && !sides.is_reset);
    assert!(bench.segment.gateway.is_empty() && !bench.socket().is_open());
}

#[test]
fn a_reset_is_carried_both_ways() {
    let mut bench = Bench::listening();
    let client = bench.dial();
    bench.settle();
    bench.socket().abort();
    bench.settle();
    assert!(client.0.borrow().is_reset && bench.segment.gateway.is_empty());
    let mut bench = Bench::listening();
    bench.dial();
    bench.settle();
    assert_eq!(bench.socket().state(), tcp::State::Established);
    bench.segment.plug(STORE, false);
    bench.settle();
    assert!(bench.segment.gateway.is_empty(), "a machine that is gone takes its connections with it");
}

#[test]
fn a_port_that_nobody_listens_on_resets_the_client() {
    let mut bench = Bench::new();
    let client = bench.dial();
    bench.settle();
    // The machine asked for the hardware address first, and the SYN comes again.
    bench.settle();
    assert!(client.0.borrow().is_reset && bench.segment.gateway.is_empty());
}

#[test]
fn a_client_that_does_not_read_holds_the_station_back() {
    let mut bench = Bench::listening();
    let client = bench.dial();
    client.0.borrow_mut().takes = Some(1000);
    bench.settle();
    let mut sent = 0;
    for _ in 0..100 {
        sent += bench.socket().send_slice(&[7; 4096]).expect("open");
        bench.settle();
    }
    assert!(sent < 64 * 1024, "{sent} bytes were taken for a client that reads 1,000");
    client.0.borrow_mut().takes = None;
    let index = 0;
    bench.segment.gateway.note(index, NEWS);
    for _ in 0..10 {
        bench.settle();
    }
    assert_eq!(client.0.borrow().from_station.len(), sent);
}

#[test]
fn a_station_reaches_the_server_outside_that_it_is_told_of() {
    let mut bench = Bench::new();
    bench.outside.0.borrow_mut().to_station.extend(b"hello");
    let local = 50_000;
    let Bench { interface, sockets, .. } = &mut bench;
    let socket = sockets.get_mut::<tcp::Socket<'_>>(SocketHandle::default());
    socket.connect(interface.context(), (IpAddress::from(GATEWAY), OUTSIDE_PORT), local).expect("closed");
    bench.settle();
    assert_eq!(bench.received(), b"hello");
    bench.socket().send_slice(b"thanks").expect("open");
    bench.settle();
    assert_eq!(bench.outside.0.borrow().from_station, b"thanks");
}

#[test]
fn a_server_outside_that_is_not_there_refuses_the_station() {
    let mut bench = Bench::new();
    bench.outside.0.borrow_mut().is_refused = true;
    let Bench { interface, sockets, .. } = &mut bench;
    let socket = sockets.get_mut::<tcp::Socket<'_>>(SocketHandle::default());
    socket.connect(interface.context(), (IpAddress::from(GATEWAY), OUTSIDE_PORT), 50_000).expect("closed");
    bench.settle();
    assert_eq!(bench.socket().state(), tcp::State::Closed);
    assert!(bench.segment.gateway.is_empty());
}

#[test]
fn lost_frames_from_the_host_lose_no_bytes() {
    let mut bench = Bench::listening();
    let lossy = crate::faults::Fault {
        between: ("store".to_owned(), crate::faults::HOST.to_owned()),
        one_way: false,
        drop_percent: 20.0,
        delay_ms: 5,
        jitter_ms: 0,
        partition: false,
        for_ms: None,
        seed: Some(3),
    };
    let Segment { fabric, layout, .. } = &mut bench.segment;
    fabric.faults.add(layout, lossy, Instant::ZERO).expect("a fault");
    let client = bench.dial();
    let sent: Vec<u8> = (0..20_000_u32).map(|number| number as u8).collect();
    client.0.borrow_mut().to_station.extend(&sent);
    let mut received = Vec::new();
    for _ in 0..100 {
        bench.settle();
        received.extend(bench.received());
        bench.segment.gateway.note(0, NEWS);
    }
    assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
}
