//! The health check of an instance: one HTTP GET with a deadline. It is not a general HTTP client: it reads a status
//! and the beginning of a body.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::state::HealthAddress;

/// How much of an answer is looked at, in bytes.
const ANSWER_BYTES_MAX: u64 = 4096;
/// Where services have their metrics, beside their health.
const METRICS_PATH: &str = "/metrics";
/// How much of them is looked at, in bytes.
const METRICS_BYTES_MAX: u64 = 64 * 1024;
/// How much of a body is shown, in characters.
const REASON_CHARS_MAX: usize = 200;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// 200.
    Healthy,
    /// Another answer: its status and what it says.
    Not(String),
    /// None, and why.
    None(String),
}

/// Asks once. QEMU's user network takes connections before the guest is up, so only an answer counts, and
/// an unanswered question costs the whole `timeout`.
pub fn ask(health: &HealthAddress, timeout: Duration) -> ProbeResult {
    match exchange(health, &health.path, ANSWER_BYTES_MAX, timeout) {
        Ok(answer) => judge(&answer),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            ProbeResult::None("no answer yet".to_owned())
        }
        // On a segment the gateway sends those away whose machine is not there yet.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset) =>
        {
            ProbeResult::None("nobody listens yet".to_owned())
        }
        Err(error) => ProbeResult::None(error.to_string()),
    }
}

/// The instance's metrics, in Prometheus' text format; none without an answer.
pub fn metrics(health: &HealthAddress, timeout: Duration) -> Option<String> {
    let answer = exchange(health, METRICS_PATH, METRICS_BYTES_MAX, timeout).ok()?;
    let (_, body) = split(&answer).filter(|_| status(&answer) == Some(200))?;
    Some(String::from_utf8_lossy(body).into_owned())
}

fn exchange(health: &HealthAddress, path: &str, bytes_max: u64, timeout: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + timeout;
    let left = || {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
    };
    let mut stream = health.address.connect(timeout)?;
    stream.set_write_timeout(left()?)?;
    let address = &health.address;
    let question = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while (answer.len() as u64) < bytes_max && !is_complete(&answer) {
        stream.set_read_timeout(left()?)?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The status has come: that the connection breaks afterwards does not take it back.
            Err(_) if status(&answer).is_some() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// Whether the answer has as much body as it announces.
fn is_complete(answer: &[u8]) -> bool {
    let Some((head, body)) = split(answer) else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    length.is_some_and(|length| body.len() >= length)
}

fn split(answer: &[u8]) -> Option<(String, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&answer[..end]).into_owned(), &answer[end + 4..]))
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let text = std::str::from_utf8(line).ok()?;
    text.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

fn judge(answer: &[u8]) -> ProbeResult {
    match status(answer) {
        Some(200) => ProbeResult::Healthy,
        Some(status) => {
            let body = split(answer).map(|(_, body)| String::from_utf8_lossy(body).into_owned());
            let clean = |c: char| if c.is_control() { ' ' } else { c };
            let reason: String =
                body.unwrap_or_default().trim().chars().map(clean).take(REASON_CHARS_MAX).collect();
            ProbeResult::Not(format!("{status} {reason}").trim_end().to_owned())
        }
        None if answer.is_empty() => ProbeResult::None("the connection ended without an answer".to_owned()),
        None => ProbeResult::None("the answer is not HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::state::access::Access;

    /// Asks a server that reads the question and answers `answer`, keeping the connection when `keep`.
    fn ask_server(answer: &'static str, keep: bool) -> ProbeResult {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a question");
            let mut question = [0; 512];
            let length = stream.read(&mut question).expect("a question");
            assert!(question[..length].starts_with(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:"));
            stream.write_all(answer.as_bytes()).expect("it listens");
            keep.then_some((stream, listener))
        });
        let health = HealthAddress { address: Access::Tcp(address), path: "/readyz".to_owned() };
        let got = ask(&health, Duration::from_secs(if keep { 1 } else { 10 }));
        drop(server.join());
        got
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(ask_server("HTTP/1.1 200 OK\r\n\r\nready", false), ProbeResult::Healthy);
        let not = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 19\r\n\r\nstore: not reachable";
        assert_eq!(ask_server(not, false), ProbeResult::Not("503 store: not reachable".to_owned()));
        let bare = "HTTP/1.0 404 Not Found\r\n\r\n";
        assert_eq!(ask_server(bare, false), ProbeResult::Not("404".to_owned()));
        assert!(matches!(ask_server("", false), ProbeResult::None(why) if why.contains("without an answer")));
        assert!(matches!(ask_server("-ERR\r\n", false), ProbeResult::None(why) if why.contains("not HTTP")));
    }

    #[test]
    fn a_connection_that_stays_open_is_not_waited_for() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nready";
        assert_eq!(ask_server(answer, true), ProbeResult::Healthy);
        assert!(matches!(ask_server("HTTP/1.1", true), ProbeResult::None(why) if why == "no answer yet"));
    }

    #[test]
    fn nobody_listening_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let address = (std::net::Ipv4Addr::LOCALHOST, port).into();
        let health = HealthAddress { address: Access::Tcp(address), path: "/".to_owned() };
        assert!(
            matches!(ask(&health, Duration::from_secs(5)), ProbeResult::None(why) if why.contains("nobody"))
        );
    }
}
