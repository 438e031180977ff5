//! A vote service whose guest instructions are counted: in a lockstep with one client, or under a load.
//!
//! Times nothing: a counted guest is slow, and its clock goes with its instructions.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::client;
use crate::compose;
use crate::qmp::Monitor;
use crate::record::{Counted, Method};
use crate::substrate::{Instance, Order, Port, Program, Substrate};

/// How long a counted guest may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to come to rest after a request.
const REST_LIMIT: Duration = Duration::from_secs(20);
/// How long a request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Requests of which the median counts. Single ones take more, when a timer runs out in them.
const REQUESTS: usize = 31;
/// Requests that warm the service up.
const WARM_UP: usize = 5;
/// Longest response.
const RESPONSE_BYTES_MAX: usize = 1 << 16;

/// A counted vote service, and a store beside it that is not counted.
pub struct CountedVote {
    /// The vote service.
    pub vote: Instance,
    /// Where it listens.
    pub host: SocketAddrV4,
    /// Its machine's monitor.
    pub monitor: Monitor,
    /// Instructions from power-on until it waited for requests.
    pub boot: u64,
    _store: Instance,
    _directory: TempDir,
}

impl CountedVote {
    /// Starts both, logs in `directory`.
    ///
    /// # Errors
    /// When one does not start, or QEMU does not count.
    pub fn start(substrate: &dyn Substrate, directory: &Path) -> Result<Self> {
        let order = |program, name: &str, settings: Vec<(String, String)>, counted: Option<PathBuf>| {
            let name = name.to_owned();
            substrate.start(&Order { program, name, settings, memory_mib: None, directory, counted })
        };
        let quiet = ("LOG".to_owned(), "warn".to_owned());
        let store =
            compose::ready(order(Program::Store, "store", vec![quiet.clone()], None)?, Program::Store)?;
        let url = format!("redis://{}", store.endpoint(Port::Store)?.peer);
        // The path of a socket may have some hundred bytes; a run's directory may have more.
        let sockets = tempfile::tempdir().context("no directory for the monitor's socket")?;
        let socket = sockets.path().join("qmp");
        let settings = vec![quiet, ("REDIS_URL".to_owned(), url)];
        let mut vote = order(Program::Vote, "vote", settings, Some(socket.clone()))?;
        let host = vote.endpoint(Port::Vote)?.host;
        let mut monitor = Monitor::open(&socket).with_context(|| crate::child::log_tail(&vote.log))?;
        // Nobody asks the guest anything before it rests, or the questions would count.
        let boot = boot(&mut monitor)?;
        client::first_ok(&mut vote, host, "/readyz", START_LIMIT)?;
        compose::deepen_backlogs(&vote);
        monitor.instructions_at_rest(REST_LIMIT)?;
        Ok(Self { vote, host, monitor, boot, _store: store, _directory: sockets })
    }

    /// Instructions for one request of a single client: the median of many, each sent when the guest had
    /// come to rest after the one before. Repeats within 1%, however busy the host is.
    ///
    /// # Errors
    /// When a request is answered wrongly.
    pub fn lockstep(&mut self, method: Method, keep_alive: bool) -> Result<u64> {
        let request = request(self.host, method, keep_alive);
        let mut kept = None;
        let mut counts = Vec::new();
        let mut before = self.monitor.instructions_at_rest(REST_LIMIT)?;
        for _ in 0..WARM_UP + REQUESTS {
            let stream = match kept.take() {
                Some(stream) => stream,
                None => connect(self.host)?,
            };
            if !keep_alive {
                self.monitor.instructions_at_rest(REST_LIMIT)?;
            }
            let stream = exchange(stream, &request)?;
            self.monitor.instructions_at_rest(REST_LIMIT)?;
            if keep_alive {
                kept = Some(stream);
            } else {
                drop(stream);
            }
            let after = self.monitor.instructions_at_rest(REST_LIMIT)?;
            counts.push(after - before);
            before = after;
        }
        let mut counts = counts.split_off(WARM_UP);
        counts.sort_unstable();
        Ok(counts[counts.len() / 2])
    }
}

/// The count when a guest has booted: when it rests after having executed anything at all.
fn boot(monitor: &mut Monitor) -> Result<u64> {
    let begun = std::time::Instant::now();
    // A machine that waits for its disk or its timer seems to rest; a service rests for longer.
    let mut last = 0;
    loop {
        let now = monitor.instructions_at_rest(START_LIMIT)?;
        if now > 0 && now == last {
            return Ok(now);
        }
        ensure!(begun.elapsed() < START_LIMIT, "the guest does not come to rest after its start");
        last = now;
        std::thread::sleep(BOOT_REST);
    }
}

/// Rest that is taken for the end of a boot.
const BOOT_REST: Duration = Duration::from_millis(150);

fn connect(host: SocketAddrV4) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&host.into(), REQUEST_LIMIT)?;
    stream.set_read_timeout(Some(REQUEST_LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn request(host: SocketAddrV4, method: Method, keep_alive: bool) -> Vec<u8> {
    let connection = if keep_alive { "" } else { "Connection: close\r\n" };
    let text = match method {
        Method::Get => format!("GET / HTTP/1.1\r\nHost: {host}\r\n{connection}\r\n"),
        Method::Post => format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\n{connection}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 6\r\n\r\nvote=a"
        ),
    };
    text.into_bytes()
}

/// Sends a request and reads its whole response, by its `Content-Length`.
fn exchange(mut stream: TcpStream, request: &[u8]) -> Result<TcpStream> {
    stream.write_all(request)?;
    let mut response = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let count = stream.read(&mut buffer).context("the vote service does not answer")?;
        ensure!(count > 0, "the vote service closed in the middle of a response");
        response.extend_from_slice(&buffer[..count]);
        ensure!(response.len() <= RESPONSE_BYTES_MAX, "the vote service's response does not end");
        if is_whole(&response)? {
            return Ok(stream);
        }
    }
}

/// Whether all bytes of a response are there.
fn is_whole(response: &[u8]) -> Result<bool> {
    let text = String::from_utf8_lossy(response);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(false) };
    if !head.starts_with("HTTP/1.1 200") {
        bail!("the vote service answers {:.80}", head);
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
    let length: usize = length.context("a response without a length")?.trim().parse()?;
    Ok(body.len() >= length)
}

/// Kind of request and whether its connection is kept, of what is counted; none for the boot.
pub fn kind(counted: Counted) -> Option<(Method, bool)> {
    match counted {
        Counted::Boot => None,
        Counted::GetClose => Some((Method::Get, false)),
        Counted::GetKeepAlive => Some((Method::Get, true)),
        Counted::PostClose => Some((Method::Post, false)),
        Counted::PostKeepAlive => Some((Method::Post, true)),
    }
}

/// Everything that is counted.
pub const ALL: [Counted; 5] =
    [Counted::Boot, Counted::GetClose, Counted::GetKeepAlive, Counted::PostClose, Counted::PostKeepAlive];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_whole_by_its_length_and_only_a_good_one_counts() {
        let whole = |text: &str| is_whole(text.as_bytes());
        assert!(!whole("HTTP/1.1 200 OK\r\nContent-Le").expect("so far good"));
        assert!(!whole("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").expect("so far good"));
        assert!(whole("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc").expect("good"));
        assert!(whole("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").is_err());
    }
}
