//! Which bytes are requests, and which are refused how.

use super::*;
use crate::http::limits::{HEAD_BYTES_MAX, HEADERS_MAX, REQUEST_LINE_BYTES_MAX};

#[test]
fn well_formed_requests_are_found() {
    let cases = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
        ("GET /a?b=c HTTP/1.1\r\nhOST:a\r\n\r\n", "GET /a b=c"),
        ("GET / HTTP/1.1\r\nHost:\t a:80 \t\r\nEmpty:\r\nBlank: \t\r\n\r\n", "GET /"),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
        ("GET http://a/b?c HTTP/1.1\r\nHost: other\r\n\r\n", "GET /b c"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS *"),
        ("M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", "OTHER /"),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "TRACE /"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\r\n\r\n", "GET /"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab\r\nc", "POST /  ab\\r\\nc"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "POST /"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0002\r\n\r\nab", "POST /  ab"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", "GET /  ab"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            "POST /  abc",
        ),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /"),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\nExpect: x\r\n\r\n", "GET /"),
    ];
    for (input, request) in cases {
        assert_eq!(found(input), [request], "{input}");
        assert_eq!(found(input.repeat(3)), [request; 3], "three of {input}");
    }
}

#[test]
fn every_beginning_of_a_request_waits_and_is_truncated_at_the_end() {
    let whole = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    for end in 1..whole.len() {
        assert_eq!(serve(&whole[..end]).0, ["400 Truncated"], "{}", &whole[..end]);
    }
    for nothing in ["", "\r\n"] {
        assert_eq!(serve(nothing), (["end".to_string()].to_vec(), String::new()), "{nothing:?}");
    }
}

#[test]
fn malformed_heads_are_refused() {
    let cases = [
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 RequestLine"),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 RequestLine"),
        ("GET /\r\n\r\n", "400 RequestLine"),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400 RequestLine"),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "400 RequestLine"),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400 RequestLine"),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", "400 RequestLine"),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 RequestLine"),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", "400 RequestLine"),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400 RequestLine"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 Version"),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505 Version"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 Version"),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "400 LowerCaseMethod"),
        ("Get / HTTP/1.1\r\nHost: a\r\n\r\n", "400 LowerCaseMethod"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "501 Connect"),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400 Target"),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400 Target"),
        ("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", "400 Target"),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", "400 Target"),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", "400 BareLineFeed"),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", "400 BareLineFeed"),
        ("GET / HTTP/1.1\r\nHost: a\r\nEmpty:\n\r\n", "400 BareLineFeed"),
        ("GET / HTTP/1.1\r\nHost: a \n\r\n", "400 BareLineFeed"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", "400 BareLineFeed"),
        ("GET / HTTP/1.1\n\n", "400 BareLineFeed"),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400 Header"),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 Header"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "400 Header"),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", "400 Header"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", "400 Header"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", "400 Header"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "400 Header"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\u{e9}: b\r\n\r\n", "400 Header"),
    ];
    for (input, refusal) in cases {
        assert_eq!(found(input), [refusal], "{input:?}");
    }
}

/// What is found in a POST with these header lines, followed by an `a`, which is whole with a length of 1.
fn post(version: &str, headers: &str) -> String {
    found(format!("POST / HTTP/{version}\r\n{headers}\r\n\r\na")).concat()
}

#[test]
fn one_host_is_wanted() {
    let cases = [
        ("1.1", "X: y", "400 HostMissing"),
        ("1.1", "Host: a\r\nHost: a", "400 HostRepeated"),
        ("1.1", "Host:", "400 Host"),
        ("1.1", "Host: a, b", "400 Host"),
        ("1.1", "Host: a/b", "400 Host"),
        ("1.1", "Host: u@a", "400 Host"),
        ("1.1", "Host: a:b", "400 Host"),
        ("1.0", "Host: a b", "400 Host"),
        ("1.0", "Host: a\r\nhost: b", "400 HostRepeated"),
    ];
    for (version, headers, refusal) in cases {
        assert_eq!(post(version, headers), refusal, "{version} {headers}");
    }
}

#[test]
fn the_end_of_a_body_must_be_beyond_doubt() {
    let cases = [
        ("1.1", "Content-Length:", "400 ContentLength"),
        ("1.1", "Content-Length: +1", "400 ContentLength"),
        ("1.1", "Content-Length: -1", "400 ContentLength"),
        ("1.1", "Content-Length: 0x1", "400 ContentLength"),
        ("1.1", "Content-Length: 1 1", "400 ContentLength"),
        ("1.1", "Content-Length: 1, 1", "400 ContentLength"),
        ("1.1", "Content-Length: 1.0", "400 ContentLength"),
        ("1.1", "Content-Length: 18446744073709551616", "400 ContentLength"),
        ("1.1", "Content-Length: 1\r\nContent-Length: 1", "400 ContentLengthRepeated"),
        ("1.1", "Content-Length: 1\r\nTransfer-Encoding: chunked", "400 LengthAndCoding"),
        ("1.1", "Transfer-Encoding: x\r\nContent-Length: 1", "400 LengthAndCoding"),
        ("1.0", "Transfer-Encoding: chunked", "400 CodingOnOldVersion"),
        ("1.1", "Transfer-Encoding:", "501 Coding"),
        ("1.1", "Transfer-Encoding: gzip, chunked", "501 Coding"),
        ("1.1", "Transfer-Encoding: chunked, chunked", "501 Coding"),
        ("1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "501 Coding"),
        ("1.1", "Transfer-Encoding: chunked;a=b", "501 Coding"),
        ("1.1", "Transfer-Encoding: xchunked", "501 Coding"),
        ("1.1", "Transfer-Encoding: \u{b}chunked", "400 Header"),
        ("1.1", "Transfer-Encoding: identity", "501 Coding"),
        ("1.1", "Content-Length: 33", "413 BodyTooLarge"),
        ("1.1", "Content-Length: 18446744073709551615", "413 BodyTooLarge"),
        ("1.1", "Transfer-Encoding: chunked", "400 Truncated"),
        ("1.1", "Content-Length: 1\r\nExpect: 200-ok", "417 Expectation"),
        ("1.1", "Content-Length: 1\r\nExpect: 100-continue\r\nExpect: 100-continue", "417 Expectation"),
        ("1.1", "Content-Length: 1", "POST /  a"),
    ];
    for (version, headers, outcome) in cases {
        assert_eq!(post(version, &format!("Host: a\r\n{headers}")), outcome, "{version} {headers}");
    }
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(found(format!("{chunked}21\r\n")), ["413 BodyTooLarge"]);
    assert_eq!(found(format!("{chunked}4 \r\nabcd\r\n0\r\n\r\n")), ["400 Chunk"]);
}

#[test]
fn heads_are_bounded() {
    let line = |bytes: usize| {
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - "GET / HTTP/1.1".len()))
    };
    assert_eq!(found(line(REQUEST_LINE_BYTES_MAX)).len(), 1);
    assert!(found(line(REQUEST_LINE_BYTES_MAX)).concat().starts_with("GET /xxx"));
    assert_eq!(found(line(REQUEST_LINE_BYTES_MAX + 1)), ["414 LineTooLong"]);
    assert_eq!(found("x".repeat(HEAD_BYTES_MAX)), ["414 LineTooLong"]);

    let lines = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(found(lines(HEADERS_MAX)), ["GET /"]);
    assert_eq!(found(lines(HEADERS_MAX + 1)), ["431 TooManyHeaders"]);

    let fixed = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
    let head = |bytes: usize| fixed.replace("X: ", &format!("X: {}", "y".repeat(bytes - fixed.len())));
    assert_eq!(found(head(HEAD_BYTES_MAX)), ["GET /"]);
    assert_eq!(found(head(HEAD_BYTES_MAX + 1)), ["431 HeadTooLarge"]);
}
