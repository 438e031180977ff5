//! Tests of a server with only a connection table: the test takes the place of network and clock.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::connections::{Connections, Ending, HeapUsage, OUTPUT_LOW_WATER_BYTES};
use crate::service::Origin;
use crate::settings::Settings;
use crate::shutdown::ShutdownPhase;
use ether::random::NoEntropy;
use wire::Instant;
use wire::http::limits::{ANSWER_TIMEOUT, HEAD_PACE, IDLE_TIMEOUT, SHORTEST_WAIT, WRITE_STALL_TIMEOUT};

const ROUTES: &[Route] = &[
    Route { path: "/", methods: &[Method::Get, Method::Post] },
    Route { path: "/later", methods: &[Method::Post] },
    Route { path: "/stream", methods: &[Method::Get] },
    Route { path: "/huge", methods: &[Method::Get] },
];

#[derive(Default)]
struct Echo {
    last_body: Vec<u8>,
    waiting: Vec<Exchange>,
    unready: Option<&'static str>,
    remark: Option<&'static str>,
}

impl Handler for Echo {
    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn handle(
        &mut self,
        request: &Request<'_>,
        exchange: Exchange,
        _context: &mut Context<'_>,
    ) -> Answer<'_> {
        self.last_body = request.body.to_vec();
        match request.path {
            "/later" => {
                self.waiting.push(exchange);
                Answer::Later
            }
            "/stream" => {
                self.waiting.push(exchange);
                Answer::Stream { content_type: "text/event-stream", headers: &[] }
            }
            "/huge" => Answer::Now(Response::new(200, "text/plain", &[b'x'; 300 * 1024])),
            _ => Answer::Now(Response::new(200, "", &self.last_body)),
        }
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        self.unready.map_or(Ok(()), |reason| Err(reason.into()))
    }

    fn remark(&self) -> Option<Cow<'_, str>> {
        self.remark.map(Cow::Borrowed)
    }

    fn metrics(&self, exposition: &mut Exposition) {
        exposition.counter("echoes_total", "Echoes.", 7);
    }
}

struct Node {
    server: HttpServer,
    handler: Echo,
    connections: Connections,
    now: Instant,
}

impl Node {
    fn new() -> Self {
        Self {
            server: HttpServer::new(64),
            handler: Echo::default(),
            connections: Connections::new(),
            now: Instant::from_millis(5),
        }
    }

    /// Calls the server as a service would.
    fn with<T>(&mut self, call: impl FnOnce(&mut HttpServer, &mut Echo, &mut Context<'_>) -> T) -> T {
        let unix_time = Duration::ZERO;
        let (now, connections) = (self.now, &mut self.connections);
        let mut context = Context { now, unix_time, entropy: &mut NoEntropy, connections, disk: None };
        call(&mut self.server, &mut self.handler, &mut context)
    }

    fn open(&mut self) -> ConnectionId {
        let id = self.connections.open(0, Origin::Accepted(0)).expect("room");
        self.with(|server, _, context| server.opened(id, context));
        id
    }

    fn send(&mut self, id: ConnectionId, bytes: impl AsRef<[u8]>) {
        self.connections.get_mut(id).expect("live").input.write(bytes.as_ref()).expect("room");
        self.ready(id);
    }

    fn ready(&mut self, id: ConnectionId) {
        self.with(|server, handler, context| server.ready(id, handler, context));
    }

    fn end_input(&mut self, id: ConnectionId) {
        self.connections.get_mut(id).expect("live").input_ended = true;
        self.ready(id);
    }

    fn turn(&mut self) {
        self.with(|server, handler, context| server.turn(handler, context));
    }

    fn respond(&mut self, exchange: Exchange, response: &Response<'_>) {
        self.with(|server, _, context| server.respond(exchange, response, context));
    }

    /// Lets time pass to the next deadline.
    fn wait(&mut self) {
        self.now = self.server.next_deadline().expect("something is awaited").max(self.now);
        self.turn();
    }

    /// Waits until the connection's end is asked for: how, and after how long.
    fn wait_for_end(&mut self, id: ConnectionId) -> (Ending, Duration) {
        let start = self.now;
        for _ in 0..100 {
            let ending = self.connections.get(id).expect("live").ending();
            if ending != Ending::Open {
                return (ending, self.now.since(start));
            }
            self.wait();
        }
        panic!("the connection never ends");
    }

    fn output(&mut self, id: ConnectionId) -> String {
        let output = &mut self.connections.get_mut(id).expect("live").output;
        let text = String::from_utf8(output.as_slice().to_vec()).expect("text");
        output.clear();
        text
    }

    /// The answer to a request on a connection of its own.
    fn ask(&mut self, line: &str) -> String {
        let id = self.open();
        self.send(id, format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = self.output(id);
        self.server.closed(id);
        self.connections.remove(id);
        answer
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn paths_and_methods_are_routed() {
    let mut node = Node::new();
    let cases = [
        ("GET /", "200", None, ""),
        ("HEAD /", "200", None, ""),
        ("GET /none", "404", None, "Not Found\n"),
        ("BREW /none", "404", None, "Not Found\n"),
        ("GET /later", "405", Some("POST, OPTIONS"), "Method Not Allowed\n"),
        ("HEAD /later", "405", Some("POST, OPTIONS"), ""),
        ("BREW /", "405", Some("GET, HEAD, POST, OPTIONS"), "Method Not Allowed\n"),
        ("TRACE /", "405", Some("GET, HEAD, POST, OPTIONS"), "Method Not Allowed\n"),
        ("OPTIONS /", "200", Some("GET, HEAD, POST, OPTIONS"), "OK\n"),
        ("OPTIONS *", "200", Some("GET, HEAD, POST, OPTIONS"), "OK\n"),
        ("OPTIONS /none", "404", None, "Not Found\n"),
        ("POST /healthz", "405", Some("GET, HEAD, OPTIONS"), "Method Not Allowed\n"),
        ("GET /healthz", "200", None, "ok\n"),
        ("GET /readyz?x", "200", None, "ready\n"),
        ("GET http://a/healthz", "200", None, "ok\n"),
    ];
    for (line, status, allow, body) in cases {
        let answer = node.ask(line);
        let (head, rest) = answer.split_once("\r\n\r\n").expect("a whole head");
        assert_eq!(head.split(' ').nth(1), Some(status), "{line}");
        let found = head.lines().find_map(|field| field.strip_prefix("Allow: "));
        assert_eq!((found, rest), (allow, body), "{line}");
    }
}

#[test]
fn a_request_with_the_token_orders_a_stop_and_no_other_does() {
    let mut node = Node::new();
    let ask = |node: &mut Node, authorization: &str| {
        let id = node.open();
        node.send(id, format!("POST /stop/announce HTTP/1.1\r\nHost: a\r\n{authorization}\r\n"));
        node.output(id).split(' ').nth(1).map(str::to_owned).expect("a status")
    };
    assert_eq!(ask(&mut node, "Authorization: Bearer abc\r\n"), "404", "no token is set");
    let settings = Settings::from_pairs([("STOP_TOKEN", "abc")]);
    node.connections.stop_token = settings.stop_token().expect("usable");
    for wrong in
        ["", "Authorization: Bearer abd\r\n", "Authorization: abc\r\n", "authorization: Basic abc\r\n"]
    {
        assert_eq!(ask(&mut node, wrong), "401", "{wrong}");
    }
    assert!(node.ask("POST /stop").contains("\r\nWWW-Authenticate: Bearer\r\n"));
    assert!(node.ask("GET /stop").contains("\r\nAllow: POST, OPTIONS\r\n"));
    assert!(!node.connections.shutdown.is_under_way());
    assert_eq!(ask(&mut node, "authorization: bearer abc\r\n"), "202");
    assert_eq!(node.connections.shutdown.phase(), ShutdownPhase::Announced);
    assert_eq!(node.connections.shutdown.next_deadline(), None, "the next order is waited for");
    assert_eq!(ask(&mut node, "Authorization: Bearer abc\r\n"), "202");
    assert_eq!(node.connections.shutdown.phase(), ShutdownPhase::Draining);
}

#[test]
fn the_order_to_stop_is_not_for_those_who_come_for_pages() {
    let settings = Settings::from_pairs([("STOP_TOKEN", "abc")]);
    let order = "POST /stop HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\n\r\n";
    for (listener, status) in [(0, "404"), (1, "202")] {
        let mut node = Node { server: HttpServer::new(64).with_health_listener(1), ..Node::new() };
        node.connections.stop_token = settings.stop_token().expect("usable");
        let id = node.connections.open(0, Origin::Accepted(listener)).expect("room");
        node.with(|server, _, context| server.opened(id, context));
        node.send(id, order);
        assert_eq!(node.output(id).split(' ').nth(1), Some(status), "listener {listener}");
        assert_eq!(node.connections.shutdown.is_under_way(), listener == 1);
        assert_eq!(node.connections.shutdown.next_deadline().is_some(), listener == 1, "it drains by itself");
    }
}

#[test]
fn who_asks_to_drain_is_answered_when_the_node_has_drained() {
    let settings = Settings::from_pairs([("STOP_TOKEN", "abc")]);
    for (phase, answer) in [
        (ShutdownPhase::Drained, "HTTP/1.1 200 OK\r\n"),
        (ShutdownPhase::Overdue, "HTTP/1.1 503 Service Unavailable\r\n"),
    ] {
        let mut node = Node::new();
        assert!(node.ask("GET /stop/drain").starts_with("HTTP/1.1 404 "), "no token is set");
        node.connections.stop_token = settings.stop_token().expect("usable");
        assert!(node.ask("GET /stop/drain").starts_with("HTTP/1.1 401 "));
        assert!(node.ask("POST /stop/drain").contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"));
        assert!(!node.connections.shutdown.is_under_way());
        let (first, second, idle) = (node.open(), node.open(), node.open());
        let order = "GET /stop/drain HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\n\r\n";
        node.send(first, order);
        node.send(second, order);
        assert_eq!(node.connections.shutdown.phase(), ShutdownPhase::Announced, "it is ordered once");
        assert!(node.connections.holds_drain(), "something may come on the other connection");
        for phase in [ShutdownPhase::Announced, ShutdownPhase::Draining] {
            node.connections.set_shutdown_phase(phase);
            node.turn();
            assert_eq!([first, second].map(|id| node.output(id)), ["", ""], "{phase:?}");
        }
        assert_eq!(node.connections.get(idle).expect("live").ending(), Ending::Graceful);
        assert!(!node.connections.holds_drain() && node.connections.has_clients());
        node.connections.set_shutdown_phase(phase);
        node.turn();
        for id in [first, second] {
            let output = node.output(id);
            assert!(output.starts_with(answer) && output.contains("\r\nConnection: close\r\n"), "{output}");
            assert_eq!(node.connections.get(id).expect("live").ending(), Ending::Graceful);
        }
    }
}

#[test]
fn the_order_to_drain_is_not_for_those_who_come_for_pages() {
    let mut node = Node { server: HttpServer::new(64).with_health_listener(1), ..Node::new() };
    let settings = Settings::from_pairs([("STOP_TOKEN", "abc")]);
    node.connections.stop_token = settings.stop_token().expect("usable");
    let id = node.open();
    node.send(id, "GET /stop/drain HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\n\r\n");
    assert!(node.output(id).starts_with("HTTP/1.1 404 "));
    assert!(!node.connections.shutdown.is_under_way());
}

#[test]
fn readiness_says_why_not() {
    let mut node = Node::new();
    node.handler.unready = Some("store: connection refused");
    let answer = node.ask("GET /readyz");
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nstore: connection refused\n"), "{answer}");
    assert!(node.ask("GET /healthz").starts_with("HTTP/1.1 200 "), "alive all the same");
    (node.handler.unready, node.handler.remark) = (None, Some("nearly full"));
    let answer = node.ask("GET /readyz");
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nready; nearly full\n"),
        "{answer}"
    );
}

#[test]
fn metrics_count_what_was_answered() {
    let mut node = Node::new();
    node.ask("GET /");
    node.ask("BREW /");
    let id = node.open();
    node.send(id, "nonsense\r\n\r\n");
    let text = node.ask("GET /metrics");
    assert!(text.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    let lines = [
        "http_requests_total{method=\"GET\",status=\"200\"} 1",
        "http_requests_total{method=\"OTHER\",status=\"405\"} 1",
        "http_requests_total{method=\"OTHER\",status=\"400\"} 1",
        "http_request_duration_seconds_count 2",
        "http_connections 2",
        "process_uptime_seconds 0.000000",
        "echoes_total 7",
    ];
    for line in lines {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("process_start_time_seconds"), "the clock is not set");
}

#[test]
fn public_services_serve_metrics_on_a_separate_port() {
    let mut node = Node::new();
    node.server = HttpServer::new(64).with_health_listener(1);
    let mut ask_on = |listener, path: &str| {
        let id = node.connections.open(0, Origin::Accepted(listener)).expect("room");
        node.with(|server, _, context| server.opened(id, context));
        node.send(id, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        node.output(id).split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let paths = ["/", "/healthz", "/readyz", "/metrics"];
    assert_eq!(paths.map(|path| ask_on(0, path)), ["200", "200", "200", "404"]);
    assert_eq!(paths.map(|path| ask_on(1, path)), ["404", "200", "200", "200"]);
}

#[test]
fn a_node_with_a_heap_of_its_own_tells_of_it() {
    let mut node = Node::new();
    assert!(!node.ask("GET /metrics").contains("heap_"));
    node.connections.watch_memory(1, || false, || HeapUsage { used_bytes: 3, free_bytes: 4 });
    let text = node.ask("GET /metrics");
    assert!(text.contains("\nheap_used_bytes 3\n") && text.contains("\nheap_free_bytes 4\n"), "{text}");
}

#[test]
fn a_later_answer_holds_back_the_next_request() {
    let mut node = Node::new();
    let id = node.open();
    node.send(id, post("/later", "first") + &post("/", "second"));
    assert_eq!(node.output(id), "");
    assert_eq!(node.handler.last_body, b"first");
    let exchange = node.handler.waiting[0];
    node.respond(exchange, &Response::new(200, "", b"done"));
    node.respond(exchange, &Response::new(200, "", b"twice"));
    assert_eq!(node.output(id), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    assert_eq!(node.server.next_deadline(), Some(Instant::ZERO), "there is more to do at once");
    node.turn();
    assert_eq!(node.output(id), "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond");
}

#[test]
fn a_half_closed_client_gets_a_later_answer() {
    let mut node = Node::new();
    let id = node.open();
    node.send(id, post("/later", ""));
    node.end_input(id);
    assert_eq!(node.connections.get(id).expect("live").ending(), Ending::Open);
    let exchange = node.handler.waiting[0];
    node.respond(exchange, &Response::new(200, "", b""));
    node.turn();
    assert_eq!(node.output(id), EMPTY);
    assert_eq!(node.connections.get(id).expect("live").ending(), Ending::Graceful);
}

#[test]
fn an_exchange_dies_with_its_connection() {
    let mut node = Node::new();
    let id = node.open();
    node.send(id, post("/later", ""));
    let exchange = node.handler.waiting[0];
    assert_eq!(node.server.closed(id), Some(exchange));
    node.connections.remove(id);
    let next = node.open();
    assert_eq!(next.index(), id.index());
    node.send(next, post("/later", ""));
    node.respond(exchange, &Response::new(200, "", b"not yours"));
    assert_eq!(node.output(next), "");
    assert_eq!(node.server.closed(id), None);
}

#[test]
fn streams_grow_until_they_end() {
    let mut node = Node::new();
    let id = node.open();
    node.send(id, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    let exchange = node.handler.waiting[0];
    let push =
        |node: &mut Node, bytes: &[u8]| node.with(|server, _, context| server.push(exchange, bytes, context));
    assert_eq!(push(&mut node, b"data: 1\n\n"), Ok(()));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(node.output(id), format!("{head}9\r\ndata: 1\n\n\r\n"));
    assert_eq!(push(&mut node, &[b'x'; 300 * 1024]), Err(PushError::Full));
    node.with(|server, _, context| server.finish(exchange, context));
    assert_eq!(push(&mut node, b"late"), Err(PushError::Gone));
    node.send(id, GET);
    assert_eq!(node.output(id), format!("0\r\n\r\n{EMPTY}"));
}

#[test]
fn a_stream_is_gone_when_its_client_is() {
    let mut node = Node::new();
    let id = node.open();
    node.send(id, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    let exchange = node.handler.waiting[0];
    node.end_input(id);
    assert_eq!(node.connections.get(id).expect("live").ending(), Ending::Graceful);
    assert_eq!(node.with(|server, _, context| server.push(exchange, b"x", context)), Err(PushError::Gone));
    assert_eq!(node.server.closed(id), Some(exchange));
}

#[test]
fn many_pipelined_requests_take_turns_and_none_is_lost() {
    let mut node = Node::new();
    let id = node.open();
    let count = REQUESTS_AT_ONCE_MAX * 2 + 1;
    node.send(id, GET.repeat(count));
    assert_eq!(node.output(id), EMPTY.repeat(REQUESTS_AT_ONCE_MAX));
    while node.server.next_deadline() == Some(Instant::ZERO) {
        node.turn();
    }
    assert_eq!(node.output(id), EMPTY.repeat(count - REQUESTS_AT_ONCE_MAX));
}

#[test]
fn requests_wait_while_the_client_does_not_read() {
    let mut node = Node::new();
    let id = node.open();
    let output = &mut node.connections.get_mut(id).expect("live").output;
    output.write(&[b'x'; OUTPUT_LOW_WATER_BYTES + 1]).expect("room");
    node.send(id, GET);
    assert_eq!(node.connections.get(id).expect("live").input.len(), GET.len());
    node.connections.get_mut(id).expect("live").output.consume(1);
    node.ready(id);
    assert!(node.output(id).ends_with(EMPTY));
}

#[test]
fn an_answer_too_large_for_the_output_becomes_a_500() {
    let mut node = Node::new();
    assert!(node.ask("GET /huge").starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
}

#[test]
fn refused_connections_close_and_their_slot_is_reset() {
    let mut node = Node::new();
    let id = node.open();
    node.send(id, format!("GET / HTTP/1.1\r\n\r\n{GET}"));
    assert!(node.output(id).starts_with("HTTP/1.1 400 Bad Request\r\n"));
    assert_eq!(node.connections.get(id).expect("live").ending(), Ending::Graceful);
    node.send(id, GET);
    assert_eq!(node.output(id), "", "nothing is answered after the last answer");
    assert!(node.connections.get(id).expect("live").input.is_empty(), "and the rest is drained");
    node.server.closed(id);
    node.connections.remove(id);
    assert_eq!(node.ask("GET /"), EMPTY);
}

#[test]
fn bodies_over_the_limit_are_refused() {
    let mut node = Node::new();
    let id = node.open();
    node.send(id, post("/", &"x".repeat(64)));
    assert!(node.output(id).starts_with("HTTP/1.1 200 "));
    node.send(id, post("/", &"x".repeat(65)));
    assert!(node.output(id).starts_with("HTTP/1.1 413 "));
}

#[test]
fn only_connections_without_a_whole_request_make_room() {
    let mut node = Node::new();
    let busy = node.open();
    node.send(busy, post("/later", ""));
    let silent = node.open();
    node.now = Instant::from_millis(10);
    let answered = node.open();
    node.send(silent, "GE");
    node.now = Instant::from_millis(20);
    node.send(answered, GET);
    let endings = |node: &mut Node, at_ms| {
        node.connections.begin_turn(Instant::from_millis(at_ms));
        while node.connections.make_room() {}
        [busy, silent, answered].map(|id| node.connections.get(id).expect("live").ending())
    };
    assert_eq!(endings(&mut node, 200), [Ending::Open; 3], "all is fresh");
    let output_bytes = node.connections.get(answered).expect("live").output.len();
    node.connections.get_mut(answered).expect("live").output.consume(output_bytes);
    assert_eq!(endings(&mut node, 500), [Ending::Open, Ending::Open, Ending::Graceful]);
    assert_eq!(endings(&mut node, 2_500), [Ending::Open, Ending::Abort, Ending::Graceful]);
}

#[test]
fn what_takes_too_long_ends() {
    let mut node = Node::new();
    assert_eq!(node.server.next_deadline(), None, "a server without connections sleeps");
    let id = node.open();
    assert_eq!(node.wait_for_end(id), (Ending::Graceful, IDLE_TIMEOUT));
    assert_eq!(node.output(id), "");

    let id = node.open();
    node.send(id, "GET / HT");
    let (ending, waited) = node.wait_for_end(id);
    assert_eq!(ending, Ending::Graceful);
    assert!(waited >= HEAD_PACE.grace && waited < HEAD_PACE.grace + Duration::from_millis(200), "{waited:?}");
    assert!(node.output(id).starts_with("HTTP/1.1 408 Request Timeout\r\n"));

    let id = node.open();
    node.send(id, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    let (ending, waited) = node.wait_for_end(id);
    assert_eq!(ending, Ending::Abort);
    assert!(waited >= WRITE_STALL_TIMEOUT && waited <= WRITE_STALL_TIMEOUT + SHORTEST_WAIT * 2, "{waited:?}");
}

#[test]
fn a_service_that_never_answers_is_answered_for() {
    let mut node = Node::new();
    let id = node.open();
    node.send(id, post("/later", ""));
    let start = node.now;
    while node.connections.get(id).expect("live").output.is_empty() {
        node.wait();
    }
    assert_eq!(node.now.since(start), ANSWER_TIMEOUT);
    assert!(node.output(id).starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
    let exchange = node.handler.waiting[0];
    node.respond(exchange, &Response::new(200, "", b"too late"));
    assert_eq!(node.output(id), "");
    node.send(id, GET);
    assert_eq!(node.output(id), EMPTY, "the connection goes on");
}

#[test]
fn a_node_that_is_going_to_stop_says_so_and_keeps_no_connection() {
    let mut node = Node::new();
    let (before, streams, waits, idle) = (node.open(), node.open(), node.open(), node.open());
    node.send(streams, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    node.send(waits, post("/later", ""));
    for id in [streams, waits, idle] {
        node.output(id);
    }
    node.connections.set_shutdown_phase(ShutdownPhase::Announced);
    node.turn();
    assert_eq!(node.ask("GET /healthz").lines().next(), Some("HTTP/1.1 200 OK"));
    assert!(node.ask("GET /readyz").starts_with("HTTP/1.1 503 "));
    node.send(before, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let last = node.output(before);
    assert!(last.starts_with("HTTP/1.1 200 ") && last.contains("Connection: close\r\n"), "{last}");
    let ending = |node: &Node, id| node.connections.get(id).expect("live").ending();
    assert_ne!(ending(&node, before), Ending::Open, "that was its last answer");
    for id in [streams, waits, idle] {
        assert_eq!(ending(&node, id), Ending::Open, "it may go on for now");
    }

    node.connections.set_shutdown_phase(ShutdownPhase::Draining);
    node.turn();
    assert_ne!(ending(&node, idle), Ending::Open);
    assert_ne!(ending(&node, streams), Ending::Open);
    assert_eq!(node.output(streams), "0\r\n\r\n", "a stream ends whole");
    assert_eq!(ending(&node, waits), Ending::Open, "an answer is under way");
    let exchange = *node.handler.waiting.last().expect("it waits");
    node.respond(exchange, &Response::new(200, "", b"counted"));
    let answer = node.output(waits);
    assert!(answer.contains("Connection: close\r\n") && answer.ends_with("counted"), "{answer}");
    assert_ne!(ending(&node, waits), Ending::Open);
}
