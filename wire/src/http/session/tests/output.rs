//! What is written, in which order, and what becomes of the connection.

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn pipelined_requests_are_answered_in_order_and_one_at_a_time() {
    let mut peer = Peer::new();
    peer.send(GET.repeat(2) + "POST /last HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGE");
    assert_eq!(peer.receive(NOW), Found::Request("GET /  ".into()));
    assert_eq!(peer.receive(NOW), Found::Wait, "the first has no answer yet");
    peer.answer(&Response::new(200, "", b"1"));
    assert_eq!(peer.receive(NOW), Found::Request("GET /  ".into()));
    peer.answer(&Response::new(404, "", b"2"));
    assert_eq!(peer.receive(NOW), Found::Request("POST /last  x".into()));
    peer.answer(&Response::new(200, "", b"3"));
    assert_eq!(peer.receive(NOW), Found::Wait);
    assert_eq!(peer.input.as_slice(), b"GE");
    let answers = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n2\
        HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3";
    assert_eq!(peer.take_output(), answers);
}

#[test]
fn a_connection_persists_unless_one_side_does_not_want_it() {
    let kept = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok";
    let closed = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let cases = [
        ("1.1", "X: y", OK, false),
        ("1.1", "Connection: keep-alive", OK, false),
        ("1.1", "Connection: close", closed, true),
        ("1.1", "Connection: x , CLOSE", closed, true),
        ("1.1", "Connection: keep-alive\r\nConnection: close", closed, true),
        ("1.1", "Connection: closed", OK, false),
        ("1.0", "X: y", closed, true),
        ("1.0", "Connection: Keep-Alive", kept, false),
        ("1.0", "Connection: close, keep-alive", closed, true),
    ];
    for (version, headers, answer, over) in cases {
        let mut peer = Peer::new();
        peer.send(format!("GET / HTTP/{version}\r\nHost: a\r\n{headers}\r\n\r\n{GET}"));
        let requests = peer.serve().len();
        assert_eq!(
            (requests, peer.session.is_over()),
            (if over { 1 } else { 2 }, over),
            "{version} {headers}"
        );
        let rest = if over { "" } else { OK };
        assert_eq!(peer.take_output(), format!("{answer}{rest}"), "{version} {headers}");
    }
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let (log, output) = serve(GET.repeat(2));
    assert_eq!(log, ["GET /", "GET /", "end"]);
    assert_eq!(output, OK.repeat(2));
}

#[test]
fn a_refusal_is_the_last_answer() {
    let (log, output) = serve(format!("{GET}GET / HTTP/1.1\r\n\r\n{GET}"));
    assert_eq!(log, ["GET /", "400 HostMissing"]);
    let text = Refusal::HostMissing.text();
    let fields = "Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\n";
    let refusal = format!("HTTP/1.1 400 Bad Request\r\n{fields}Content-Length: {}\r\n\r\n{text}", text.len());
    assert_eq!(output, format!("{OK}{refusal}"));
}

#[test]
fn head_has_the_same_fields_and_no_body() {
    let mut peer = Peer::new();
    peer.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".to_string() + GET);
    assert_eq!(peer.serve(), ["HEAD /", "GET /"]);
    assert_eq!(peer.take_output(), format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{OK}"));
}

#[test]
fn continue_is_sent_once_and_only_when_expected() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    let mut peer = Peer::new();
    peer.send(head);
    for part in ["", "a"] {
        peer.send(part);
        assert_eq!(peer.receive(NOW), Found::Wait);
    }
    assert_eq!(peer.take_output(), "HTTP/1.1 100 Continue\r\n\r\n");
    peer.send("b");
    assert_eq!(peer.serve(), ["POST /  ab"]);
    assert_eq!(peer.take_output(), OK);

    let unneeded = [
        format!("{head}a"),
        head.replace("1.1", "1.0"),
        head.replace("th: 2", "th: 0"),
        head.replace("th: 2", "th: 33"),
    ];
    for input in unneeded {
        let mut peer = Peer::new();
        peer.send(&input);
        peer.serve();
        assert!(!peer.take_output().contains("100 Continue"), "{input}");
    }
}

#[test]
fn streams_are_chunked_or_end_with_the_connection() {
    let stream = |request: &str| {
        let mut peer = Peer::new();
        peer.send(request);
        assert!(matches!(peer.receive(NOW), Found::Request(_)));
        peer.session.start_stream("text/x", &["A: b\r\n"], b"", NOW, &mut peer.output).expect("room");
        for bytes in [&b"one"[..], b"", b"0123456789abcdef"] {
            peer.session.push(bytes, &mut peer.output).expect("room");
        }
        peer.session.finish(NOW, &mut peer.output).expect("room");
        peer.session.push(b"late", &mut peer.output).expect("ignored");
        (peer.take_output(), peer.session.is_over())
    };
    let (status, fields) = ("HTTP/1.1 200 OK\r\n", "A: b\r\nContent-Type: text/x\r\n");
    let chunked = format!("{status}{fields}Transfer-Encoding: chunked\r\n\r\n");
    let body = "3\r\none\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
    assert_eq!(stream(GET), (format!("{chunked}{body}"), false));
    assert_eq!(stream(&GET.replace("GET", "HEAD")), (chunked, false));
    let old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(stream(old), (format!("{status}Connection: close\r\n{fields}\r\none0123456789abcdef"), true));
}

#[test]
fn a_stream_ends_when_its_client_does() {
    let mut peer = Peer::new();
    peer.send(GET);
    peer.receive(NOW);
    peer.session.start_stream("text/x", &[], b"", NOW, &mut peer.output).expect("room");
    assert_eq!(peer.receive(NOW), Found::Wait);
    assert!(peer.session.is_streaming(peer.session.serial()));
    peer.ended = true;
    assert_eq!(peer.receive(NOW), Found::Ended);
}

#[test]
fn an_answer_that_does_not_fit_can_be_given_again() {
    let mut peer = Peer::new();
    peer.output = Buffer::new(400);
    peer.send(GET);
    peer.receive(NOW);
    let large = [b'x'; 400];
    assert!(peer.session.answer(&Response::new(200, "", &large), b"", NOW, &mut peer.output).is_err());
    assert!(peer.output.is_empty() && peer.session.is_answering(peer.session.serial()));
    peer.answer(&Response::new(500, "", b""));
    assert_eq!(peer.take_output(), "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn answers_nobody_waits_for_are_not_written() {
    let mut peer = Peer::new();
    peer.answer(&Response::new(200, "", b"unasked"));
    peer.send(GET);
    peer.serve();
    peer.answer(&Response::new(200, "", b"twice"));
    assert_eq!(peer.take_output(), OK);
    assert!(!peer.session.is_answering(peer.session.serial()));
}
