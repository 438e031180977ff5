//! What a counted guest is given to do, and whether it has done it.
//!
//! Each workload is of one program. Its units, requests or votes, come in batches.

use anyhow::{Context as _, Result, ensure};
use votes::keys;

use super::new_votes::NewVotes;
use super::peer::{Peer, STORE_PORT};
use crate::record::{KINDS, Method};
use crate::substrate::Program;

/// Where the vote service listens.
pub(super) const VOTE_PORT: u16 = 8080;
/// Batches that warm a service up.
pub(super) const WARM_UP: usize = 3;
/// Requests at the same time.
const AT_ONCE: usize = 16;
/// Votes that are added to the queue at once; as many as a worker fetches.
const PUSHES: usize = 64;
/// Votes that wait in the queue when a worker is woken: it takes one, and then 64 at a time.
const QUEUED: usize = 5 * 64 + 1;
/// What a worker is called unless told otherwise.
const WORKER: &[u8] = b"worker";

/// How much of a workload is done.
pub(super) struct Batches {
    /// Requests or votes of a batch.
    pub(super) units: usize,
    /// Batches before those that are counted.
    pub(super) warm_up: usize,
    /// Batches that are counted.
    pub(super) counted: usize,
    /// Batches that are traced: each instruction is a line of a file.
    pub(super) traced: usize,
}

/// What is counted beside a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Requests to a vote service, 16 at once; whether their connections are kept.
    Requests(Method, bool),
    /// Votes that wait in the store's queue for a worker, which moves them to the results in the store.
    QueuedVotes,
    /// Votes that a vote service adds to a store's queue: the commands for 64 voters at once, on one connection.
    Pushes,
}

impl Workload {
    /// Those of a program.
    pub fn of(program: Program) -> Vec<Self> {
        match program {
            Program::Vote => KINDS.map(|(method, keep_alive)| Self::Requests(method, keep_alive)).to_vec(),
            Program::Worker => vec![Self::QueuedVotes],
            Program::Store => vec![Self::Pushes],
            Program::Result | Program::VotingApp => Vec::new(),
        }
    }

    /// The name of its figure in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests(Method::Get, false) => "get-close",
            Self::Requests(Method::Get, true) => "get-keep-alive",
            Self::Requests(Method::Post, false) => "post-close",
            Self::Requests(Method::Post, true) => "post-keep-alive",
            Self::QueuedVotes => "worker-vote",
            Self::Pushes => "store-rpush",
        }
    }

    /// What one unit of it is called in a table.
    pub fn label(self) -> &'static str {
        match self {
            Self::Requests(Method::Get, false) => "GET",
            Self::Requests(Method::Get, true) => "GET, keep-alive",
            Self::Requests(Method::Post, false) => "POST",
            Self::Requests(Method::Post, true) => "POST, keep-alive",
            Self::QueuedVotes => "worker: vote",
            Self::Pushes => "store: RPUSH",
        }
    }

    /// How much of it is done.
    pub(super) fn batches(self) -> Batches {
        match self {
            Self::Requests(..) => Batches { units: AT_ONCE, warm_up: WARM_UP, counted: 12, traced: 2 },
            Self::Pushes => Batches { units: PUSHES, warm_up: WARM_UP, counted: 6, traced: 2 },
            Self::QueuedVotes => Batches { units: QUEUED, warm_up: 1, counted: 3, traced: 1 },
        }
    }

    /// The port and the number of connections that are open before the first batch, and stay so.
    pub(super) fn kept_connections(self) -> Option<(u16, usize)> {
        match self {
            Self::Requests(_, true) => Some((VOTE_PORT, AT_ONCE)),
            Self::Pushes => Some((STORE_PORT, 1)),
            Self::Requests(_, false) | Self::QueuedVotes => None,
        }
    }

    /// Has the peer ask for a batch when it speaks next.
    pub(super) fn begin(self, peer: &mut Peer, votes: &mut NewVotes) -> Result<()> {
        match self {
            Self::Requests(method, true) => peer.ask(&request(method, true)),
            Self::Requests(method, false) => peer.open(VOTE_PORT, AT_ONCE, &request(method, false), false)?,
            Self::QueuedVotes => drop(peer.ask_store(&votes.push(QUEUED)?)?),
            Self::Pushes => peer.ask(&votes.push(PUSHES)?),
        }
        Ok(())
    }

    /// Fails unless the batch is done.
    pub(super) fn end(self, peer: &mut Peer) -> Result<()> {
        match self {
            Self::Requests(_, keep_alive) => {
                peer.check(is_whole)?;
                if !keep_alive {
                    peer.close();
                }
                Ok(())
            }
            Self::QueuedVotes => are_counted(peer),
            Self::Pushes => peer.check(are_lengths),
        }
    }
}

/// The bytes of a request.
pub(super) fn request(method: Method, keep_alive: bool) -> Vec<u8> {
    let connection = if keep_alive { "" } else { "Connection: close\r\n" };
    let text = match method {
        Method::Get => format!("GET / HTTP/1.1\r\nHost: vote\r\n{connection}\r\n"),
        Method::Post => format!(
            "POST / HTTP/1.1\r\nHost: vote\r\n{connection}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 6\r\n\r\nvote=a"
        ),
    };
    text.into_bytes()
}

/// Whether all bytes of a response are there, by its `Content-Length`.
pub(super) fn is_whole(response: &str) -> Result<bool> {
    let Some((head, body)) = response.split_once("\r\n\r\n") else { return Ok(false) };
    ensure!(head.starts_with("HTTP/1.1 200"), "the vote service answers {head:.80}");
    let header = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned);
    let length = head.lines().find_map(header).context("a response without a length")?;
    Ok(body.len() >= length.trim().parse().context("a response's length is no number")?)
}

/// Whether the store has told the queue's length after each of the votes.
fn are_lengths(response: &str) -> Result<bool> {
    let mut lines = response.lines();
    ensure!(lines.all(|line| line.starts_with(':')), "the store answers {response:.80?}");
    Ok(response.matches("\r\n").count() == PUSHES)
}

/// Fails unless no vote waits, is under way or was set aside.
fn are_counted(peer: &mut Peer) -> Result<()> {
    for list in [keys::QUEUE, &keys::processing(WORKER), keys::REJECTED] {
        let length = peer.ask_store(&[b"LLEN ", list, b"\r\n"].concat())?;
        let length = length.trim().trim_start_matches(':');
        ensure!(length == "0", "the worker leaves {length} votes in {}", list.escape_ascii());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::peer::cable;
    use super::*;
    use crate::record::Counted;

    #[test]
    fn a_response_is_whole_by_its_length_and_only_a_good_one_counts() {
        assert!(!is_whole("").expect("so far good"));
        assert!(!is_whole("HTTP/1.1 200 OK\r\nContent-Le").expect("so far good"));
        assert!(!is_whole("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").expect("so far good"));
        assert!(is_whole("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc").expect("good"));
        assert!(is_whole("HTTP/1.1 200 OK\r\n\r\nabc").is_err());
        assert!(is_whole("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").is_err());
    }

    #[test]
    fn each_push_is_answered_by_a_length() {
        let lengths = |count: usize| (1..=count).map(|length| format!(":{length}\r\n")).collect::<String>();
        assert!(are_lengths(&lengths(PUSHES)).expect("lengths"));
        assert!(!are_lengths(&lengths(PUSHES - 1)).expect("so far good"));
        assert!(!are_lengths("").expect("so far good"));
        assert!(are_lengths("-OOM command not allowed\r\n").is_err());
    }

    #[test]
    fn a_vote_that_the_worker_has_left_is_told() {
        let (own, _, _) = cable().expect("ports");
        let mut peer = Peer::new(own).expect("a stack");
        are_counted(&mut peer).expect("there are none");
        peer.ask_store(&NewVotes::default().push(2).expect("votes")).expect("a reply");
        let error = are_counted(&mut peer).expect_err("nobody takes them");
        assert_eq!(error.to_string(), "the worker leaves 2 votes in votes");
    }

    #[test]
    fn requests_have_the_names_that_a_run_s_results_have() {
        let counted = Counted::ALL[1..].iter().map(|of| of.name());
        assert!(counted.eq(Workload::of(Program::Vote).into_iter().map(Workload::name)));
    }
}
