//! What runs out when, with a clock that only the test moves.

use core::time::Duration;

use super::*;
use crate::http::limits::{
    ANSWER_TIMEOUT, BODY_PACE, HEAD_PACE, IDLE_TIMEOUT, Pace, WRITE_STALL_BYTES, WRITE_STALL_TIMEOUT,
};
use crate::http::session::{Check, Expiry};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Asserts that this, and nothing before it, runs out at `deadline`.
fn assert_expires(peer: &mut Peer, deadline: Instant, expiry: Expiry) {
    let output_bytes = peer.output.len();
    let before = Instant::from_micros(deadline.as_micros() - 1);
    let check = peer.session.check(before, output_bytes);
    assert_eq!((check.expiry, check.next), (None, Some(deadline)), "before {expiry:?}");
    assert_eq!(peer.session.check(deadline, output_bytes).expiry, Some(expiry));
}

#[test]
fn silence_ends_a_connection() {
    let mut peer = Peer::new();
    assert_expires(&mut peer, NOW + IDLE_TIMEOUT, Expiry::Idle);
    let mut peer = Peer::new();
    peer.send(GET);
    peer.serve();
    peer.take_output();
    assert_expires(&mut peer, NOW + IDLE_TIMEOUT, Expiry::Idle);
}

/// Sends `bytes` one by one, each `gap` after the other, until a deadline passes: when that is.
fn drip(peer: &mut Peer, bytes: &str, gap: Duration) -> Instant {
    let mut now = NOW;
    for byte in bytes.as_bytes() {
        peer.send([*byte]);
        assert_eq!(peer.receive(now), Found::Wait);
        if let Check { expiry: Some(expiry), .. } = peer.session.check(now, 0) {
            assert_eq!(expiry, Expiry::Request);
            return now;
        }
        now = now + gap;
    }
    panic!("{} bytes arrived in time", bytes.len());
}

fn assert_paced(pace: Pace, before: &str, endless: &str) {
    let slow = Duration::from_secs(1);
    let mut peer = Peer::new();
    peer.send(before);
    let given_up = drip(&mut peer, endless, slow);
    assert!(given_up >= NOW + pace.grace && given_up <= NOW + pace.grace + slow, "{given_up:?}");
}

#[test]
fn dripping_bytes_buy_little_time() {
    assert_paced(HEAD_PACE, "GE", "T / HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyy");
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 32\r\n\r\n";
    assert_paced(BODY_PACE, head, &"x".repeat(31));
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_paced(BODY_PACE, head, &"1\r\nx\r\n".repeat(31));
}

#[test]
fn even_a_fast_head_has_a_last_moment() {
    let mut peer = Peer::new();
    peer.send("GET / HTTP/1.1\r\n");
    assert_eq!(peer.receive(NOW), Found::Wait);
    let mut now = NOW;
    while peer.session.check(now, 0).expiry.is_none() {
        now = now + Duration::from_secs(1);
        peer.send(format!("X: {}", "y".repeat(500)));
        peer.session.arrived = peer.input.len();
    }
    assert_eq!(now, NOW + HEAD_PACE.total);
}

#[test]
fn a_body_has_its_own_time() {
    let mut peer = Peer::new();
    peer.send("POST / HTTP/1.1\r\nHost: a\r\n");
    peer.receive(NOW);
    let later = NOW + Duration::from_secs(8);
    peer.send("Content-Length: 1\r\n\r\n");
    assert_eq!(peer.receive(later), Found::Wait);
    assert_expires(&mut peer, later + BODY_PACE.grace, Expiry::Request);
}

#[test]
fn a_service_that_does_not_answer_is_answered_for() {
    let mut peer = Peer::new();
    peer.send(GET);
    peer.receive(NOW);
    assert_expires(&mut peer, NOW + ANSWER_TIMEOUT, Expiry::Answer);
}

/// A peer to which `bytes` are being streamed.
fn streaming(bytes: usize) -> Peer {
    let mut peer = Peer::new();
    peer.send(GET);
    peer.receive(NOW);
    peer.session.start_stream("text/x", &[], b"", NOW, &mut peer.output).expect("room");
    peer.session.push(&b"x".repeat(bytes), &mut peer.output).expect("room");
    peer
}

#[test]
fn a_client_that_reads_nothing_is_cut_off() {
    let mut peer = streaming(100_000);
    peer.session.check(NOW, peer.output.len());
    assert_expires(&mut peer, NOW + WRITE_STALL_TIMEOUT, Expiry::Output);
}

#[test]
fn a_client_that_reads_on_may_be_slow() {
    let mut peer = streaming(100_000);
    let mut now = NOW;
    for _ in 0..10 {
        assert_eq!(peer.session.check(now, peer.output.len()).expiry, None);
        peer.output.consume(WRITE_STALL_BYTES as usize);
        now = now + WRITE_STALL_TIMEOUT;
    }
    assert_eq!(peer.session.check(now, peer.output.len()).expiry, None);
    peer.output.consume(WRITE_STALL_BYTES as usize - 1);
    let too_little = peer.session.check(now + WRITE_STALL_TIMEOUT, peer.output.len());
    assert_eq!(too_little.expiry, Some(Expiry::Output));
}

#[test]
fn a_reader_that_has_caught_up_is_not_stalled() {
    let mut peer = streaming(10);
    peer.session.check(NOW, peer.output.len());
    peer.take_output();
    let later = NOW + WRITE_STALL_TIMEOUT + WRITE_STALL_TIMEOUT;
    peer.session.push(b"x", &mut peer.output).expect("room");
    assert_eq!(peer.session.check(later, peer.output.len()).expiry, None);
}

#[test]
fn an_idle_stream_lives() {
    let mut peer = streaming(0);
    peer.take_output();
    let check = peer.session.check(NOW + Duration::from_secs(86_400), 0);
    assert_eq!(check, Check { expiry: None, next: None });
}
