//! The daemon's HTTP interface, asked over its socket: an answer in a millisecond where the command takes
//! thirty.
//!
//! Asks only what stands between the start of a container and its first answer, or is asked again and
//! again. Everything else goes through the `docker` command, as a user's containers do.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// How long an answer may take; removing a container is what takes longest.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest answer that is read.
const BYTES_MAX: u64 = 16 << 20;

/// What the daemon answered.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// What a GET of `path` says.
///
/// # Errors
/// When the daemon does not answer, or with an error.
pub fn get(socket: &Path, path: &str) -> Result<Value> {
    let body = ask(socket, "GET", path)?;
    serde_json::from_slice(&body).with_context(|| format!("Docker's answer to {path} cannot be read"))
}

/// The bytes that `method` gives for `path`.
///
/// # Errors
/// When the daemon does not answer, or with an error.
pub fn ask(socket: &Path, method: &str, path: &str) -> Result<Vec<u8>> {
    let answer = exchange(socket, method, path)
        .with_context(|| format!("Docker's daemon does not answer at {}", socket.display()))?;
    if !(200..300).contains(&answer.status) {
        bail!("Docker's daemon: {} ({})", message(&answer.body), answer.status);
    }
    Ok(answer.body)
}

fn exchange(socket: &Path, method: &str, path: &str) -> Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // Version 1.0: an answer ends with its connection, and is not cut into chunks.
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.take(BYTES_MAX).read_to_end(&mut bytes)?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").context("it is no HTTP")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("it has no status")?;
    Ok(Answer { status, body: bytes[end + 4..].to_vec() })
}

/// What an error says.
fn message(body: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let message = value.as_ref().and_then(|value| value["message"].as_str());
    message.map_or_else(|| String::from_utf8_lossy(body).trim().to_owned(), str::to_owned)
}

/// The text of a container's output: frames of a stream's number, three zeros, a length and its bytes.
///
/// See "Attach to a container", "Stream format" in the Engine API's reference.
pub fn output_text(mut frames: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(frames.len());
    while let Some((head, rest)) = frames.split_first_chunk::<8>() {
        let bytes = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (frame, rest) = rest.split_at(bytes.min(rest.len()));
        text.extend_from_slice(frame);
        frames = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_put_together_from_frames_also_from_a_torn_one() {
        let frames = b"\x01\0\0\0\0\0\0\x03one\x02\0\0\0\0\0\0\x04 two\x01\0\0\0\0\0\0\x09 th";
        assert_eq!(output_text(frames), b"one two th");
        assert_eq!(output_text(b"\x01\0\0"), b"");
    }

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        let answer = parse(b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n{\"message\":\"no such thing\"}")
            .expect("an answer");
        assert_eq!((answer.status, message(&answer.body).as_str()), (404, "no such thing"));
        assert!(parse(b"garbage").is_err());
    }
}
