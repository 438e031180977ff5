//! The client's side of HTTP/1.1: finds a whole response at the front of what has come (read RFC 9112 section 6 first).
//!
//! A response says its length, or has none: what is chunked, or ends with the connection, is refused. Who asks sends no
//! `HEAD`, whose responses only seem to have a body.

use core::fmt;
use core::ops::Range;

use super::limits::{HEAD_BYTES_MAX, HEADERS_MAX};

/// Where a response lies in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body's bytes, which are the response's last ones.
    pub body: Range<usize>,
}

/// Why what has come cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// It is not HTTP/1.1.
    NotHttp,
    /// Its head is larger than [`HEAD_BYTES_MAX`], or has more than [`HEADERS_MAX`] lines.
    HeadTooLarge,
    /// It has no `Content-Length`, or two different ones.
    NoLength,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => f.write_str("what answers is not HTTP/1.1: is it the port of an HTTP server?"),
            Self::HeadTooLarge => write!(
                f,
                "the head of an answer is larger than {} KiB or has more than {HEADERS_MAX} lines",
                HEAD_BYTES_MAX / 1024
            ),
            Self::NoLength => {
                f.write_str("an answer does not say its length: the server has to send Content-Length")
            }
        }
    }
}

impl core::error::Error for ReplyError {}

/// The response at the front of `input`; none as long as it is not whole. Interim ones (1xx) before it are skipped.
///
/// # Errors
/// When it is none that can be read.
pub fn reply(input: &[u8]) -> Result<Option<Reply>, ReplyError> {
    let mut start = 0;
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let head = match parsed.parse(&input[start..]) {
            Ok(httparse::Status::Complete(head)) if head <= HEAD_BYTES_MAX => head,
            Ok(httparse::Status::Complete(_)) => return Err(ReplyError::HeadTooLarge),
            Ok(httparse::Status::Partial) if input.len() - start > HEAD_BYTES_MAX => {
                return Err(ReplyError::HeadTooLarge);
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(ReplyError::HeadTooLarge),
            Err(_) => return Err(ReplyError::NotHttp),
        };
        let status = parsed.code.unwrap_or_default();
        start += head;
        if (100..200).contains(&status) {
            continue;
        }
        let end = start.checked_add(body_bytes(status, parsed.headers)?).ok_or(ReplyError::NoLength)?;
        return Ok((end <= input.len()).then_some(Reply { status, body: start..end }));
    }
}

fn body_bytes(status: u16, headers: &[httparse::Header<'_>]) -> Result<usize, ReplyError> {
    let values = |name: &'static str| {
        headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    if matches!(status, 204 | 304) {
        return Ok(0);
    }
    let mut lengths = values("content-length");
    let length = lengths.next().ok_or(ReplyError::NoLength)?;
    if values("transfer-encoding").next().is_some() || lengths.any(|other| other != length) {
        return Err(ReplyError::NoLength);
    }
    let digits = core::str::from_utf8(length).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or(ReplyError::NoLength)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn a_response_is_found_when_it_is_whole() {
        for end in 0..HELLO.len() {
            assert_eq!(reply(&HELLO[..end]), Ok(None), "{end}");
        }
        let found = reply(&[HELLO, b"HTTP/1.1"].concat()).expect("HTTP").expect("whole");
        assert_eq!((found.status, &HELLO[found.body]), (200, &b"hello"[..]));
    }

    #[test]
    fn interim_responses_are_skipped_and_some_have_no_body() {
        let early = [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", HELLO].concat();
        assert_eq!(reply(&early).expect("HTTP").expect("whole").body, early.len() - 5..early.len());
        let none = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(reply(none), Ok(Some(Reply { status: 204, body: none.len()..none.len() })));
    }

    #[test]
    fn what_has_no_certain_length_is_refused() {
        let with = |line: &str| reply(format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n").as_bytes());
        for line in [
            "A: b",
            "Transfer-Encoding: chunked",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: +1",
            "Content-Length: -1",
            "Content-Length: ",
            "Content-Length: 99999999999999999999",
            "Content-Length: 18446744073709551615",
        ] {
            assert_eq!(with(line), Err(ReplyError::NoLength), "{line}");
        }
        assert_eq!(with("Content-Length: 0\r\nContent-Length: 0").map(|found| found.is_some()), Ok(true));
    }

    #[test]
    fn what_is_not_http_or_too_large_is_refused() {
        assert_eq!(reply(b"-ERR unknown command\r\n"), Err(ReplyError::NotHttp));
        let long = [b"HTTP/1.1 200 OK\r\nA: ", &[b'a'; HEAD_BYTES_MAX][..]].concat();
        assert_eq!(reply(&long), Err(ReplyError::HeadTooLarge));
        let whole = [long.as_slice(), b"\r\nContent-Length: 0\r\n\r\n"].concat();
        assert_eq!(reply(&whole), Err(ReplyError::HeadTooLarge), "also if it has come at once");
        let many = [b"HTTP/1.1 200 OK\r\n", b"A: b\r\n".repeat(HEADERS_MAX + 1).as_slice()].concat();
        assert_eq!(reply(&many), Err(ReplyError::HeadTooLarge));
    }
}
