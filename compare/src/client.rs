//! The small HTTP client that asks whether a service answers, and what.
//!
//! Makes no load: `load` does.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// How long one question waits: QEMU takes connections before the guest is there.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);
/// What part of the time since its start a program may take to take a connection, and the least.
const CONNECT_PART: u32 = 32;
const CONNECT_TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// How long a question waits when it is not about being there.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest response that is read.
const RESPONSE_BYTES_MAX: u64 = 16 << 20;

/// What a service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Response {
    /// What it says, as far as it is text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A GET over a connection of its own.
///
/// # Errors
/// When there is no answer in time.
pub fn get(host: SocketAddrV4, path: &str) -> Result<Response> {
    exchange(connect(host, REQUEST_TIMEOUT)?, &format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n"))
}

/// A vote of a new voter.
///
/// # Errors
/// When there is no answer in time.
pub fn vote(host: SocketAddrV4, choice: &str) -> Result<Response> {
    let body = format!("vote={choice}");
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n"
    );
    exchange(connect(host, REQUEST_TIMEOUT)?, &(head + &body))
}

/// Sends a request of HTTP/1.0, whose answer ends with the connection and is not cut into chunks.
///
/// # Errors
/// When the answer does not come, or is none.
pub fn exchange(mut stream: impl Read + Write, request: &str) -> Result<Response> {
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(RESPONSE_BYTES_MAX).read_to_end(&mut bytes)?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Response> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").context("no end of an HTTP head")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP status")?;
    Ok(Response { status, body: bytes[end + 4..].to_vec() })
}

/// Whether one short question is answered with 200, by what is so old: on a tap, packets for a guest that is not there
/// yet are lost, and waiting for them long would be measured.
pub fn answers_ok(host: SocketAddrV4, path: &str, age: Duration) -> bool {
    let ask = || -> Result<[u8; 12]> {
        let timeout = (age / CONNECT_PART).clamp(CONNECT_TIMEOUT_MIN, ANSWER_TIMEOUT);
        let mut stream = TcpStream::connect_timeout(&host.into(), timeout)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
        let mut begin = [0; 12];
        stream.read_exact(&mut begin)?;
        Ok(begin)
    };
    ask().is_ok_and(|begin| begin.ends_with(b" 200"))
}

fn connect(host: SocketAddrV4, timeout: Duration) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&host.into(), timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    Ok(stream)
}

/// An address of the loopback that nothing listens on right now.
///
/// # Errors
/// When the host has no port left.
pub fn free_address() -> Result<SocketAddrV4> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        let answer = parse(b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\nno such thing").expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (404, "no such thing"));
        assert!(parse(b"garbage").is_err());
    }
}
