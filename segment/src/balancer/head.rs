//! What the heads of requests and answers say that a balancer has to know: whether a request may be repeated, and where
//! it and its answer end (RFC 9110 section 9.2, RFC 9112 section 6).
//!
//! In doubt it knows nothing, and then nothing is repeated. It refuses nothing: that is the servers' to do.

use httparse::{EMPTY_HEADER, Header, Request, Response, Status};
use wire::http::limits::HEADERS_MAX;

/// A head of a request, or what has come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestHead {
    /// More of it is to come.
    Partial,
    /// It is whole.
    Whole(RequestFacts),
    /// It is no request of HTTP/1, or one whose end is not certain.
    Unknown,
}

/// What a request's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// Length of the head and the body together, in bytes.
    pub bytes: u64,
    /// Whether it is a GET or a HEAD without a body: to answer it twice is to answer it once.
    pub is_repeatable: bool,
    /// Whether its answer has no body, whatever length that names.
    pub is_head: bool,
    /// Whether its sender expects to send another one on this connection.
    pub is_persistent: bool,
}

/// A head of an answer, or what has come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerHead {
    /// More of it is to come.
    Partial,
    /// It is whole.
    Whole(AnswerFacts),
    /// It is none of HTTP/1, or one whose end is not certain.
    Unknown,
}

/// What an answer's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerFacts {
    /// Length of the head, in bytes.
    pub head_bytes: u64,
    /// Length of the body, unless the request was a HEAD.
    pub body_bytes: u64,
    /// Whether the connection is to stay open.
    pub is_persistent: bool,
}

/// Reads the head at the front of what a client has sent.
pub fn request(bytes: &[u8]) -> RequestHead {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut headers);
    let head_bytes = match request.parse(bytes) {
        Ok(Status::Complete(length)) => length as u64,
        Ok(Status::Partial) => return RequestHead::Partial,
        Err(_) => return RequestHead::Unknown,
    };
    let (method, headers) = (request.method.unwrap_or_default(), &*request.headers);
    let has = |name: &str| values(headers, name).next().is_some();
    let Some(length) = length(headers) else { return RequestHead::Unknown };
    // The last two change what follows on the connection, or when the body is sent.
    if has("transfer-encoding") || has("upgrade") || has("expect") || method == "CONNECT" {
        return RequestHead::Unknown;
    }
    let is_head = method == "HEAD";
    let body_bytes = length.unwrap_or(0);
    let Some(bytes) = head_bytes.checked_add(body_bytes) else { return RequestHead::Unknown };
    RequestHead::Whole(RequestFacts {
        bytes,
        is_repeatable: (is_head || method == "GET") && body_bytes == 0,
        is_head,
        is_persistent: is_persistent(request.version, headers),
    })
}

/// Reads the head at the front of what an instance has answered.
pub fn answer(bytes: &[u8]) -> AnswerHead {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = Response::new(&mut headers);
    let head_bytes = match response.parse(bytes) {
        Ok(Status::Complete(length)) => length as u64,
        Ok(Status::Partial) => return AnswerHead::Partial,
        Err(_) => return AnswerHead::Unknown,
    };
    let (code, headers) = (response.code.unwrap_or_default(), &*response.headers);
    if code < 200 || values(headers, "transfer-encoding").next().is_some() {
        return AnswerHead::Unknown;
    }
    let body_bytes = match (code, length(headers)) {
        (204 | 304, Some(_)) => 0,
        (_, Some(Some(length))) => length,
        _ => return AnswerHead::Unknown,
    };
    let is_persistent = is_persistent(response.version, headers);
    AnswerHead::Whole(AnswerFacts { head_bytes, body_bytes, is_persistent })
}

fn values<'a>(headers: &'a [Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// The length that the headers name, if they do; none when they cannot be understood.
fn length(headers: &[Header<'_>]) -> Option<Option<u64>> {
    let mut values = values(headers, "content-length");
    let Some(first) = values.next() else { return Some(None) };
    if first.is_empty() || !first.iter().all(u8::is_ascii_digit) || values.any(|other| other != first) {
        return None;
    }
    std::str::from_utf8(first).ok()?.parse().ok().map(Some)
}

/// RFC 9112 section 9.3.
fn is_persistent(version: Option<u8>, headers: &[Header<'_>]) -> bool {
    let has = |name: &str| {
        let mut options = values(headers, "connection").flat_map(|value| value.split(|byte| *byte == b','));
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    };
    !has("close") && (version == Some(1) || has("keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Option<RequestFacts> {
        match request(text.as_bytes()) {
            RequestHead::Whole(facts) => Some(facts),
            _ => None,
        }
    }

    #[test]
    fn only_a_get_or_head_without_a_body_is_repeatable() {
        let repeatable = |text: &str| facts(text).is_some_and(|facts| facts.is_repeatable);
        for text in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD / HTTP/1.0\r\n\r\n"] {
            assert!(repeatable(text), "{text}");
        }
        assert!(repeatable("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"));
        for text in [
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "PUT / HTTP/1.1\r\n\r\n",
            "get / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 0\r\ncontent-length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: +0\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: \r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET key\r\n",
            "*1\r\n$4\r\nPING\r\n",
        ] {
            assert!(!repeatable(text), "{text}");
        }
    }

    #[test]
    fn the_end_of_a_request_and_what_is_expected_after_it_are_known() {
        let post = facts("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nvote=a").expect("whole");
        assert_eq!((post.bytes, post.is_persistent), (44, true));
        let persistent = |text: &str| facts(text).expect("whole").is_persistent;
        assert!(!persistent("GET / HTTP/1.0\r\n\r\n"));
        assert!(persistent("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
        assert!(!persistent("GET / HTTP/1.1\r\nConnection: te, Close\r\n\r\n"));
        let huge = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", u64::MAX);
        assert_eq!(request(huge.as_bytes()), RequestHead::Unknown);
        assert_eq!(request(b"GET / HTTP/1.1\r\nHost"), RequestHead::Partial);
    }

    #[test]
    fn an_answer_without_a_certain_end_is_unknown() {
        let of = |text: &str| answer(text.as_bytes());
        assert_eq!(
            of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
            AnswerHead::Whole(AnswerFacts { head_bytes: 38, body_bytes: 5, is_persistent: true })
        );
        assert!(
            matches!(of("HTTP/1.1 304 Not Modified\r\n\r\n"), AnswerHead::Whole(it) if it.body_bytes == 0)
        );
        assert_eq!(of("HTTP/1.1 200 OK\r\nContent"), AnswerHead::Partial);
        for text in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "-ERR unknown command\r\n",
        ] {
            assert_eq!(of(text), AnswerHead::Unknown, "{text}");
        }
    }
}
