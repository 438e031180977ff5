//! What a peer on the same wire can do with frames of its own making.
//!
//! After each attack the service answers others, and its connection table is back at its rest.

use std::net::Ipv4Addr;
use std::time::Duration;

use kernel_app::connections::REQUEST_GRACE;
use kernel_app::settings::Settings;
use kernel_app::stack::{ROOM_WANTED, SOCKETS_MAX};
use simulator::Simulation;
use simulator::client::{Client, get};
use simulator::random::Random;
use smoltcp::wire::TcpControl;

use super::raw::{Attacker, Segment};

const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 1), 8080);
/// A normal user is answered within this time, a lost SYN's second try included.
const ANSWERED_WITHIN: Duration = Duration::from_millis(1_500);
/// What an attack leaves is gone after this time: idle and stalled connections are ended by then.
const RECOVERED_WITHIN: Duration = Duration::from_secs(90);
/// SYNs at once; they fit the card's ring.
const BURST: u16 = 200;
/// Addresses of the attacker; fewer than a stack remembers.
const HOSTS: u16 = 40;

/// A vote service without a store, a user who is connected from the start, and an attacker.
struct Scene {
    simulation: Simulation,
    attacker: Attacker,
    user: Client,
    users: u8,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut simulation = Simulation::new(seed);
        let settings = Settings::from_pairs([("REDIS_URL", "redis://10.0.0.99")]);
        let boot = move || vote_service::program(&settings).expect("usable settings");
        simulation.add_node("vote", SERVER.0, boot).expect("starts");
        let attacker = Attacker::new(&mut simulation, SERVER);
        let user = simulation.add_client("user", Ipv4Addr::new(10, 0, 0, 2), SERVER, 1).expect("starts");
        (0..HOSTS).for_each(|number| attacker.announce(&mut simulation, host(number).0));
        let mut scene = Self { simulation, attacker, user, users: 2 };
        scene.assert_serves();
        scene
    }

    /// The user from the start is answered, and so is one who only now connects.
    fn assert_serves(&mut self) {
        self.users += 1;
        let address = Ipv4Addr::new(10, 0, 0, self.users);
        let newcomer = self.simulation.add_client("newcomer", address, SERVER, 1).expect("starts");
        for client in [&newcomer, &self.user.clone()] {
            self.ask(client, "/healthz");
        }
        self.simulation.crash(newcomer.node);
    }

    fn ask(&mut self, client: &Client, path: &str) -> String {
        let request = self.simulation.send(client, &get(path));
        let answered = self.simulation.run_until(|_| client.response(request).is_some(), ANSWERED_WITHIN);
        answered.unwrap_or_else(|error| panic!("{path} is not answered: {error}"));
        client.response(request).expect("answered").text()
    }

    /// Waits until only one connection is left, that of a user who asks for their number.
    fn assert_recovers(&mut self) {
        self.assert_serves();
        self.simulation.run_for(RECOVERED_WITHIN);
        self.assert_serves();
        self.simulation.run_for(RECOVERED_WITHIN);
        assert_eq!(self.connections(), 1, "connections that are left");
    }

    /// Open connections, that of the user who asks for them among them.
    fn connections(&mut self) -> usize {
        let metrics = self.ask(&self.user.clone(), "/metrics");
        let number = metrics.lines().find_map(|line| line.strip_prefix("http_connections "));
        number.and_then(|number| number.parse().ok()).expect("a number")
    }

    /// The server's answer to this segment, if it gives one at once.
    fn answer(&mut self, segment: &Segment) -> Option<Segment> {
        self.attacker.send(&mut self.simulation, segment);
        let heard = self.attacker.listen(&mut self.simulation);
        heard.into_iter().find(|answer| answer.own == segment.own)
    }

    /// A connection up to the end of its handshake: the server's SYN, and the ACK that was sent. The SYN may have to
    /// wait for room.
    fn connect(&mut self, own: (Ipv4Addr, u16)) -> (Segment, Segment) {
        let syn = Segment::syn(own);
        let mut answer = self.answer(&syn);
        for _ in 0..2 * REQUEST_GRACE.as_millis() {
            answer = answer.or_else(|| {
                let heard = self.attacker.listen(&mut self.simulation);
                heard.into_iter().find(|answer| answer.own == own)
            });
        }
        let answer = answer.expect("the port is open");
        assert_eq!(answer.control, TcpControl::Syn);
        let ack = syn.after(&answer, TcpControl::None, &[]);
        self.attacker.send(&mut self.simulation, &ack);
        (answer, ack)
    }
}

/// An address and a port of the attacker.
fn host(number: u16) -> (Ipv4Addr, u16) {
    (Ipv4Addr::new(10, 0, 0, 200 + (number % HOSTS) as u8), 10_000 + number)
}

/// An address at which nobody is.
fn nobody(number: u16) -> (Ipv4Addr, u16) {
    (Ipv4Addr::new(10, 0, 0, 100 + (number % 100) as u8), 10_000 + number)
}

/// SYNs at this pace, of which no handshake is ever finished, while somebody connects now and then.
fn flood(scene: &mut Scene, per_millisecond: u16, milliseconds: u16, from: fn(u16) -> (Ipv4Addr, u16)) {
    for moment in 0..milliseconds {
        for number in 0..per_millisecond {
            let syn = Segment::syn(from((moment * per_millisecond + number) % 50_000));
            scene.attacker.send(&mut scene.simulation, &syn);
        }
        scene.simulation.run_for(Duration::from_millis(1));
        if moment % 500 == 499 {
            scene.assert_serves();
        }
    }
}

#[test]
fn a_burst_of_500_syns_leaves_the_port_open() {
    let mut scene = Scene::new(1);
    flood(&mut scene, 250, 2, host);
    scene.assert_recovers();
}

#[test]
fn a_flood_of_syns_from_addresses_that_do_not_answer_leaves_the_port_open() {
    let mut scene = Scene::new(2);
    flood(&mut scene, 4, 3_000, nobody);
    scene.assert_recovers();
}

#[test]
fn a_syn_flood_by_hosts_that_ignore_syn_acks_leaves_the_port_open() {
    let mut scene = Scene::new(3);
    flood(&mut scene, 4, 3_000, host);
    scene.assert_recovers();
}

#[test]
fn a_fast_flood_of_syns_leaves_the_port_open() {
    let mut scene = Scene::new(8);
    flood(&mut scene, 30, 1_500, host);
    scene.assert_recovers();
}

#[test]
fn a_burst_meets_an_open_port_when_slow_clients_hold_every_socket() {
    let mut scene = Scene::new(9);
    for number in 0..SOCKETS_MAX as u16 {
        let (_, ack) = scene.connect(host(number));
        let part = Segment { control: TcpControl::Psh, payload: b"GET / HTTP/1.1\r\nX".to_vec(), ..ack };
        scene.attacker.send(&mut scene.simulation, &part);
    }
    scene.simulation.run_for(REQUEST_GRACE);
    scene.attacker.listen(&mut scene.simulation);

    for number in 0..BURST {
        scene.attacker.send(&mut scene.simulation, &Segment::syn(host(20_000 + number)));
    }
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.extend(scene.attacker.listen(&mut scene.simulation));
    }
    // Those for whom there was no room yet hear nothing and ask again; nobody is refused.
    let to_burst = |answer: &&Segment| answer.own.1 >= 30_000;
    let opened = answers.iter().filter(to_burst).filter(|answer| answer.control == TcpControl::Syn).count();
    assert!(opened >= ROOM_WANTED, "{opened} of {BURST} were accepted");
    assert_eq!(answers.iter().filter(to_burst).count(), opened, "others were refused");
    scene.assert_recovers();
}

#[test]
fn resets_at_every_stage_leave_nothing_behind() {
    let mut scene = Scene::new(4);
    let before = scene.connections();
    for number in 0..600 {
        let own = host(number);
        if number % 3 == 0 {
            let syn = Segment::syn(own);
            let answer = scene.answer(&syn).expect("the port is open");
            let reset = syn.after(&answer, TcpControl::Rst, &[]);
            scene.attacker.send(&mut scene.simulation, &reset);
            continue;
        }
        let (_, ack) = scene.connect(own);
        let part =
            if number % 3 == 1 { &b"GET / HTTP/1.1\r\nHo"[..] } else { b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" };
        let request = Segment { control: TcpControl::Psh, payload: part.to_vec(), ..ack.clone() };
        let answer = scene.answer(&request).expect("an acknowledgement");
        scene.attacker.send(&mut scene.simulation, &request.after(&answer, TcpControl::Rst, &[]));
    }
    scene.simulation.run_for(Duration::from_millis(10));
    assert_eq!(scene.connections(), before);
    scene.assert_recovers();
}

#[test]
fn unfinished_closes_leave_no_sockets_behind() {
    let mut scene = Scene::new(5);
    for number in 0..600 {
        let (_, ack) = scene.connect(host(number));
        let payload = if number % 2 == 0 { &b""[..] } else { b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" };
        let fin = Segment { control: TcpControl::Fin, payload: payload.to_vec(), ..ack };
        scene.attacker.send(&mut scene.simulation, &fin);
    }
    scene.assert_recovers();
}

#[test]
fn windows_that_stay_shut_are_given_up() {
    let mut scene = Scene::new(6);
    let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50);
    let mut held = Vec::new();
    for number in 0..1_500 {
        let (_, ack) = scene.connect(host(number));
        let request = Segment { window: 0, control: TcpControl::Psh, payload: requests.clone(), ..ack };
        scene.attacker.send(&mut scene.simulation, &request);
        held.push(request);
        if number % 300 == 0 {
            scene.assert_serves();
        }
    }
    // Every probe is answered: the peer lives, and wants nothing.
    for _ in 0..RECOVERED_WITHIN.as_millis() / 100 {
        for seen in scene.attacker.listen(&mut scene.simulation) {
            let shut = Segment { window: 0, ..held[0].clone() };
            let mut answer = shut.after(&seen, TcpControl::None, &[]);
            (answer.own, answer.ack) = (seen.own, Some(seen.seq));
            if seen.control != TcpControl::Rst {
                scene.attacker.send(&mut scene.simulation, &answer);
            }
        }
        scene.simulation.run_for(Duration::from_millis(99));
    }
    scene.assert_recovers();
}

#[test]
fn frames_of_any_content_are_survived() {
    let mut scene = Scene::new(7);
    let mut random = Random::new(7);
    for number in 0..50_000_u16 {
        let mut segment = Segment::syn(host(number % 50));
        segment.payload = b"GET / HTTP/1.1\r\n\r\n"[..usize::from(number % 18)].to_vec();
        let mut frame = scene.attacker.frame(&segment);
        for _ in 0..1 + random.next() % 8 {
            // The destination stays, or nobody would see it.
            let at = 6 + random.next() as usize % (frame.len() - 6);
            frame[at] = random.next() as u8;
        }
        frame.truncate(frame.len() - random.next() as usize % 30);
        if number % 2 == 0 {
            mend_checksums(&mut frame);
        }
        scene.simulation.send_frame(scene.attacker.station, &frame);
        if number % 100 == 0 {
            scene.attacker.listen(&mut scene.simulation);
        }
    }
    scene.assert_recovers();
}

/// Makes the checksums right, so that what is wrong elsewhere is looked at.
fn mend_checksums(frame: &mut [u8]) {
    use smoltcp::wire::{IpAddress, Ipv4Packet, TcpPacket};
    let Some(bytes) = frame.get_mut(14..) else { return };
    let Ok(mut packet) = Ipv4Packet::new_checked(bytes) else { return };
    packet.fill_checksum();
    let (from, to) = (IpAddress::Ipv4(packet.src_addr()), IpAddress::Ipv4(packet.dst_addr()));
    if let Ok(mut tcp) = TcpPacket::new_checked(packet.payload_mut()) {
        tcp.fill_checksum(&from, &to);
    }
}
