//! An HTTP client that counts and times, for tests where starting curl for each request would be the load.
//!
//! Believes the server: a response is a status line and a body of `Content-Length`.

use std::io::{self, Error, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use crate::sockets::connect;

/// How long a server may take for one step.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One connection, kept between requests.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(address: SocketAddrV4) -> io::Result<Self> {
        let stream = connect(address, TIMEOUT)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends a request and reads its response: status and body.
    ///
    /// # Errors
    /// When the connection ends before the response does.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<(u16, String)> {
        self.exchange(request).map(|(status, body, _)| (status, body))
    }

    /// The same; the status, and whether the server keeps the connection for another request.
    ///
    /// # Errors
    /// When the connection ends before the response does.
    pub fn ask_and_keep(&mut self, request: &[u8]) -> io::Result<(u16, bool)> {
        self.exchange(request).map(|(status, _, head)| (status, !head.contains("Connection: close")))
    }

    fn exchange(&mut self, request: &[u8]) -> io::Result<(u16, String, String)> {
        self.stream.write_all(request)?;
        loop {
            if let Some((status, body, length)) = parse(&self.received) {
                let head = String::from_utf8_lossy(&self.received[..length - body.len()]).into_owned();
                self.received.drain(..length);
                return Ok((status, body, head));
            }
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes)? {
                0 => return Err(Error::from(io::ErrorKind::UnexpectedEof)),
                count => self.received.extend(&bytes[..count]),
            }
        }
    }
}

fn parse(input: &[u8]) -> Option<(u16, String, usize)> {
    let head_bytes = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&input[..head_bytes]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
    let end = head_bytes + length.parse::<usize>().ok()?;
    Some((status, String::from_utf8_lossy(input.get(head_bytes..end)?).into_owned(), end))
}

/// A `GET` request.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").into_bytes()
}

/// A vote by form.
pub fn post_vote(choice: &str) -> Vec<u8> {
    let kind = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n";
    format!("POST / HTTP/1.1\r\nHost: test\r\n{kind}\r\nvote={choice}").into_bytes()
}

/// The response to one request on a connection of its own.
///
/// # Errors
/// When there is none.
pub fn ask(address: SocketAddrV4, request: &[u8]) -> io::Result<(u16, String)> {
    Connection::open(address)?.ask(request)
}

/// A number of `/metrics`; none when it is not there.
pub fn metric(address: SocketAddrV4, name: &str) -> Option<u64> {
    let (_, text) = ask(address, &get("/metrics")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// What ordinary users got.
#[derive(Default)]
pub struct Use {
    /// How long each request took.
    pub times: Vec<Duration>,
    /// How often the kept connection had been ended between two requests, and was made anew (RFC 9112, 9.3.1).
    pub reopened: usize,
}

/// Lets ordinary users ask, each kind in turn: on a kept connection, and on a new one.
///
/// # Errors
/// The first request that was not answered with 200.
pub fn use_for(address: SocketAddrV4, path: &str, duration: Duration) -> Result<Use, String> {
    let request = get(path);
    let fault = |kind: &str, error: Error| format!("on a {kind} connection not answered: {error}");
    let mut kept = Connection::open(address).map_err(|error| fault("kept", error))?;
    let mut used = Use::default();
    let begun = Instant::now();
    while begun.elapsed() < duration {
        for is_new in [false, true] {
            let asked = Instant::now();
            let answer = if is_new {
                ask(address, &request).map_err(|error| fault("new", error))
            } else {
                ask_again(&mut kept, address, &request, &mut used.reopened)
                    .map_err(|error| fault("kept", error))
            };
            let (status, body) = answer?;
            used.times.push(asked.elapsed());
            if status != 200 {
                return Err(format!("answered {status}: {body}"));
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(used)
}

/// Asks on a kept connection, and once more on a new one when the server has ended it without a byte of an answer.
fn ask_again(
    kept: &mut Connection,
    address: SocketAddrV4,
    request: &[u8],
    reopened: &mut usize,
) -> io::Result<(u16, String)> {
    match kept.ask(request) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock && kept.received.is_empty() => {
            *reopened += 1;
            *kept = Connection::open(address)?;
            kept.ask(request)
        }
        answer => answer,
    }
}

/// The time that so many of a hundred did not exceed.
///
/// # Panics
/// When there are no times.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
