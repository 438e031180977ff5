//! The simulation itself: time, the wire, and that a seed decides everything.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::client::{Client, get};
use crate::*;
use kernel_app::service::{Context, Endpoints, Listener, Origin, Service};
use kernel_app::{ConnectionId, Instant};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const LIMIT: Duration = Duration::from_secs(60);

/// Answers every request with how many it has seen, padded.
#[derive(Default)]
struct Counter {
    seen: usize,
    padding: usize,
}

impl Service for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { listeners: vec![Listener { name: "http", port: 80 }], peers: Vec::new() }
    }

    fn opened(&mut self, _: ConnectionId, _: Origin, _: &mut Context<'_>) {}

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let connection = context.connections.get_mut(id).expect("live");
        while let Some(end) = connection.input.as_slice().windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            connection.input.consume(end + 4);
            self.seen += 1;
            let body = format!("{:>width$}", self.seen, width = self.padding);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            connection.output.write(head.as_bytes()).expect("room");
            connection.output.write(body.as_bytes()).expect("room");
        }
        if connection.input_ended {
            context.connections.close(id);
        }
    }

    fn closed(&mut self, _: ConnectionId, _: &mut Context<'_>) {}

    fn turn(&mut self, _: &mut Context<'_>) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

fn simulation(seed: u64, padding: usize) -> (Simulation, NodeId, Client) {
    let mut simulation = Simulation::new(seed);
    let boot = move || vec![Box::new(Counter { seen: 0, padding }) as Box<dyn Service>];
    let server = simulation.add_node("server", SERVER, boot).expect("starts");
    let client = simulation.add_client("client", CLIENT, (SERVER, 80), 2).expect("starts");
    (simulation, server, client)
}

/// What a rough network does to 40 answers of 20 kB: the trace and the time it took.
fn rough(seed: u64) -> (u64, Instant) {
    let (mut simulation, _, client) = simulation(seed, 20_000);
    simulation.set_conditions(Conditions {
        latency: Duration::from_millis(2),
        jitter: Duration::from_millis(3),
        lost_per_million: 50_000,
        duplicated_per_million: 20_000,
    });
    let requests: Vec<_> = (0..40).map(|_| simulation.send(&client, &get("/"))).collect();
    simulation.run_until(|_| client.unanswered() == 0, LIMIT).expect("TCP gets through");
    let answer =
        |id| client.response(id).expect("not lost").text().trim().parse::<usize>().expect("a number");
    let mut answers: Vec<_> = requests.into_iter().map(answer).collect();
    answers.sort_unstable();
    assert_eq!(answers, (1..=40).collect::<Vec<_>>(), "each request was answered once");
    (simulation.trace_hash(), simulation.now())
}

#[test]
fn a_seed_decides_every_frame_and_its_time() {
    assert_eq!(rough(1), rough(1));
    assert_ne!(rough(1), rough(2));
}

#[test]
fn an_answer_takes_the_time_of_its_ways() {
    let (mut simulation, _, client) = simulation(3, 0);
    let request = simulation.send(&client, &get("/"));
    simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("answers");
    // ARP, SYN and request, each with its answer.
    let latency = Conditions::default().latency;
    assert!(simulation.now() - Instant::ZERO >= latency * 6);
    assert!(simulation.now() - Instant::ZERO < latency * 8);
}

#[test]
fn nothing_passes_a_cut_wire_until_it_is_mended() {
    let (mut simulation, server, client) = simulation(4, 0);
    simulation.connect(server, client.node, false);
    let request = simulation.send(&client, &get("/"));
    let limit = Duration::from_secs(10);
    let error = simulation.run_until(|_| client.so_far(request).is_some(), limit).expect_err("cut");
    assert_eq!(error, TimedOut { limit, is_quiet: false });
    assert_eq!(simulation.now(), Instant::ZERO + limit);
    simulation.connect(server, client.node, true);
    simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("mended");
}

#[test]
fn a_wire_that_is_cut_one_way_carries_the_other() {
    let (mut simulation, server, client) = simulation(4, 0);
    simulation.send(&client, &get("/"));
    simulation.connect_one_way(server, client.node, false);
    simulation.run_for(Duration::from_secs(1));
    let cut = simulation.frame_counts().cut;
    assert!(cut > 0, "the server hears the client and answers");
    simulation.connect_one_way(server, client.node, true);
    simulation.connect_one_way(client.node, server, false);
    simulation.run_for(Duration::from_millis(20));
    simulation.connect_one_way(client.node, server, true);
    let request = simulation.send(&client, &get("/"));
    simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("mended");
}

#[test]
fn a_request_that_is_given_up_loses_its_connection_or_is_never_sent() {
    let (mut simulation, server, client) = simulation(10, 0);
    simulation.run_for(Duration::from_secs(1));
    simulation.connect(server, client.node, false);
    let requests: Vec<_> = (0..3).map(|_| simulation.send(&client, &get("/"))).collect();
    simulation.run_for(Duration::from_millis(10));
    requests.iter().for_each(|id| simulation.abandon(&client, *id));
    simulation.run_for(Duration::from_millis(10));
    let lost = requests.iter().filter(|id| client.is_lost(**id)).count();
    let unsent = requests.iter().filter(|id| client.is_unsent(**id)).count();
    assert_eq!((lost, unsent, client.unanswered()), (2, 1, 0), "there are two connections");
    assert_eq!(client.take_settled().len(), 3);
    simulation.connect(server, client.node, true);
    let request = simulation.send(&client, &get("/"));
    simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("dialled again");
    assert_eq!(client.take_settled(), [request]);
}

#[test]
fn a_clock_that_is_slow_makes_everything_late() {
    let took = |drift_ppm| {
        let (mut simulation, server, client) = simulation(11, 0);
        simulation.connect_one_way(client.node, server, false);
        simulation.set_clock_drift(client.node, drift_ppm);
        simulation.run_for(Duration::from_secs(5));
        let before = simulation.now();
        simulation.connect_one_way(client.node, server, true);
        let request = simulation.send(&client, &get("/"));
        simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("mended");
        simulation.now() - before
    };
    assert_ne!(took(-DRIFT_PPM_MAX), took(DRIFT_PPM_MAX), "dialling again waits by the node's clock");
}

/// Writes a number to its disk for each request, and answers with the first number it found there.
#[derive(Default)]
struct Keeper {
    counter: Counter,
}

impl Service for Keeper {
    fn name(&self) -> &'static str {
        "keeper"
    }

    fn endpoints(&self) -> Endpoints {
        self.counter.endpoints()
    }

    fn start(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        let mut sector = [0; kernel_app::disk::SECTOR_BYTES];
        context.disk.as_mut().expect("a disk").read(0, &mut sector).map_err(|error| format!("{error}"))?;
        self.counter.seen = usize::from(sector[0]);
        Ok(())
    }

    fn opened(&mut self, _: ConnectionId, _: Origin, _: &mut Context<'_>) {}

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.counter.ready(id, context);
        let disk = context.disk.as_mut().expect("a disk");
        let byte = u8::try_from(self.counter.seen).expect("few requests");
        disk.write(0, &[byte; kernel_app::disk::SECTOR_BYTES], context.now);
    }

    fn closed(&mut self, _: ConnectionId, _: &mut Context<'_>) {}

    fn turn(&mut self, context: &mut Context<'_>) {
        context.disk.as_mut().expect("a disk").outcome(context.now).transpose().expect("written");
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

#[test]
fn a_disk_outlives_the_crashes_of_its_node() {
    let mut simulation = Simulation::new(12);
    let disk = simulation.new_disk(8);
    let boot = || vec![Box::new(Keeper::default()) as Box<dyn Service>];
    let server = simulation.add_node_with_disk("keeper", SERVER, &disk, boot).expect("starts");
    let client = simulation.add_client("client", CLIENT, (SERVER, 80), 1).expect("starts");
    for expected in ["1", "2", "3"] {
        // The first request after a crash may find its connection gone.
        let answer = loop {
            let request = simulation.send(&client, &get("/"));
            simulation.run_until(|_| client.unanswered() == 0, LIMIT).expect("answers");
            if let Some(response) = client.response(request) {
                break response.text();
            }
        };
        assert_eq!(answer, expected);
        simulation.run_for(Duration::from_millis(10));
        simulation.crash(server);
        simulation.restart(server).expect("starts");
    }
    assert_eq!((disk.counts().writes, disk.counts().torn), (3, 0));
}

#[test]
fn a_crashed_node_starts_with_nothing() {
    let (mut simulation, server, client) = simulation(5, 0);
    for expected in ["1", "2"] {
        let request = simulation.send(&client, &get("/"));
        simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("answers");
        assert_eq!(client.response(request).expect("answered").text(), expected);
    }
    simulation.crash(server);
    assert!(!simulation.is_up(server));
    let lost = [simulation.send(&client, &get("/")), simulation.send(&client, &get("/"))];
    simulation.run_for(Duration::from_secs(1));
    assert!(lost.iter().all(|id| client.so_far(*id).is_none()));
    simulation.restart(server).expect("starts");
    let request = simulation.send(&client, &get("/"));
    simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("dialled again");
    assert_eq!(client.response(request).expect("answered").text(), "1");
    assert!(lost.iter().all(|id| client.is_lost(*id)));
}

#[test]
fn a_paused_node_goes_on_with_what_it_had_and_what_came_meanwhile() {
    for clock_stands in [false, true] {
        let (mut simulation, server, client) = simulation_with_one_answer();
        simulation.pause(server);
        let request = simulation.send(&client, &get("/"));
        let error = simulation.run_until(|_| client.response(request).is_some(), Duration::from_secs(3));
        assert!(error.is_err() && simulation.is_up(server), "nothing happens in it");
        simulation.resume(server, clock_stands);
        simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("it goes on");
        assert_eq!(client.response(request).expect("an answer").text().trim(), "2", "it had seen one");
    }
}

#[test]
fn a_clock_that_jumps_makes_everything_due() {
    let mut clock = clock::Clock::default();
    let now = Instant::from_millis(1_000);
    clock.set(now, clock.local(now) + Duration::from_secs(3_600));
    assert_eq!(clock.local(now), Instant::from_millis(3_601_000));
    assert!(clock.simulated(Instant::from_millis(60_000)) <= now, "what was due in between is due");
    clock.set(now, Instant::from_millis(5));
    assert_eq!(clock.local(Instant::from_millis(1_001)), Instant::from_millis(6), "it has stood");
}

#[test]
fn nothing_happens_when_nothing_is_left_to_happen() {
    let mut simulation = Simulation::new(6);
    assert!(!simulation.step());
    let error = simulation.run_until(|_| false, LIMIT).expect_err("nothing happens");
    assert!(error.is_quiet);
    let (mut idle, _, client) = simulation_with_one_answer();
    let frames = idle.frames();
    idle.run_for(Duration::from_secs(600));
    let keep_alives_at_most = 600 / kernel_app::stack::PEER_KEEP_ALIVE.as_secs() * 2 * 3;
    assert!(idle.frames() - frames < keep_alives_at_most, "{} frames", idle.frames() - frames);
    assert_eq!(client.unanswered(), 0);
}

fn simulation_with_one_answer() -> (Simulation, NodeId, Client) {
    let (mut simulation, server, client) = simulation(7, 0);
    let request = simulation.send(&client, &get("/"));
    simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("answers");
    (simulation, server, client)
}

#[test]
fn the_recording_holds_every_frame() {
    let (mut simulation, _, client) = simulation(8, 0);
    simulation.record();
    let request = simulation.send(&client, &get("/"));
    simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("answers");
    let recording = simulation.recording();
    let word = |at: usize| {
        let bytes = recording[at..].first_chunk::<4>().expect("inside");
        u32::from_le_bytes(*bytes) as usize
    };
    assert_eq!((word(0), word(20)), (0xa1b2_c3d4, 1));
    let (mut at, mut frames) = (24, 0);
    while at < recording.len() {
        assert_eq!(word(at + 8), word(at + 12));
        at += 16 + word(at + 8);
        frames += 1;
    }
    assert_eq!((at, frames), (recording.len(), simulation.frames()));
}

/// Takes connections for streams without end, and answers on them all the same.
struct Streaming(Counter);

impl Service for Streaming {
    fn name(&self) -> &'static str {
        "streaming"
    }

    fn endpoints(&self) -> Endpoints {
        self.0.endpoints()
    }

    fn opened(&mut self, id: ConnectionId, _: Origin, context: &mut Context<'_>) {
        context.connections.set_streaming(id, context.now);
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.0.ready(id, context);
    }

    fn closed(&mut self, _: ConnectionId, _: &mut Context<'_>) {}

    fn turn(&mut self, _: &mut Context<'_>) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

#[test]
fn one_more_is_served_when_streams_have_taken_every_socket() {
    let mut simulation = Simulation::new(9);
    let boot = || vec![Box::new(Streaming(Counter::default())) as Box<dyn Service>];
    simulation.add_node("server", SERVER, boot).expect("starts");
    let crowd = kernel_app::stack::SOCKETS_MAX / 2;
    for number in 3..6 {
        let address = Ipv4Addr::new(10, 0, 0, number);
        simulation.add_client("follower", address, (SERVER, 80), crowd).expect("starts");
        simulation.run_for(Duration::from_millis(100));
    }
    let late = simulation.add_client("late", CLIENT, (SERVER, 80), 1).expect("starts");
    let request = simulation.send(&late, &get("/"));
    let answered = simulation.run_until(|_| late.response(request).is_some(), Duration::from_millis(500));
    answered.expect("a stream has made room");
}
