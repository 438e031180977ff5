//! Tests of the runtime with a fake network, which consists of lists of events and calls.

extern crate std;

mod drain;

use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec;
use core::cell::RefCell;
use std::format;

use super::peers::{BACKOFF_MAX_MS, BACKOFF_MIN_MS};
use super::*;
use crate::network::Unreachable;
use crate::service::Listener;

type Shared<T> = Rc<RefCell<T>>;

/// What the tests feed to and see of the fake network.
#[derive(Default)]
struct Wire {
    accept: Vec<(usize, Origin)>,
    arriving: Vec<Event>,
    listened: Vec<u16>,
    dialled: Vec<(String, u16, Instant)>,
    deadline: Option<Instant>,
}

struct FakeNetwork(Shared<Wire>);

impl Network for FakeNetwork {
    fn listen(&mut self, port: u16, _: usize, _: Origin) -> Result<(), ListenError> {
        if port == 1 {
            return Err(ListenError { port, reason: "it is taken".to_string() });
        }
        self.0.borrow_mut().listened.push(port);
        Ok(())
    }

    fn stop_listening(&mut self) {
        self.0.borrow_mut().listened.clear();
    }

    fn connect(&mut self, host: &str, port: u16, _: usize, _: usize, now: Instant) {
        self.0.borrow_mut().dialled.push((host.to_string(), port, now));
    }

    fn poll(&mut self, _: Instant, connections: &mut Connections, events: &mut Vec<Event>) {
        let mut wire = self.0.borrow_mut();
        for (service, origin) in core::mem::take(&mut wire.accept) {
            events.extend(connections.open(service, origin).map(Event::Opened));
        }
        events.append(&mut wire.arriving);
    }

    fn flush(&mut self, _: Instant, connections: &mut Connections) {
        while connections.take_touched().is_some() {}
    }

    fn next_deadline(&mut self, _: Instant) -> Option<Instant> {
        self.0.borrow().deadline
    }

    fn wait(&mut self, _: Instant, _: Option<Instant>) {}
}

/// Writes down what it is called with; as a server it sends everything back.
struct Recorder {
    name: &'static str,
    endpoints: Endpoints,
    seen: Shared<Vec<String>>,
    greeting: Vec<u8>,
    echoes: bool,
    ids: Shared<Vec<ConnectionId>>,
}

impl Service for Recorder {
    fn name(&self) -> &'static str {
        self.name
    }

    fn endpoints(&self) -> Endpoints {
        self.endpoints.clone()
    }

    fn opened(&mut self, id: ConnectionId, origin: Origin, context: &mut Context<'_>) {
        self.seen.borrow_mut().push(format!("{} opened {origin:?}", self.name));
        self.ids.borrow_mut().push(id);
        let connection = context.connections.get_mut(id).expect("live");
        let sent = connection.output.write_some(&self.greeting);
        self.greeting.drain(..sent);
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let connection = context.connections.get_mut(id).expect("live");
        let arrived = connection.input.len();
        if self.echoes {
            let taken = connection.output.write_some(connection.input.as_slice());
            connection.input.consume(taken);
        } else {
            connection.input.clear();
            let sent = connection.output.write_some(&self.greeting);
            self.greeting.drain(..sent);
        }
        let ended = if connection.input_ended { " and the end" } else { "" };
        self.seen.borrow_mut().push(format!("{} got {arrived}{ended}", self.name));
    }

    fn closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        assert!(context.connections.get(id).is_some(), "the entry outlives the call");
        self.seen.borrow_mut().push(format!("{} closed", self.name));
    }

    fn turn(&mut self, _: &mut Context<'_>) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

/// Always the same byte.
struct Constant(u8);

impl Entropy for Constant {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

struct Bench {
    wire: Shared<Wire>,
    seen: Shared<Vec<String>>,
    ids: Shared<Vec<ConnectionId>>,
}

impl Bench {
    fn new() -> Self {
        Self { wire: Rc::default(), seen: Rc::default(), ids: Rc::default() }
    }

    fn service(&self, name: &'static str, endpoints: Endpoints, greeting: &[u8]) -> Box<dyn Service> {
        let (seen, ids, greeting) = (self.seen.clone(), self.ids.clone(), greeting.to_vec());
        Box::new(Recorder { name, endpoints, seen, greeting, echoes: name == "store", ids })
    }

    fn runtime(&self, services: Vec<Box<dyn Service>>) -> Result<Runtime<FakeNetwork>, StartError> {
        Runtime::new(FakeNetwork(self.wire.clone()), services)
    }

    fn take_seen(&self) -> Vec<String> {
        core::mem::take(&mut self.seen.borrow_mut())
    }
}

fn listening(name: &'static str, port: u16) -> Endpoints {
    Endpoints { listeners: vec![Listener { name, port }], peers: Vec::new() }
}

fn with_peer(target: Target) -> Endpoints {
    Endpoints { listeners: Vec::new(), peers: vec![Peer { name: "store", setting: "REDIS_URL", target }] }
}

fn in_memory(listener: &'static str) -> Endpoints {
    with_peer(Target::Memory { service: "store".to_string(), listener })
}

fn turn(runtime: &mut Runtime<FakeNetwork>, at_ms: u64) -> Option<Instant> {
    runtime.turn(Instant::from_millis(at_ms), Duration::ZERO, &mut Constant(0))
}

#[test]
fn a_lost_connection_is_told_once_and_its_entry_goes() {
    let bench = Bench::new();
    let mut runtime =
        bench.runtime(vec![bench.service("store", listening("resp", 6379), b"")]).expect("starts");
    assert_eq!(bench.wire.borrow().listened, [6379]);
    bench.wire.borrow_mut().accept.push((0, Origin::Accepted(0)));
    turn(&mut runtime, 0);
    let id = bench.ids.borrow()[0];
    bench.wire.borrow_mut().arriving.extend([Event::Closed(id), Event::Ready(id), Event::Closed(id)]);
    assert_eq!(turn(&mut runtime, 1), None);
    assert_eq!(bench.take_seen(), ["store opened Accepted(0)", "store closed"]);
    assert!(runtime.connections().is_empty());
}

#[test]
fn the_redial_wait_grows_and_a_good_connection_resets_it() {
    let bench = Bench::new();
    let endpoints = with_peer(Target::Host { host: "db".to_string(), port: 6379 });
    let mut runtime = bench.runtime(vec![bench.service("vote", endpoints, b"")]).expect("starts");
    let failure = Event::Unreachable { service: 0, peer: 0, reason: Unreachable::Refused };
    let mut due = Instant::ZERO;
    for attempt in 0..8 {
        runtime.turn(due, Duration::ZERO, &mut Constant(0));
        assert_eq!(bench.wire.borrow().dialled.len(), attempt + 1);
        bench.wire.borrow_mut().arriving.push(failure);
        let next = runtime.turn(due, Duration::ZERO, &mut Constant(0)).expect("a redial is due");
        let longest = BACKOFF_MAX_MS.min(BACKOFF_MIN_MS << attempt);
        assert_eq!(next - due, Duration::from_millis(longest / 2), "attempt {attempt}");
        due = next;
    }
    let id = runtime.connections.open(0, Origin::Peer(0)).expect("room");
    bench.wire.borrow_mut().arriving.push(Event::Opened(id));
    assert_eq!(turn(&mut runtime, 100_000), None, "an attempt is under way, then it is up");
    bench.wire.borrow_mut().arriving.push(Event::Closed(id));
    assert_eq!(turn(&mut runtime, 200_000), Some(Instant::from_millis(200_025)));
}

#[test]
fn a_peer_that_has_moved_is_marked_on_its_connection_only() {
    let bench = Bench::new();
    let endpoints = with_peer(Target::Host { host: "db".to_string(), port: 6379 });
    let mut runtime = bench.runtime(vec![bench.service("vote", endpoints, b"")]).expect("starts");
    let moved = Event::Moved { service: 0, peer: 0 };
    bench.wire.borrow_mut().arriving.push(moved);
    turn(&mut runtime, 0);
    bench.wire.borrow_mut().accept.extend([(0, Origin::Accepted(0)), (0, Origin::Peer(0))]);
    turn(&mut runtime, 1);
    let [client, peer] = bench.ids.borrow()[..] else { panic!("two connections") };
    let has_moved =
        |runtime: &Runtime<FakeNetwork>, id| runtime.connections().get(id).expect("open").peer_has_moved;
    assert!(!has_moved(&runtime, peer), "it was said of one before");
    bench.wire.borrow_mut().arriving.push(moved);
    turn(&mut runtime, 2);
    assert!(has_moved(&runtime, peer) && !has_moved(&runtime, client));
}

#[test]
fn services_of_one_image_talk_through_memory() {
    let bench = Bench::new();
    let services = || {
        vec![
            bench.service("vote", in_memory("resp"), b"hello"),
            bench.service("store", listening("resp", 0), b""),
        ]
    };
    let mut runtime = bench.runtime(services()).expect("starts");
    assert!(bench.wire.borrow().listened.is_empty(), "port 0 is memory only");
    assert_eq!(turn(&mut runtime, 0), None);
    let expected = ["store opened Accepted(0)", "vote opened Peer(0)", "store got 5", "vote got 5"];
    assert_eq!(bench.take_seen(), expected);

    let near = bench.ids.borrow()[1];
    runtime.connections.close(near);
    assert_eq!(turn(&mut runtime, 10), Some(Instant::from_millis(1_010)), "the store may close too");
    assert_eq!(bench.take_seen(), ["store got 0 and the end"]);
    let redial = turn(&mut runtime, 1_010).expect("the pipe is over and dialled again");
    assert_eq!(bench.take_seen(), ["vote closed", "store closed"]);
    runtime.turn(redial, Duration::ZERO, &mut Constant(0));
    assert_eq!(runtime.connections().len(), 2);
}

#[test]
fn an_abort_ends_both_sides_at_once() {
    let bench = Bench::new();
    let vote = bench.service("vote", in_memory("resp"), b"");
    let store = bench.service("store", listening("resp", 0), b"");
    let mut runtime = bench.runtime(vec![vote, store]).expect("starts");
    turn(&mut runtime, 0);
    bench.take_seen();
    let far = bench.ids.borrow()[0];
    runtime.connections.abort(far);
    turn(&mut runtime, 5);
    assert_eq!(bench.take_seen(), ["vote closed", "store closed"]);
    assert!(runtime.connections().is_empty());
}

#[test]
fn more_than_fits_goes_through_memory_in_bounded_rounds() {
    let bench = Bench::new();
    let total = 1_000_000;
    let vote = bench.service("vote", in_memory("resp"), &vec![7; total]);
    let store = bench.service("store", listening("resp", 0), b"");
    let mut runtime = bench.runtime(vec![vote, store]).expect("starts");
    let mut turns = 1;
    while turn(&mut runtime, 0) == Some(Instant::ZERO) {
        turns += 1;
        assert!(turns < 100, "it comes to rest");
    }
    assert!(turns > 1, "one turn does not do it all");
    let seen = bench.take_seen();
    let counts = seen.iter().filter_map(|line| line.strip_prefix("vote got "));
    assert_eq!(counts.map(|count| count.parse::<usize>().expect("a count")).sum::<usize>(), total);
}

#[test]
fn what_cannot_start_says_why() {
    let bench = Bench::new();
    let error = bench.runtime(vec![bench.service("vote", in_memory("resp"), b"")]).err().expect("no store");
    assert_eq!(
        error.to_string(),
        "vote wants its store at memory://store, but this image has no service \"store\" that listens \
         for resp; name one that it has, or a host and port"
    );
    let store = bench.service("store", listening("http", 0), b"");
    assert!(bench.runtime(vec![store, bench.service("vote", in_memory("resp"), b"")]).is_err());
    let error = bench.runtime(vec![bench.service("store", listening("resp", 1), b"")]).err().expect("taken");
    assert_eq!(error.to_string(), "cannot listen on port 1: it is taken; set PORT to a free one");
}

#[test]
fn the_earliest_deadline_is_given() {
    let bench = Bench::new();
    let endpoints = with_peer(Target::Host { host: "db".to_string(), port: 6379 });
    let mut runtime = bench.runtime(vec![bench.service("vote", endpoints, b"")]).expect("starts");
    bench.wire.borrow_mut().deadline = Some(Instant::from_millis(70));
    let reason = Unreachable::TimedOut;
    assert_eq!(turn(&mut runtime, 0), Some(Instant::from_millis(70)));
    bench.wire.borrow_mut().arriving.push(Event::Unreachable { service: 0, peer: 0, reason });
    assert_eq!(turn(&mut runtime, 0), Some(Instant::from_millis(25)));
}

#[test]
fn a_node_that_is_told_to_stop_ends_once_nobody_is_connected() {
    use crate::shutdown::NOTICE;
    let (wire, seen, ids) = (Shared::<Wire>::default(), Shared::default(), Shared::default());
    let endpoints = Endpoints { listeners: vec![Listener { name: "x", port: 80 }], peers: vec![] };
    let service = Recorder {
        name: "x",
        endpoints,
        seen: Rc::clone(&seen),
        greeting: vec![],
        echoes: false,
        ids: Rc::clone(&ids),
    };
    let mut runtime =
        Runtime::new(FakeNetwork(Rc::clone(&wire)), vec![Box::new(service)]).expect("no port 1");
    let turn = |runtime: &mut Runtime<_>, now| runtime.turn(now, Duration::ZERO, &mut Constant(0));
    wire.borrow_mut().accept.push((0, Origin::Accepted(0)));
    turn(&mut runtime, Instant::ZERO);
    runtime.stop(Some(NOTICE), Instant::ZERO);
    assert_eq!(turn(&mut runtime, Instant::ZERO), Some(Instant::ZERO + NOTICE));
    assert_eq!(
        (runtime.connections().shutdown_phase(), wire.borrow().listened.len()),
        (ShutdownPhase::Announced, 1)
    );
    let drains = Instant::ZERO + NOTICE;
    turn(&mut runtime, drains);
    assert_eq!(
        (runtime.connections().shutdown_phase(), wire.borrow().listened.len()),
        (ShutdownPhase::Draining, 0)
    );
    assert!(!runtime.has_stopped(), "somebody is connected");
    wire.borrow_mut().arriving.push(Event::Closed(ids.borrow()[0]));
    turn(&mut runtime, drains);
    assert!(runtime.has_stopped());
}

/// A service that orders the node to stop whenever somebody comes.
struct Stopper;

impl Service for Stopper {
    fn name(&self) -> &'static str {
        "x"
    }

    fn endpoints(&self) -> Endpoints {
        listening("x", 80)
    }

    fn opened(&mut self, _: ConnectionId, _: Origin, context: &mut Context<'_>) {
        context.connections.shutdown.order(None, context.now);
    }

    fn ready(&mut self, _: ConnectionId, _: &mut Context<'_>) {}

    fn closed(&mut self, _: ConnectionId, _: &mut Context<'_>) {}

    fn turn(&mut self, _: &mut Context<'_>) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

#[test]
fn an_order_that_comes_as_a_request_is_carried_out_at_once() {
    let bench = Bench::new();
    let mut runtime = bench.runtime(vec![Box::new(Stopper)]).expect("starts");
    let now = Instant::from_millis(7);
    for (phase, listeners) in [(ShutdownPhase::Announced, 1), (ShutdownPhase::Draining, 0)] {
        bench.wire.borrow_mut().accept.push((0, Origin::Accepted(0)));
        assert_eq!(turn(&mut runtime, 7), Some(now), "the next turn is due at once");
        turn(&mut runtime, 7);
        assert_eq!(
            (runtime.connections().shutdown_phase(), bench.wire.borrow().listened.len()),
            (phase, listeners)
        );
    }
}
