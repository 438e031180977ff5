//! The balancer's thread: sockets, the clock, and orders of the supervisor.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::mem;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{self, Duration};

use anyhow::{Context, Result};
use mio::net::{TcpListener, UnixListener};
use mio::{Events, Interest, Poll, Token};
use wire::Instant;

use super::choice::{Choice, Standing};
use super::connection::{BUFFER_BYTES_MAX, Connection, Gone, Progress};
use super::report::{self, InstanceReport, PortReport};
use super::shared_port::SharedPort;
use crate::gateway::{News, Stream};
use crate::host::{Address, HostStream, listen_ready};

pub const WAKER: Token = Token(0);
const REPORTS: Token = Token(1);
const PORTS: usize = 1 << 8;
/// A connection has two: the client's, which is even, and the instance's.
const CONNECTIONS: usize = 1 << 16;
/// Sockets with news that are looked at in one turn.
const EVENTS_PER_TURN_MAX: usize = 1024;
/// How long a client waits for an instance that takes its connection.
const INSTANCE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an instance has to take a connection, before another one is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a client may stay whose instance has ended the connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often deadlines are looked at, and instances tried again.
const TICK: Duration = Duration::from_millis(50);

/// What the balancer is told.
#[derive(Debug)]
pub enum Order {
    /// An instance is like this now.
    Standing(String, Standing),
    /// The machine of an instance has ended, and its side of connections may not tell.
    Lost(String),
    /// A service ends for good.
    EndService(String),
    /// The balancer ends.
    End,
}

/// All sockets of a balancer.
pub struct EventLoop {
    poll: Poll,
    ports: Vec<OpenPort>,
    reports: UnixListener,
    orders: Receiver<Order>,
    connections: Vec<Option<Entry>>,
    free: Vec<usize>,
    connections_max: usize,
    /// Connections that something has happened to.
    touched: Vec<usize>,
    /// Connections with a deadline.
    timed: BTreeSet<usize>,
    tick_at: Instant,
    buffer: Box<[u8]>,
    started: time::Instant,
    must_end: bool,
}

struct OpenPort {
    service: String,
    address: SocketAddr,
    listener: TcpListener,
    /// Clients may be waiting.
    has_arrivals: bool,
    instances: Vec<(String, Address)>,
    choice: Choice,
    is_ending: bool,
    repeated: u64,
    refused: u64,
    lost: u64,
}

struct Entry {
    port: usize,
    connection: Connection<HostStream>,
    deadline: Option<Instant>,
    /// When it was given its instance.
    dialed: Instant,
    is_touched: bool,
}

impl OpenPort {
    fn new(port: SharedPort) -> Result<Self> {
        let SharedPort { service, listener, instances } = port;
        let address = listener.local_addr()?;
        let listener = listen_ready(listener).with_context(|| format!("no port for {service}"))?;
        Ok(Self {
            service,
            address,
            listener,
            has_arrivals: false,
            choice: Choice::new(instances.len()),
            instances,
            is_ending: false,
            repeated: 0,
            refused: 0,
            lost: 0,
        })
    }

    fn report(&self) -> PortReport {
        let instance = |index: usize| {
            let (open, connections) = self.choice.counts(index);
            InstanceReport { instance: self.instances[index].0.clone(), open, connections }
        };
        PortReport {
            service: self.service.clone(),
            address: self.address,
            instances: (0..self.choice.len()).map(instance).collect(),
            repeated: self.repeated,
            refused: self.refused,
            lost: self.lost,
        }
    }

    fn release(&mut self, gone: Gone, now: Instant) {
        if gone.has_failed {
            self.choice.fail(gone.instance, now);
        } else {
            self.choice.close(gone.instance);
        }
    }
}

impl EventLoop {
    pub fn new(
        poll: Poll,
        ports: Vec<SharedPort>,
        mut reports: UnixListener,
        orders: Receiver<Order>,
        connections_max: usize,
    ) -> Result<Self> {
        let registry = poll.registry();
        registry.register(&mut reports, REPORTS, Interest::READABLE)?;
        let mut open = Vec::new();
        for (index, port) in ports.into_iter().enumerate() {
            let mut port = OpenPort::new(port)?;
            registry.register(&mut port.listener, Token(PORTS + index), Interest::READABLE)?;
            open.push(port);
        }
        Ok(Self {
            poll,
            ports: open,
            reports,
            orders,
            connections: Vec::new(),
            free: Vec::new(),
            connections_max,
            touched: Vec::new(),
            timed: BTreeSet::new(),
            tick_at: Instant::ZERO,
            buffer: vec![0; BUFFER_BYTES_MAX].into(),
            started: time::Instant::now(),
            must_end: false,
        })
    }

    /// Goes on until it is told to end.
    pub fn run(&mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_TURN_MAX);
        while !self.must_end {
            match self.poll.poll(&mut events, self.time_to_sleep()) {
                Err(error) if error.kind() != ErrorKind::Interrupted => panic!("epoll fails: {error}"),
                _ => {}
            }
            for event in &events {
                self.note(event.token().0, event);
            }
            events.clear();
            self.turn();
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn has_room(&self) -> bool {
        self.connections.len() - self.free.len() < self.connections_max
    }

    fn time_to_sleep(&self) -> Option<Duration> {
        let has_arrivals = self.has_room() && self.ports.iter().any(|port| port.has_arrivals);
        match () {
            () if !self.touched.is_empty() => Some(Duration::ZERO),
            // A turn lets all of them in, unless the system cannot.
            () if has_arrivals || !self.timed.is_empty() => Some(TICK),
            () => None,
        }
    }

    fn note(&mut self, token: usize, event: &mio::event::Event) {
        match token {
            CONNECTIONS.. => {
                let (index, is_client) = ((token - CONNECTIONS) / 2, token.is_multiple_of(2));
                let closing = event.is_read_closed() || event.is_error();
                let readable = event.is_readable() || closing;
                let news = News { readable, writable: event.is_writable(), closing };
                let Some(Some(Entry { connection, .. })) = self.connections.get_mut(index) else { return };
                if is_client {
                    connection.note_client(news)
                } else {
                    connection.note_instance(news)
                }
                self.touch(index);
            }
            PORTS.. => self.ports[token - PORTS].has_arrivals = true,
            _ if token == REPORTS.0 => {
                report::answer(&self.reports, || self.ports.iter().map(OpenPort::report).collect());
            }
            _ => {}
        }
    }

    fn turn(&mut self) {
        self.obey();
        self.let_in();
        for index in mem::take(&mut self.touched) {
            self.pump(index);
        }
        if self.now() >= self.tick_at {
            self.tick();
        }
    }

    fn obey(&mut self) {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Standing(name, standing)) => self.set_standing(&name, standing),
                Ok(Order::Lost(name)) => self.lose(&name),
                Ok(Order::EndService(service)) => self.end_service(&service),
                Err(TryRecvError::Empty) => return,
                Ok(Order::End) | Err(TryRecvError::Disconnected) => {
                    self.must_end = true;
                    return;
                }
            }
        }
    }

    fn set_standing(&mut self, name: &str, standing: Standing) {
        for port in &mut self.ports {
            if let Some(index) = port.instances.iter().position(|(known, _)| known == name) {
                port.choice.set_standing(index, standing);
            }
        }
        // Somebody may have waited for it.
        self.tick_at = Instant::ZERO;
    }

    fn lose(&mut self, name: &str) {
        self.set_standing(name, Standing::Down);
        for index in 0..self.connections.len() {
            let Some(entry) = &mut self.connections[index] else { continue };
            let instances = &self.ports[entry.port].instances;
            if entry.connection.instance().is_some_and(|instance| instances[instance].0 == name) {
                entry.connection.abandon_instance();
                self.touch(index);
            }
        }
    }

    fn end_service(&mut self, service: &str) {
        for port in self.ports.iter_mut().filter(|port| port.service == service) {
            port.is_ending = true;
        }
        self.tick_at = Instant::ZERO;
    }

    /// Lets the clients in that have come, as long as there is room.
    fn let_in(&mut self) {
        for port in 0..self.ports.len() {
            while self.ports[port].has_arrivals && (self.has_room() || self.make_room()) {
                match self.ports[port].listener.accept() {
                    Ok((stream, _)) => {
                        // Answers go out as they come; without it they merely wait for each other.
                        let _ = stream.set_nodelay(true);
                        self.add(port, HostStream::Tcp(stream));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.ports[port].has_arrivals = false
                    }
                    // The client has gone again.
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    // The system has no room: the next turn tries again.
                    Err(_) => break,
                }
            }
        }
    }

    /// Ends an idle client that has no instance any more; says whether there was one.
    fn make_room(&mut self) -> bool {
        let is_idle = |index: &&usize| {
            let connection = self.connections[**index].as_ref().map(|entry| &entry.connection);
            connection.is_some_and(|it| it.instance().is_none() && it.is_settled())
        };
        let idle = self.timed.iter().find(is_idle).copied();
        idle.into_iter().for_each(|index| self.remove(index));
        idle.is_some()
    }

    fn add(&mut self, port: usize, mut client: HostStream) {
        let index = self.free.pop().unwrap_or(self.connections.len());
        if index == self.connections.len() {
            self.connections.push(None);
        }
        if client.register(self.poll.registry(), Token(CONNECTIONS + 2 * index)).is_err() {
            client.reset_on_close();
            self.free.push(index);
            return;
        }
        let connection = Connection::new(client);
        let entry = Entry { port, connection, deadline: None, dialed: Instant::ZERO, is_touched: false };
        self.connections[index] = Some(entry);
        self.touch(index);
    }

    fn touch(&mut self, index: usize) {
        if let Some(entry) = &mut self.connections[index]
            && !mem::replace(&mut entry.is_touched, true)
        {
            self.touched.push(index);
        }
    }

    fn pump(&mut self, index: usize) {
        let now = self.now();
        let Some(entry) = &mut self.connections[index] else { return };
        entry.is_touched = false;
        let port = &mut self.ports[entry.port];
        match entry.connection.pump(&mut self.buffer) {
            Progress::Open if !entry.connection.is_settled() => {
                self.set_deadline(index, now + INSTANCE_TIMEOUT)
            }
            Progress::Open if entry.connection.instance().is_some() => entry.deadline = None,
            Progress::Open => {}
            Progress::Busy => {
                entry.deadline = None;
                self.touch(index);
            }
            Progress::Requested => {
                entry.deadline = None;
                self.dial(index, now);
            }
            Progress::Wants => self.dial(index, now),
            Progress::Refused(gone) => {
                port.release(gone, now);
                if port.choice.has_promising(now) {
                    self.dial(index, now);
                } else {
                    // All are tried again at the next tick.
                    self.set_deadline(index, now + INSTANCE_TIMEOUT);
                }
            }
            Progress::Closing => self.set_deadline(index, now + CLOSE_TIMEOUT),
            Progress::Detached(gone) => {
                entry.deadline = None;
                port.release(gone, now);
                // The client may have sent the next request already.
                self.touch(index);
                self.set_deadline(index, now + CLOSE_TIMEOUT);
            }
            Progress::Repeated(gone) => {
                entry.deadline = None;
                port.release(gone, now);
                port.repeated += 1;
                self.dial(index, now);
            }
            Progress::Over { is_lost } => {
                port.lost += u64::from(is_lost);
                self.remove(index);
            }
        }
    }

    /// Connects to an instance. One that does not take it is followed by the next; when all have been tried, they are
    /// tried again later.
    fn dial(&mut self, index: usize, now: Instant) {
        let Some(entry) = &mut self.connections[index] else { return };
        let port = &mut self.ports[entry.port];
        let tries_max = if port.is_ending { 0 } else { port.choice.len() };
        for _ in 0..tries_max {
            let Some(instance) = port.choice.choose(now) else { break };
            let token = Token(CONNECTIONS + 2 * index + 1);
            let connect = HostStream::connect(&port.instances[instance].1);
            match connect.and_then(|mut it| it.register(self.poll.registry(), token).map(|()| it)) {
                Ok(stream) => {
                    entry.connection.attach(instance, stream);
                    entry.dialed = now;
                    return self.touch(index);
                }
                Err(_) => port.choice.fail(instance, now),
            }
        }
        self.set_deadline(index, now + INSTANCE_TIMEOUT);
    }

    /// Sets a deadline, unless there is one.
    fn set_deadline(&mut self, index: usize, deadline: Instant) {
        let Some(entry) = &mut self.connections[index] else { return };
        if entry.deadline.is_none() {
            entry.deadline = Some(deadline);
            self.timed.insert(index);
        }
    }

    /// Looks at the deadlines, and tries instances again for those who wait for one.
    fn tick(&mut self) {
        let now = self.now();
        self.tick_at = now + TICK;
        for index in mem::take(&mut self.timed) {
            let Some(entry) = &mut self.connections[index] else { continue };
            let Some(deadline) = entry.deadline else { continue };
            let port = &mut self.ports[entry.port];
            let has_instance = entry.connection.instance().is_some();
            if now >= deadline || (port.is_ending && !has_instance) {
                if !entry.connection.is_settled() {
                    port.refused += 1;
                    entry.connection.refuse();
                }
                self.remove(index);
                continue;
            }
            self.timed.insert(index);
            if has_instance && now >= entry.dialed + CONNECT_TIMEOUT && !entry.connection.is_settled() {
                entry.connection.abandon_instance();
            }
            if !entry.connection.is_settled() {
                self.touch(index);
            }
        }
    }

    fn remove(&mut self, index: usize) {
        let Some(entry) = self.connections[index].take() else { return };
        if let Some(instance) = entry.connection.instance() {
            self.ports[entry.port].choice.close(instance);
        }
        self.free.push(index);
    }
}
