//! Voters that ask a service all at once, on a connection for each request or on kept ones.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::record::Method;

/// How long an answer may take, under an emulated KVM.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest body of an answer.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// What is asked, and how.
#[derive(Clone, Copy, Debug)]
pub struct Questions {
    pub host: SocketAddrV4,
    pub method: Method,
    pub keep_alive: bool,
    /// Requests at the same time, each on its own connection.
    pub connections: usize,
}

/// Voters, with the connections that they keep.
pub struct Voters {
    questions: Questions,
    request: String,
    kept: Vec<BufReader<TcpStream>>,
}

impl Voters {
    /// Voters, each connected if connections are kept.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn new(questions: Questions) -> Result<Self> {
        let count = if questions.keep_alive { questions.connections } else { 0 };
        let kept = (0..count).map(|_| connect(questions.host)).collect::<Result<_>>()?;
        let request = request(questions.method, questions.keep_alive);
        Ok(Self { questions, request, kept })
    }

    /// Each voter sends one request, then each awaits its answer.
    ///
    /// # Errors
    /// When an answer does not come, or does not say 200.
    pub fn ask(&mut self) -> Result<()> {
        let mut connections = std::mem::take(&mut self.kept);
        if !self.questions.keep_alive {
            let host = self.questions.host;
            connections = (0..self.questions.connections).map(|_| connect(host)).collect::<Result<_>>()?;
        }
        for connection in &mut connections {
            connection.get_mut().write_all(self.request.as_bytes()).context("a request cannot be sent")?;
        }
        for connection in &mut connections {
            take_answer(connection).context("a request was not answered well")?;
            if !self.questions.keep_alive {
                let end = connection.read(&mut [0]).context("a connection does not end")?;
                ensure!(end == 0, "there is something behind an answer");
            }
        }
        if self.questions.keep_alive {
            self.kept = connections;
        }
        Ok(())
    }
}

fn connect(host: SocketAddrV4) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&host.into(), TIMEOUT).context("cannot connect")?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn request(method: Method, keep_alive: bool) -> String {
    let connection = if keep_alive { "" } else { "Connection: close\r\n" };
    match method {
        Method::Get => format!("GET / HTTP/1.1\r\nHost: vote\r\n{connection}\r\n"),
        Method::Post => format!(
            "POST / HTTP/1.1\r\nHost: vote\r\n{connection}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 6\r\n\r\nvote=a"
        ),
    }
}

/// Reads one answer to its end, by the length that its head tells.
fn take_answer(connection: &mut impl BufRead) -> Result<()> {
    let mut line = String::new();
    let mut status = None;
    let mut length = None;
    while line != "\r\n" {
        line.clear();
        ensure!(connection.read_line(&mut line)? > 0, "the connection has ended in an answer's head");
        status.get_or_insert_with(|| line.trim_end().to_owned());
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    let status = status.unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 200 "), "the answer is {status:?}");
    let length: u64 = length.context("an answer tells no length")?;
    ensure!(length <= BODY_BYTES_MAX, "an answer has {length} bytes");
    let read = std::io::copy(&mut connection.take(length), &mut std::io::sink())?;
    ensure!(read == length, "an answer has {read} bytes of {length}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_end_and_no_further() {
        let mut two = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 503 Busy\r\n\r\n".as_slice();
        take_answer(&mut two).expect("an answer");
        assert_eq!(
            take_answer(&mut two).expect_err("busy").to_string(),
            "the answer is \"HTTP/1.1 503 Busy\""
        );
    }

    #[test]
    fn an_answer_that_is_cut_off_is_an_error() {
        for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"] {
            assert!(take_answer(&mut part.as_bytes()).is_err(), "{part:?}");
        }
    }
}
