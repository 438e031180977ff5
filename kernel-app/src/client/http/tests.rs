//! The HTTP client on a connection that the test plays the server on.

use super::*;
use crate::client::bench::{self, Shown, WITHIN};
use alloc::format;
use alloc::string::ToString;

type Bench = bench::Bench<Http>;

const HEALTHY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
const TRIAL_REQUEST: &str = "GET /healthz HTTP/1.1\r\nHost: hello:80\r\n\r\n";

impl Shown for Http {
    fn shown(answer: HttpAnswer<'_>) -> String {
        format!("{} {}", answer.status, String::from_utf8_lossy(answer.body))
    }
}

impl Bench {
    /// Connected, and the first trial sent.
    fn new() -> Self {
        let host = HttpHost { setting: "HELLO_URL", name: "hello:80".to_string() };
        let mut bench = Self::opened(HttpClient::new(host));
        assert_eq!(bench.sent(), TRIAL_REQUEST);
        bench
    }

    fn get(&mut self, path: &str, token: u32) -> Result<(), HttpSendError> {
        self.with(|client, context| client.get(path, token, WITHIN, context))
    }

    fn sent(&mut self) -> String {
        String::from_utf8_lossy(&self.take_sent()).into_owned()
    }
}

fn response(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn answers_go_to_their_requests_in_order() {
    let mut bench = Bench::new();
    bench.get("/a?b", 1).expect("connected");
    bench.get("/c", 2).expect("connected");
    assert!(bench.sent().starts_with("GET /a?b HTTP/1.1\r\nHost: hello:80\r\n\r\nGET /c HTTP/1.1\r\n"));
    bench.receive(HEALTHY);
    let both = [response(200, "one"), response(404, "two")].concat();
    let (first, second) = both.split_at(60);
    bench.receive(first);
    bench.receive(second);
    assert_eq!(bench.outcomes(), "1=200 one 2=404 two");
}

#[test]
fn a_server_is_ready_once_it_has_answered_without_an_error_of_its_own() {
    let mut bench = Bench::new();
    assert_eq!(bench.reason(), "HELLO_URL: the server is away: no connection yet");
    bench.receive(response(503, "stopping\n"));
    assert_eq!(bench.client.readiness(), Err(SendError::Away));
    bench.turn_after(5_000);
    assert_eq!(bench.sent(), TRIAL_REQUEST);
    bench.receive(HEALTHY);
    assert_eq!(bench.client.readiness(), Ok(()));
}

#[test]
fn a_late_answer_is_nobody_elses() {
    let mut bench = Bench::new();
    bench.receive(HEALTHY);
    bench.get("/a", 1).expect("connected");
    bench.turn_after(100);
    assert_eq!(bench.outcomes(), "1=overdue");
    assert_eq!(bench.get("/b", 2), Err(SendError::Silent));
    bench.receive(response(200, "late"));
    assert_eq!(bench.outcomes(), "");
    bench.get("/b", 2).expect("connected");
    bench.receive(response(200, "b"));
    assert_eq!(bench.outcomes(), "2=200 b");
}

#[test]
fn what_is_not_http_ends_the_connection() {
    let mut bench = Bench::new();
    bench.get("/a", 1).expect("connected");
    bench.receive("-ERR unknown command\r\n");
    assert!(bench.is_dropped());
    assert_eq!(bench.outcomes(), "1=lost");
    assert!(bench.reason().contains("is it the port of an HTTP server?"), "{}", bench.reason());
}
