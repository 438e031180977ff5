//! The small HTTP client that asks whether a service answers, and what.
//!
//! Makes no load: `load` does.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::substrate::Instance;

/// How long one question waits: QEMU takes connections before the guest is there.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);
/// How long a question waits when it is not about being there.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between questions.
const PAUSE: Duration = Duration::from_millis(1);
/// Longest response that is read.
const RESPONSE_BYTES_MAX: u64 = 1 << 20;

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: String,
}

/// A GET over a connection of its own.
///
/// # Errors
/// When there is no answer in time.
pub fn get(host: SocketAddrV4, path: &str) -> Result<Response> {
    exchange(host, &format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n"), REQUEST_TIMEOUT)
}

/// A vote of a new voter.
///
/// # Errors
/// When there is no answer in time.
pub fn vote(host: SocketAddrV4, choice: &str) -> Result<Response> {
    let body = format!("vote={choice}");
    let head = format!(
        "POST / HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    exchange(host, &(head + &body), REQUEST_TIMEOUT)
}

fn exchange(host: SocketAddrV4, request: &str, timeout: Duration) -> Result<Response> {
    let mut stream = TcpStream::connect_timeout(&host.into(), timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(RESPONSE_BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("the response has no end of its head")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    Ok(Response { status, body: body.to_owned() })
}

/// Asks until `path` is answered with 200; the time since the start began.
///
/// # Errors
/// When the instance ends, or does not answer so within `limit`.
pub fn first_ok(
    instance: &mut Instance,
    host: SocketAddrV4,
    path: &str,
    limit: Duration,
) -> Result<Duration> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    loop {
        let answer = status(host, &request);
        let elapsed = instance.begun.elapsed();
        if answer == Some(200) {
            return Ok(elapsed);
        }
        instance.check()?;
        if elapsed > limit {
            let log = crate::child::log_tail(&instance.log);
            bail!("{instance} did not answer {path} with 200 within {} s\n{log}", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

/// The status of one short question, if it was answered.
fn status(host: SocketAddrV4, request: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&host.into(), ANSWER_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut line = [0; 12];
    stream.read_exact(&mut line).ok()?;
    std::str::from_utf8(&line[9..]).ok()?.parse().ok()
}

/// Asks until `condition` holds of what `path` answers.
///
/// # Errors
/// When it does not within `limit`; with the last answer.
pub fn await_body(
    host: SocketAddrV4,
    path: &str,
    limit: Duration,
    condition: impl Fn(&str) -> bool,
) -> Result<()> {
    let begun = Instant::now();
    loop {
        let answer = get(host, path);
        if answer.as_ref().is_ok_and(|answer| answer.status == 200 && condition(&answer.body)) {
            return Ok(());
        }
        ensure!(begun.elapsed() < limit, "{path} says {answer:?} after {} s", limit.as_secs());
        std::thread::sleep(10 * PAUSE);
    }
}

/// A port of the loopback address that nothing listens on right now.
///
/// # Errors
/// When the host has none left.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}
