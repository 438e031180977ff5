//! An HTTP/1.1 client as a service of a simulated node: keep-alive, one request at a time on each
//! connection.
//!
//! For tests: it believes the server. The bodies it reads are delimited by `Content-Length` or chunked.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::rc::Rc;

use crate::node::NodeId;
use kernel_app::connections::ConnectionId;
use kernel_app::service::{Context, Endpoints, Origin, Peer, Service, Target};
use wire::Instant;

/// Names a request of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(usize);

/// A node that sends requests.
#[derive(Clone, Debug)]
pub struct Client {
    /// The node on which the client runs.
    pub node: NodeId,
    pub(crate) requests: Requests,
}

/// A response, or as much of it as has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Status line and header lines.
    pub head: String,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub is_complete: bool,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum RequestState {
    #[default]
    Waiting,
    Answered(Response),
    /// The connection ended first. The server may have acted on the request.
    Lost,
    /// Given up before anything was sent of it.
    Unsent,
}

impl Client {
    /// The whole response, once it is there.
    pub fn response(&self, id: RequestId) -> Option<Response> {
        self.so_far(id).filter(|response| response.is_complete)
    }

    /// What has come of the response.
    pub fn so_far(&self, id: RequestId) -> Option<Response> {
        match &self.requests.borrow().states[id.0] {
            RequestState::Answered(response) => Some(response.clone()),
            _ => None,
        }
    }

    /// Whether the connection ended before the response was complete.
    pub fn is_lost(&self, id: RequestId) -> bool {
        matches!(self.requests.borrow().states[id.0], RequestState::Lost)
    }

    /// Whether the request was given up before anything was sent of it.
    pub fn is_unsent(&self, id: RequestId) -> bool {
        matches!(self.requests.borrow().states[id.0], RequestState::Unsent)
    }

    /// The requests that are over since the last call: answered in full, lost or given up.
    pub fn take_settled(&self) -> Vec<RequestId> {
        std::mem::take(&mut self.requests.borrow_mut().settled)
    }

    /// How many requests have neither a whole response nor lost their connection.
    pub fn unanswered(&self) -> usize {
        let requests = self.requests.borrow();
        (0..requests.states.len()).filter(|index| !requests.is_over(RequestId(*index))).count()
    }
}

impl Response {
    /// The value of a header line.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A `GET` request.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: simulated\r\n\r\n").into_bytes()
}

/// A `POST` request with a form, and a `Cookie` line unless that is empty.
pub fn post_form(path: &str, form: &str, cookie: &str) -> Vec<u8> {
    let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
    format!(
        "POST {path} HTTP/1.1\r\nHost: simulated\r\n{cookie}Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .into_bytes()
}

/// Requests and their states, shared between the test and the client's connections.
pub(crate) type Requests = Rc<RefCell<RequestList>>;

/// See [`Requests`].
#[derive(Debug, Default)]
pub(crate) struct RequestList {
    waiting: VecDeque<(RequestId, Vec<u8>)>,
    states: Vec<RequestState>,
    settled: Vec<RequestId>,
    /// Under way, and nobody waits for them any longer.
    abandoned: Vec<RequestId>,
}

impl RequestList {
    pub fn push(&mut self, request: &[u8]) -> RequestId {
        let id = RequestId(self.states.len());
        self.states.push(RequestState::Waiting);
        self.waiting.push_back((id, request.to_vec()));
        id
    }

    /// Gives a request up, if it is not over yet.
    pub fn abandon(&mut self, id: RequestId) {
        if let Some(index) = self.waiting.iter().position(|(waiting, _)| *waiting == id) {
            self.waiting.remove(index);
            self.settle(id, RequestState::Unsent);
        } else if !self.is_over(id) {
            self.abandoned.push(id);
        }
    }

    fn is_over(&self, id: RequestId) -> bool {
        match &self.states[id.0] {
            RequestState::Waiting => false,
            RequestState::Answered(response) => response.is_complete,
            RequestState::Lost | RequestState::Unsent => true,
        }
    }

    fn settle(&mut self, id: RequestId, state: RequestState) {
        self.states[id.0] = state;
        self.settled.push(id);
        self.abandoned.retain(|abandoned| *abandoned != id);
    }
}

/// Makes the services of a client's node.
pub(crate) fn boot(
    server: (Ipv4Addr, u16),
    connections: usize,
    requests: Requests,
) -> impl FnMut() -> Vec<Box<dyn Service>> {
    move || {
        let one = |_| Box::new(HttpClient::new(server, requests.clone())) as Box<dyn Service>;
        (0..connections).map(one).collect()
    }
}

/// One connection of a client.
struct HttpClient {
    server: Target,
    requests: Requests,
    connection: Option<ConnectionId>,
    under_way: Option<RequestId>,
}

impl HttpClient {
    fn new((host, port): (Ipv4Addr, u16), requests: Requests) -> Self {
        let server = Target::Host { host: host.to_string(), port };
        Self { server, requests, connection: None, under_way: None }
    }

    fn lose(&mut self) {
        if let Some(request) = self.under_way.take() {
            self.requests.borrow_mut().settle(request, RequestState::Lost);
        }
    }

    fn send_next(&mut self, context: &mut Context<'_>) {
        let Some(id) = self.connection.filter(|_| self.under_way.is_none()) else { return };
        let Some(connection) = context.connections.get_mut(id).filter(|found| !found.input_ended) else {
            return;
        };
        if let Some((request, bytes)) = self.requests.borrow_mut().waiting.pop_front() {
            self.under_way = Some(request);
            assert_eq!(connection.output.write_some(&bytes), bytes.len(), "a request fits the output");
        }
    }
}

impl Service for HttpClient {
    fn name(&self) -> &'static str {
        "client"
    }

    fn endpoints(&self) -> Endpoints {
        let server = Peer { name: "server", setting: "SERVER", target: self.server.clone() };
        Endpoints { listeners: Vec::new(), peers: vec![server] }
    }

    fn opened(&mut self, id: ConnectionId, _: Origin, _: &mut Context<'_>) {
        self.connection = Some(id);
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let Some(connection) = context.connections.get_mut(id) else { return };
        if let Some(request) = self.under_way
            && let Some((response, length)) = parse(connection.input.as_slice())
        {
            let mut requests = self.requests.borrow_mut();
            if response.is_complete {
                self.under_way = None;
                connection.input.consume(length);
                requests.settle(request, RequestState::Answered(response));
            } else {
                requests.states[request.0] = RequestState::Answered(response);
            }
        }
        if connection.input_ended {
            context.connections.close(id);
        }
    }

    fn closed(&mut self, _: ConnectionId, _: &mut Context<'_>) {
        self.connection = None;
        self.lose();
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        if self.under_way.is_some_and(|request| self.requests.borrow().abandoned.contains(&request)) {
            self.lose();
            if let Some(id) = self.connection.take() {
                context.connections.abort(id);
            }
        }
        self.send_next(context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

/// The response at the start of `input` and its length; `None` until its head is complete.
fn parse(input: &[u8]) -> Option<(Response, usize)> {
    let end = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&input[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let mut response = Response { status, head, body: Vec::new(), is_complete: false };
    let length = match response.header("content-length").and_then(|value| value.parse().ok()) {
        Some(length) => fixed(&input[end..], length, &mut response),
        None if response.header("transfer-encoding") == Some("chunked") => {
            chunked(&input[end..], &mut response)
        }
        None => fixed(&input[end..], 0, &mut response),
    };
    Some((response, end + length))
}

fn fixed(input: &[u8], length: usize, response: &mut Response) -> usize {
    response.body = input[..length.min(input.len())].to_vec();
    response.is_complete = input.len() >= length;
    length
}

/// Chunks without extensions and trailers (RFC 9112 section 7.1).
fn chunked(input: &[u8], response: &mut Response) -> usize {
    let mut at = 0;
    while let Some(line) = input[at..].windows(2).position(|window| window == b"\r\n") {
        let digits = std::str::from_utf8(&input[at..at + line]).unwrap_or("");
        let Ok(length) = usize::from_str_radix(digits, 16) else { break };
        let start = at + line + 2;
        let Some(chunk) = input.get(start..start + length) else { break };
        let Some(b"\r\n") = input.get(start + length..start + length + 2) else { break };
        response.body.extend_from_slice(chunk);
        at = start + length + 2;
        if length == 0 {
            response.is_complete = true;
            break;
        }
    }
    at
}
