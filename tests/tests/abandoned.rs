//! Votes whose senders have given up before anybody looked at them: a vote instance is stopped as a busy or swapping
//! machine stops it, and finds them in its sockets when it goes on.

use std::io::Write;
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::time::Duration;

use tests::client::{vote, wait_for};
use tests::http::metric;
use tests::poll::Poll;
use tests::programs::program;

/// Votes are counted, and processes ready, within this time, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const VOTER: &str = "voter_id=00112233445566778899aabbccddeeff";

/// The voter votes by the second instance, and this is counted.
fn vote_elsewhere(poll: &Poll, choice: &str, scores: (u64, u64)) {
    assert_eq!(vote(&poll.vote_url(1), choice, Some(VOTER)).status, 200);
    poll.wait_for_scores(scores);
}

fn post(choice: &str) -> Vec<u8> {
    let kind = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n";
    format!("POST / HTTP/1.1\r\nHost: vote\r\nCookie: {VOTER}\r\n{kind}\r\nvote={choice}").into_bytes()
}

fn connect(address: SocketAddrV4) -> TcpStream {
    TcpStream::connect(address).expect("the kernel completes it, whatever the process does")
}

/// Ends a connection in one of the ways there are.
type GiveUp = fn(TcpStream);

/// A polite close: FIN behind the request.
fn close(client: TcpStream) {
    drop(client);
}

/// What a process leaves that is killed with an answer unread, or a proxy that has run out of patience.
fn reset(client: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("a socket's option");
    drop(client);
}

/// Tells that no more will come, and goes on listening, which looks as a close does.
fn half_close(client: TcpStream) {
    client.shutdown(Shutdown::Write).expect("open");
    std::mem::forget(client);
}

#[test]
fn a_vote_abandoned_during_a_stall_never_overrides_a_later_vote() {
    let poll = Poll::start(2, &[], &[]);
    let stopped = poll.vote_address(0);
    let ways: [GiveUp; 3] = [close, reset, half_close];
    for (round, give_up) in ways.into_iter().enumerate() {
        // Both on a connection that the instance knows and on one that it has not accepted yet.
        let known = connect(stopped);
        let seen = || (metric(stopped, "http_connections ")? >= 2).then_some(());
        assert!(wait_for(PATIENCE, seen).is_some(), "the instance has accepted it");
        poll.votes[0].pause(true);
        let unknown = connect(stopped);
        for mut client in [known, unknown] {
            client.write_all(&post("a")).expect("the kernel takes it");
            give_up(client);
        }
        vote_elsewhere(&poll, "a", (1, 0));
        vote_elsewhere(&poll, "b", (0, 1));
        poll.votes[0].pause(false);
        // It answers again, so it has looked at what came before, and what it had queued would be counted by now.
        let gone = || (metric(stopped, "http_connections ")? == 1).then_some(());
        assert!(wait_for(PATIENCE, gone).is_some(), "round {round}: it has done with them");
        let accepted = metric(stopped, "votes_accepted_total{option=\"a\"} ");
        assert_eq!(accepted, Some(0), "round {round}: what was given up is not queued");
        poll.wait_for_scores((0, 1));
    }
}

#[test]
fn curl_that_gives_up_has_not_voted() {
    let poll = Poll::start(2, &[], &[]);
    poll.votes[0].pause(true);
    let url = poll.vote_url(0);
    let impatient = program("curl")
        .args(["--silent", "--max-time", "0.5", "--data", "vote=a", "--cookie", VOTER, &url])
        .status()
        .expect("curl is there");
    assert_eq!(impatient.code(), Some(28), "its time is up");
    vote_elsewhere(&poll, "b", (0, 1));
    poll.votes[0].pause(false);
    let refused = || {
        metric(poll.vote_address(0), "votes_rejected_total{reason=\"sender_ended\"} ")
            .filter(|count| *count == 1)
    };
    assert!(wait_for(PATIENCE, refused).is_some(), "it is refused, and nobody is there to be told");
    poll.wait_for_scores((0, 1));
}
