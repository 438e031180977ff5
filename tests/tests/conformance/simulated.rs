//! Cases played in the simulator: services, runtime and TCP stack of the guests, and a client that is a
//! TCP stack of its own, which can do what a service cannot, such as to end one direction only.
//!
//! A piece is sent when all that the one before it caused has happened, so pieces arrive as they were cut.

use std::net::Ipv4Addr;
use std::time::Duration;

use kernel_app::program::Program;
use kernel_app::settings::Settings;
use simulator::Simulation;
use simulator::client::get;
use simulator::device::SimulatedDevice;
use simulator::station::StationId;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use super::play::{Action, End, Play};

const STORE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const ASKER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const PORT: u16 = 80;
/// Connections at the same time.
const AT_ONCE_MAX: usize = 64;
/// What one piece causes has happened within this time.
const ROUND: Duration = Duration::from_millis(2);
/// Rounds in which a client waits for what should come.
const PATIENCE_ROUNDS: usize = 8_000;
const START_LIMIT: Duration = Duration::from_secs(30);
/// Larger than any case, so that a piece is always sent at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// First of the client's ports.
const PORT_FIRST: u16 = 1_024;

/// Plays all of them against `program`.
pub fn run<'a>(program: Program, plays: Vec<Play<'a>>) -> Vec<Play<'a>> {
    let mut simulation = Simulation::new(1);
    let settings = Settings::from_pairs([
        ("REDIS_URL", format!("redis://{STORE}")),
        ("PORT", PORT.to_string()),
        ("INSTANCE", super::INSTANCE.to_owned()),
    ]);
    let store = || store_service::program(&Settings::default()).expect("usable settings");
    simulation.add_node("store", STORE, store).expect("starts");
    let service = move || program(&settings).expect("usable settings");
    simulation.add_node("service", SERVICE, service).expect("starts");
    wait_until_ready(&mut simulation);
    let mut waiting = plays.into_iter();
    let mut world = World::new(simulation);
    let (mut clients, mut done): (Vec<Client<'a>>, Vec<Play<'a>>) = (Vec::new(), Vec::new());
    loop {
        let room = AT_ONCE_MAX - clients.len();
        clients.extend(waiting.by_ref().take(room).map(|play| world.connect(play)));
        if clients.is_empty() {
            return done;
        }
        world.round();
        for mut client in std::mem::take(&mut clients) {
            if client.advance(&mut world.sockets) {
                clients.push(client);
            } else {
                world.sockets.get_mut::<tcp::Socket>(client.handle).abort();
                world.leaving.push(client.handle);
                done.push(client.play);
            }
        }
    }
}

fn wait_until_ready(simulation: &mut Simulation) {
    let asker = simulation.add_client("asker", ASKER, (SERVICE, PORT), 1).expect("starts");
    loop {
        let ready = simulation.send(&asker, &get("/readyz"));
        simulation.run_until(|_| asker.response(ready).is_some(), START_LIMIT).expect("an answer");
        if asker.response(ready).expect("answered").status == 200 {
            return;
        }
        simulation.run_for(Duration::from_millis(100));
    }
}

/// The simulation and the client's stack in it.
struct World {
    simulation: Simulation,
    station: StationId,
    card: SimulatedDevice,
    interface: Interface,
    sockets: SocketSet<'static>,
    /// Aborted, and not yet gone from the wire.
    leaving: Vec<SocketHandle>,
    ports: u16,
}

impl World {
    fn new(mut simulation: Simulation) -> Self {
        let station = simulation.add_station();
        let mut card = SimulatedDevice::default();
        let address = EthernetAddress(simulation.station_address(station));
        let mut interface = Interface::new(Config::new(address.into()), &mut card, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::Ipv4(CLIENT), 24)).expect("room for one");
        });
        let (sockets, leaving) = (SocketSet::new(Vec::new()), Vec::new());
        Self { simulation, station, card, interface, sockets, leaving, ports: 0 }
    }

    fn connect<'a>(&mut self, play: Play<'a>) -> Client<'a> {
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER_BYTES]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        self.ports = (self.ports + 1) % (u16::MAX - PORT_FIRST);
        let remote = (IpAddress::Ipv4(SERVICE), PORT);
        socket.connect(self.interface.context(), remote, PORT_FIRST + self.ports).expect("a free port");
        Client { play, handle: self.sockets.add(socket), quiet_rounds: 0 }
    }

    /// Lets everything happen that the last pieces cause.
    fn round(&mut self) {
        self.poll();
        for handle in self.leaving.drain(..) {
            self.sockets.remove(handle);
        }
        let end = self.simulation.now() + ROUND;
        while self.simulation.now() < end {
            self.simulation.run_for(ROUND / 20);
            self.poll();
        }
    }

    fn poll(&mut self) {
        for frame in self.simulation.take_frames(self.station) {
            assert!(self.card.receive_frame(frame), "the client reads faster than this");
        }
        let now = Instant::from_micros(i64::try_from(self.simulation.now().as_micros()).expect("no ages"));
        self.interface.poll(now, &mut self.card, &mut self.sockets);
        for frame in self.card.take_sent() {
            self.simulation.send_frame(self.station, &frame);
        }
    }
}

/// A case under way.
struct Client<'a> {
    play: Play<'a>,
    handle: SocketHandle,
    quiet_rounds: usize,
}

impl Client<'_> {
    /// Reads what is there and sends a piece; whether there is more to come.
    fn advance(&mut self, sockets: &mut SocketSet<'static>) -> bool {
        let socket = sockets.get_mut::<tcp::Socket>(self.handle);
        if socket.state() == tcp::State::SynSent {
            return true;
        }
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = socket.recv_slice(&mut bytes) {
            self.play.received(&bytes[..count]);
            self.quiet_rounds = 0;
        }
        match socket.state() {
            // The client never aborts while a case is under way.
            tcp::State::Closed => self.play.ended(End::Reset),
            _ if !socket.may_recv() => self.play.ended(End::Fin),
            _ => {}
        }
        match self.play.next() {
            Action::Done => return false,
            Action::Wait => self.quiet_rounds += 1,
            Action::Send(bytes) => {
                self.quiet_rounds = 0;
                let sent = socket.send_slice(&bytes);
                assert!(sent.is_err() || sent == Ok(bytes.len()), "a piece fits the buffer");
            }
            Action::End => socket.close(),
        }
        self.quiet_rounds < PATIENCE_ROUNDS
    }
}
