//! The event loop: each turn reads what has arrived, processes it, sends what waits, and then sleeps until the next
//! event or timer.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time;

use anyhow::{Context, Result};
use mio::{Events, Poll, Registry, Token};
use wire::Instant;

use super::control::Control;
use super::folder::Folder;
use super::link::{Link, Tokens};
use super::published_port::OpenPort;
use super::setup::Setup;
use super::stream::{Address, HostStream};
use crate::Segment;
use crate::capture::Capture;
use crate::gateway::{News, Stream};
use crate::vhost_user::{QUEUES, TRANSMIT};

pub const WAKER: Token = Token(0);
const CONTROL: Token = Token(1);
const LISTENERS: usize = 1 << 10;
const LINKS: usize = 1 << 11;
const KICKS: usize = 3 << 10;
const PORTS: usize = 1 << 12;
const CONTROLS: usize = 1 << 13;
const RELAYS: usize = 1 << 16;
/// Sockets with news that are looked at in one turn.
const EVENTS_PER_TURN_MAX: usize = 1024;

/// All sockets of a segment and the segment itself.
pub struct EventLoop {
    poll: Poll,
    segment: Segment<HostStream>,
    links: Vec<Link>,
    published_ports: Vec<OpenPort>,
    outgoing: Vec<(u16, SocketAddr)>,
    control: Control,
    troubles: Sender<String>,
    started: time::Instant,
    must_end: bool,
}

impl EventLoop {
    /// One that says in `troubles` which machine it cuts off, and why.
    pub fn new(poll: Poll, setup: Setup, folder: &Folder, troubles: Sender<String>) -> Result<Self> {
        let Setup { layout, published_ports, outgoing, cable, capture, .. } = setup;
        let capture = capture.map(Capture::new).transpose().context("the capture cannot be written")?;
        let segment = Segment::new(layout, seed()?, capture);
        let registry = poll.registry();
        let names: Vec<&str> =
            segment.layout.stations().iter().map(|station| station.name.as_str()).collect();
        let mut links = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let mut link = Link::new(name, folder, cable).with_context(|| format!("no socket for {name}"))?;
            link.register(registry, Token(LISTENERS + index))?;
            links.push(link);
        }
        let mut open = Vec::new();
        for (index, port) in published_ports.into_iter().enumerate() {
            let name = names.get(port.station).context("a port of nobody")?;
            let mut port =
                OpenPort::new(port, name, folder).with_context(|| format!("no port for {name}"))?;
            port.register(registry, Token(PORTS + index))?;
            open.push(port);
        }
        let control = Control::new(folder, registry, CONTROL).context("no socket for orders")?;
        let started = time::Instant::now();
        Ok(Self {
            poll,
            segment,
            links,
            published_ports: open,
            outgoing,
            control,
            troubles,
            started,
            must_end: false,
        })
    }

    /// Goes on until it is woken to end.
    pub fn run(&mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_TURN_MAX);
        while !self.must_end {
            match self.poll.poll(&mut events, self.time_to_sleep()) {
                Err(error) if error.kind() != ErrorKind::Interrupted => panic!("epoll fails: {error}"),
                _ => {}
            }
            self.segment.begin(self.now());
            for event in &events {
                self.note(event.token().0, event.is_readable() || event.is_read_closed(), event);
            }
            events.clear();
            self.turn();
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn time_to_sleep(&self) -> Option<time::Duration> {
        let has_work = self.links.iter().any(|link| link.readable)
            || (self.segment.gateway.has_room() && self.published_ports.iter().any(|port| port.has_arrivals));
        if has_work {
            return Some(time::Duration::ZERO);
        }
        let now = self.now();
        self.segment
            .next_deadline()
            .map(|deadline| if deadline > now { deadline - now } else { time::Duration::ZERO })
    }

    fn note(&mut self, token: usize, readable: bool, event: &mio::event::Event) {
        match token {
            RELAYS.. => {
                let closing = event.is_read_closed() || event.is_error();
                let news = News { readable: readable || closing, writable: event.is_writable(), closing };
                self.segment.gateway.note(token - RELAYS, news);
            }
            CONTROLS.. => self.control.note(token - CONTROLS),
            PORTS.. => self.published_ports[token - PORTS].has_arrivals = true,
            KICKS.. => self.kicked((token - KICKS) / QUEUES, (token - KICKS) % QUEUES),
            LINKS.. => {
                let station = token - LINKS;
                self.links[station].note(readable, event.is_read_closed());
                if event.is_writable() {
                    self.flush(station);
                }
            }
            LISTENERS.. => self.plug(token - LISTENERS),
            _ if token == CONTROL.0 => self.control.accept(self.poll.registry(), CONTROLS),
            _ => self.must_end = true,
        }
    }

    /// A machine has filled one of its queues: with frames, or with buffers for them.
    fn kicked(&mut self, station: usize, queue: usize) {
        match queue {
            TRANSMIT => self.links[station].readable = true,
            _ => self.flush(station),
        }
    }

    fn plug(&mut self, station: usize) {
        let tokens = Tokens { connection: Token(LINKS + station), kicks: Token(KICKS + station * QUEUES) };
        if self.links[station].accept(self.poll.registry(), tokens) {
            self.segment.plug(station, false);
            self.segment.plug(station, true);
        }
    }

    fn turn(&mut self) {
        self.read();
        self.let_in();
        let (registry, outgoing) = (self.poll.registry(), &self.outgoing);
        self.segment.turn(&mut |port, index| connect(registry, outgoing, port, index));
        self.control.serve(&mut self.segment);
        while let Some(station) = self.segment.fabric.take_dirty() {
            self.flush(station);
        }
        if let Some(capture) = &mut self.segment.fabric.capture {
            capture.flush();
        }
    }

    fn read(&mut self) {
        let Self { segment, links, outgoing, poll, .. } = self;
        let mut gone = Vec::new();
        for (station, link) in links.iter_mut().enumerate().filter(|(_, link)| link.readable) {
            let take = |frame: &[u8]| {
                segment.receive(station, frame, &mut |port, index| {
                    connect(poll.registry(), outgoing, port, index)
                });
            };
            if let Err(error) = link.read(poll.registry(), take) {
                gone.push((station, error));
            }
        }
        gone.into_iter().for_each(|(station, error)| self.lose(station, &error));
    }

    /// Lets the clients in that have knocked, as long as there is room.
    fn let_in(&mut self) {
        let Self { segment, published_ports, poll, .. } = self;
        for port in published_ports.iter_mut().filter(|port| port.has_arrivals) {
            while segment.gateway.has_room() {
                let Ok(mut stream) = port.accept() else {
                    port.has_arrivals = false;
                    break;
                };
                let token = Token(RELAYS + segment.gateway.next_index());
                if segment.fabric.is_plugged(port.station) && stream.register(poll.registry(), token).is_ok()
                {
                    segment.gateway.dial(port.station, port.port, stream);
                } else {
                    stream.reset_on_close();
                }
            }
        }
    }

    fn flush(&mut self, station: usize) {
        let queue = self.segment.fabric.queue(station);
        if let Err(error) = self.links[station].flush(self.poll.registry(), queue) {
            self.lose(station, &error);
        }
    }

    /// A machine has gone, or is cut off for what it does.
    fn lose(&mut self, station: usize, error: &io::Error) {
        self.segment.plug(station, false);
        if error.kind() == ErrorKind::InvalidData {
            let name = &self.segment.layout.stations()[station].name;
            // Fails only when nobody listens any more.
            let _ = self.troubles.send(format!("{name} is cut off from its network: {error}"));
        }
    }
}

/// The stream to the server outside that a port stands for.
fn connect(
    registry: &Registry,
    outgoing: &[(u16, SocketAddr)],
    port: u16,
    index: usize,
) -> Option<HostStream> {
    let (_, server) = outgoing.iter().find(|(own, _)| *own == port)?;
    let mut stream = HostStream::connect(&Address::Tcp(*server)).ok()?;
    stream.register(registry, Token(RELAYS + index)).ok()?;
    Some(stream)
}

fn seed() -> Result<u64> {
    let mut seed = [0; 8];
    let mut random = File::open("/dev/urandom").context("no random numbers")?;
    io::Read::read_exact(&mut random, &mut seed).context("no random numbers")?;
    Ok(u64::from_ne_bytes(seed))
}
