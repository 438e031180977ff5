//! Tests of who waits until a node has drained, by `GET /stop/drain`: with a vote in flight, and idle connections.

use alloc::borrow::Cow;
use std::string::String;

use super::*;
use crate::Settings;
use crate::connections::Ending;
use crate::http::{Answer, Exchange, Handler, HttpServer, Method, Request, Response, Route};
use crate::metrics::Exposition;
use crate::shutdown::{DRAIN_MAX, NOTICE, REPORT_MAX};

const VOTE: &str = "POST /vote HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
const PAGE: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
const DRAIN: &str = "GET /stop/drain HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\n\r\n";

/// Takes votes, which wait until the test answers them.
#[derive(Default)]
struct Votes {
    waiting: Vec<Exchange>,
}

impl Handler for Votes {
    fn routes(&self) -> &'static [Route] {
        &[Route { path: "/vote", methods: &[Method::Post] }]
    }

    fn handle(&mut self, _: &Request<'_>, exchange: Exchange, _: &mut Context<'_>) -> Answer<'_> {
        self.waiting.push(exchange);
        Answer::Later
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        Ok(())
    }

    fn metrics(&self, _: &mut Exposition) {}
}

struct VoteServer {
    http: HttpServer,
    votes: Votes,
    ids: Shared<Vec<ConnectionId>>,
    /// Whether the store has answered.
    is_stored: Shared<bool>,
}

impl Service for VoteServer {
    fn name(&self) -> &'static str {
        "vote"
    }

    fn endpoints(&self) -> Endpoints {
        listening("http", 80)
    }

    fn opened(&mut self, id: ConnectionId, _: Origin, context: &mut Context<'_>) {
        self.ids.borrow_mut().push(id);
        self.http.opened(id, context);
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.http.ready(id, &mut self.votes, context);
    }

    fn closed(&mut self, id: ConnectionId, _: &mut Context<'_>) {
        self.http.closed(id);
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.http.turn(&mut self.votes, context);
        if *self.is_stored.borrow() {
            for exchange in self.votes.waiting.drain(..) {
                self.http.respond(exchange, &Response::text(200, "counted\n"), context);
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.http.next_deadline()
    }
}

/// A node with a vote in flight, an idle connection that its client never closes, and two who wait.
struct Node {
    bench: Bench,
    is_stored: Shared<bool>,
    runtime: Runtime<FakeNetwork>,
    ids: [ConnectionId; 4],
}

impl Node {
    fn new() -> Self {
        let (bench, is_stored) = (Bench::new(), Shared::<bool>::default());
        let (http, ids) = (HttpServer::new(64), bench.ids.clone());
        let service =
            VoteServer { http, votes: Votes::default(), ids: ids.clone(), is_stored: is_stored.clone() };
        let mut runtime = bench.runtime(vec![Box::new(service)]).expect("starts");
        let settings = Settings::from_pairs([("STOP_TOKEN", "abc")]);
        runtime.accept_stop_requests(settings.stop_token().expect("usable"));
        bench.wire.borrow_mut().accept.extend([(0, Origin::Accepted(0)); 4]);
        turn(&mut runtime, 0);
        let ids = <[ConnectionId; 4]>::try_from(&ids.borrow()[..]).expect("four connections");
        let mut node = Self { bench, is_stored, runtime, ids };
        for (index, request) in [VOTE, PAGE, DRAIN, DRAIN].into_iter().enumerate() {
            let connection = node.runtime.connections.get_mut(ids[index]).expect("live");
            connection.input.write(request.as_bytes()).expect("fits");
            node.bench.wire.borrow_mut().arriving.push(Event::Ready(ids[index]));
        }
        assert_eq!(node.turn(Instant::ZERO), Some(Instant::ZERO), "the order is carried out at once");
        assert_eq!(node.turn(Instant::ZERO), Some(Instant::ZERO + NOTICE));
        assert!(node.sent(1).ends_with("ok\n"));
        node
    }

    fn turn(&mut self, now: Instant) -> Option<Instant> {
        self.runtime.turn(now, Duration::ZERO, &mut Constant(0))
    }

    /// Takes what was sent on a connection.
    fn sent(&mut self, index: usize) -> String {
        let output = &mut self.runtime.connections.get_mut(self.ids[index]).expect("live").output;
        let text = String::from_utf8(output.as_slice().to_vec()).expect("text");
        output.clear();
        text
    }

    fn close(&self, index: usize) {
        self.bench.wire.borrow_mut().arriving.push(Event::Closed(self.ids[index]));
    }

    fn waiters(&mut self) -> [String; 2] {
        [2, 3].map(|index| self.sent(index))
    }
}

#[test]
fn a_vote_in_flight_is_answered_first_and_an_idle_connection_does_not_matter() {
    let (mut node, drains) = (Node::new(), Instant::ZERO + NOTICE);
    assert_eq!(node.turn(drains), Some(drains + DRAIN_MAX), "the vote is waited for");
    assert_eq!(node.runtime.connections.get(node.ids[1]).expect("live").ending(), Ending::Graceful);
    *node.is_stored.borrow_mut() = true;
    node.turn(drains);
    assert!(node.sent(0).ends_with("counted\n"));
    assert_eq!(node.waiters(), ["", ""], "the voter may not have the answer yet");
    node.close(0);
    assert_eq!(node.turn(drains), Some(drains), "now there is something to tell");
    assert_eq!(node.turn(drains), Some(drains + REPORT_MAX));
    assert!(node.waiters().iter().all(|answer| answer.ends_with("drained\n")));
    [1, 2].into_iter().for_each(|index| node.close(index));
    node.turn(drains);
    assert!(!node.runtime.has_stopped(), "one of them may not have it yet");
    node.close(3);
    node.turn(drains);
    assert!(node.runtime.has_stopped());
}

#[test]
fn who_waits_is_told_that_the_time_is_over_and_cannot_hold_the_node() {
    let (mut node, limit) = (Node::new(), Instant::ZERO + NOTICE + DRAIN_MAX);
    node.turn(Instant::ZERO + NOTICE);
    assert_eq!(node.waiters(), ["", ""]);
    node.turn(limit);
    assert!(node.waiters().iter().all(|answer| answer.ends_with("the time to drain is over\n")));
    assert!(!node.runtime.has_stopped(), "the answers are on their way");
    node.turn(limit + REPORT_MAX);
    assert!(node.runtime.has_stopped());
}

#[test]
fn nobody_is_told_when_who_waited_has_gone() {
    let (mut node, drains) = (Node::new(), Instant::ZERO + NOTICE);
    (0..4).for_each(|index| node.close(index));
    node.turn(drains);
    assert!(node.runtime.has_stopped());
}
