//! Votes whose senders have given up before anybody looked at them: a vote instance is stopped as a busy or swapping
//! machine stops it, and finds them in its sockets when it goes on.

use std::io::Write;
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Signal;
use tests::client::{curl, vote, wait_for};
use tests::http::metric;
use tests::running::{Running, linux_programs};

/// Votes are counted, and processes ready, within this time, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const VOTER: &str = "voter_id=00112233445566778899aabbccddeeff";

/// The application as Linux processes, with two vote instances.
struct Poll {
    _store: Running,
    votes: [Running; 2],
    _worker: Running,
    result: Running,
}

impl Poll {
    fn start() -> Self {
        static PROGRAMS: OnceLock<Vec<PathBuf>> = OnceLock::new();
        let packages = ["store-service", "vote-service", "worker", "result-service"];
        let [store, vote, worker, result] = &PROGRAMS.get_or_init(|| linux_programs(&packages))[..] else {
            panic!("four programs")
        };
        let store = Running::linux(store, &["PORT", "HEALTH_PORT"], &[]);
        let url = [("REDIS_URL", format!("redis://{}", store.addresses[0]))];
        let start = |program| {
            let mut running = Running::linux(program, &["PORT"], &url);
            running.wait_for("/readyz");
            running
        };
        Self {
            votes: [start(vote), start(vote)],
            _worker: start(worker),
            result: start(result),
            _store: store,
        }
    }

    fn scores(&self) -> String {
        curl(&format!("http://{}/api/scores", self.result.addresses[0]), &[]).body.trim().to_owned()
    }

    /// The voter votes by the second instance, and this is counted.
    fn vote_elsewhere(&self, choice: &str, scores: &str) {
        assert_eq!(vote(&format!("http://{}/", self.votes[1].addresses[0]), choice, Some(VOTER)).status, 200);
        let counted = wait_for(PATIENCE, || (self.scores() == scores).then_some(()));
        assert!(counted.is_some(), "{} instead of {scores}", self.scores());
    }
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
fn a_vote_that_was_given_up_while_its_instance_stood_still_never_overrides_a_later_one() {
    let poll = Poll::start();
    let stopped = poll.votes[0].addresses[0];
    let ways: [GiveUp; 3] = [close, reset, half_close];
    for (round, give_up) in ways.into_iter().enumerate() {
        // Both on a connection that the instance knows and on one that it has not accepted yet.
        let known = connect(stopped);
        let seen = || (metric(stopped, "http_connections ")? >= 2).then_some(());
        assert!(wait_for(PATIENCE, seen).is_some(), "the instance has accepted it");
        poll.votes[0].signal(Signal::STOP);
        let unknown = connect(stopped);
        for mut client in [known, unknown] {
            client.write_all(&post("a")).expect("the kernel takes it");
            give_up(client);
        }
        poll.vote_elsewhere("a", r#"{"a":1,"b":0,"total":1}"#);
        poll.vote_elsewhere("b", r#"{"a":0,"b":1,"total":1}"#);
        poll.votes[0].signal(Signal::CONT);
        // It answers again, so it has looked at what came before, and what it had queued would be counted by now.
        let gone = || (metric(stopped, "http_connections ")? == 1).then_some(());
        assert!(wait_for(PATIENCE, gone).is_some(), "round {round}: it has done with them");
        let accepted = metric(stopped, "votes_accepted_total{option=\"a\"} ");
        assert_eq!(accepted, Some(0), "round {round}: what was given up is not queued");
        assert_eq!(poll.scores(), r#"{"a":0,"b":1,"total":1}"#, "round {round}");
    }
}

#[test]
fn curl_that_gives_up_has_not_voted() {
    let poll = Poll::start();
    poll.votes[0].signal(Signal::STOP);
    let url = format!("http://{}/", poll.votes[0].addresses[0]);
    let impatient = Command::new("curl")
        .args(["--silent", "--max-time", "0.5", "--data", "vote=a", "--cookie", VOTER, &url])
        .status()
        .expect("curl is there");
    assert_eq!(impatient.code(), Some(28), "its time is up");
    poll.vote_elsewhere("b", r#"{"a":0,"b":1,"total":1}"#);
    poll.votes[0].signal(Signal::CONT);
    poll.votes[0].addresses.iter().for_each(|address| {
        let refused =
            || metric(*address, "votes_rejected_total{reason=\"sender_ended\"} ").filter(|count| *count == 1);
        assert!(wait_for(PATIENCE, refused).is_some(), "it is refused, and nobody is there to be told");
    });
    assert_eq!(poll.scores(), r#"{"a":0,"b":1,"total":1}"#);
}
