//! Voters who vote until they are acknowledged, on a few connections at once.
//!
//! Each voter belongs to one connection, so that no voter has two votes under way. One that gave up waiting
//! for an answer has: QEMU's user network takes connections for a guest that is not up yet, and hands their
//! requests over seconds later, with nobody at the other end any more. No service can tell such a request
//! from a new vote, so that voter changes its mind no more. Knows no machines.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::dice::Dice;

/// Connections, each with its own voters.
const CONNECTIONS: usize = 8;
/// Voters that come to each connection in a round; they stay, and change their minds later.
const NEW_VOTERS: usize = 12;
/// Votes on each connection in a round.
const VOTES: usize = 120;
/// How long a voter waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause before a vote is tried again.
const PAUSE: Duration = Duration::from_millis(20);
/// Pause between votes, so that a round lasts longer than the machines' pauses.
const THOUGHT_MAX_MICROS: u64 = 30_000;
/// How long one vote may take until it is acknowledged.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(60);
/// Longest body that is read.
const BODY_BYTES_MAX: u64 = 64 * 1024;

/// Voters, what each has chosen, and their connections.
pub struct Voters {
    lanes: Vec<Lane>,
    votes: usize,
    acknowledged_within: Duration,
    /// Votes that were acknowledged.
    pub acknowledged: u64,
    /// Votes that were cast again.
    pub repeated: u64,
}

/// One connection's voters.
struct Lane {
    number: usize,
    dice: Dice,
    voters: Vec<Voter>,
    acknowledged: u64,
    repeated: u64,
}

/// One voter.
#[derive(Clone, Copy, Default)]
struct Voter {
    /// The choice that was acknowledged last, once there is one.
    choice: Option<char>,
    /// It has given up waiting once: that request may arrive at any time.
    is_decided: bool,
}

impl Voters {
    /// Nobody yet.
    pub fn new(seed: u64) -> Self {
        let lane = |number| Lane {
            number,
            dice: Dice::new(seed ^ (number as u64 + 1) << 32),
            voters: Vec::new(),
            acknowledged: 0,
            repeated: 0,
        };
        let lanes = (0..CONNECTIONS).map(lane).collect();
        Self { lanes, votes: VOTES, acknowledged_within: ACKNOWLEDGED_WITHIN, acknowledged: 0, repeated: 0 }
    }

    /// The same, with so many votes on each connection in a round.
    pub fn with_votes(self, votes: usize) -> Self {
        Self { votes, ..self }
    }

    /// The same, each of whom tries so long to vote.
    pub fn patient(self, acknowledged_within: Duration) -> Self {
        Self { acknowledged_within, ..self }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lanes.iter().map(|lane| lane.voters.len()).sum()
    }

    /// The votes for a and for b that have been acknowledged last.
    pub fn expected(&self) -> (u64, u64) {
        let count = |choice| {
            let voters = self.lanes.iter().flat_map(|lane| &lane.voters);
            voters.filter(|voter| voter.choice == Some(choice)).count() as u64
        };
        (count('a'), count('b'))
    }

    /// One round: new voters come, and all cast and change votes. Returns when each is acknowledged.
    ///
    /// # Errors
    /// When one is not, or `is_over` ends it before.
    pub fn vote(&mut self, address: SocketAddrV4, is_over: &AtomicBool) -> Result<()> {
        let Self { votes, acknowledged_within, .. } = *self;
        let poll = Poll { address, is_over, votes, acknowledged_within };
        let outcomes: Vec<Result<()>> = thread::scope(|scope| {
            let lane = |lane| scope.spawn(move || Lane::vote(lane, poll));
            let threads: Vec<_> = self.lanes.iter_mut().map(lane).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join();
            threads
                .into_iter()
                .map(|thread| join(thread).unwrap_or_else(|_| bail!("a voter panicked")))
                .collect()
        });
        self.acknowledged = self.lanes.iter().map(|lane| lane.acknowledged).sum();
        self.repeated = self.lanes.iter().map(|lane| lane.repeated).sum();
        outcomes.into_iter().collect()
    }
}

/// Where a round votes, and when it gives up.
#[derive(Clone, Copy)]
struct Poll<'a> {
    address: SocketAddrV4,
    is_over: &'a AtomicBool,
    votes: usize,
    acknowledged_within: Duration,
}

impl Lane {
    fn vote(&mut self, poll: Poll<'_>) -> Result<()> {
        self.voters.extend([Voter::default(); NEW_VOTERS]);
        let mut connection = None;
        let newest = self.voters.len() - NEW_VOTERS;
        for turn in 0..poll.votes {
            // The new ones first, so that nobody is left without a vote.
            let voter = match newest + turn {
                voter if turn < NEW_VOTERS => voter,
                _ => self.dice.below(self.voters.len() as u64) as usize,
            };
            let choice = if self.dice.below(2) == 0 { 'a' } else { 'b' };
            let decided = self.voters[voter].choice.filter(|_| self.voters[voter].is_decided);
            self.cast(voter, decided.unwrap_or(choice), poll, &mut connection)?;
            thread::sleep(Duration::from_micros(self.dice.below(THOUGHT_MAX_MICROS)));
        }
        Ok(())
    }

    /// Casts one vote until it is acknowledged.
    fn cast(
        &mut self,
        voter: usize,
        choice: char,
        poll: Poll<'_>,
        connection: &mut Option<Connection>,
    ) -> Result<()> {
        let begun = Instant::now();
        let id = (self.number as u128) << 64 | (voter as u128 + 1);
        loop {
            match try_once(connection, poll.address, id, choice) {
                Ok(200) => break,
                Ok(_) => {}
                Err(error) => {
                    *connection = None;
                    self.voters[voter].is_decided |= is_timeout(&error);
                }
            }
            self.repeated += 1;
            if poll.is_over.load(Ordering::Relaxed) || begun.elapsed() >= poll.acknowledged_within {
                bail!("voter {id:032x} is not acknowledged after {:?}", begun.elapsed());
            }
            thread::sleep(PAUSE);
        }
        self.acknowledged += 1;
        self.voters[voter].choice = Some(choice);
        Ok(())
    }
}

type Connection = BufReader<TcpStream>;

/// Whether the other end may still have the request. A connection that was closed is gone with it.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// One request; the status of its answer.
fn try_once(
    connection: &mut Option<Connection>,
    address: SocketAddrV4,
    id: u128,
    choice: char,
) -> io::Result<u16> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect_timeout(&address.into(), ANSWER_TIMEOUT)?;
            stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            stream.set_nodelay(true)?;
            connection.insert(BufReader::new(stream))
        }
    };
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nCookie: voter_id={id:032x}\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: 6\r\n\r\nvote={choice}"
    );
    stream.get_mut().write_all(request.as_bytes())?;
    read_answer(stream)
}

fn read_answer(stream: &mut Connection) -> io::Result<u16> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let mut line = String::new();
    let (mut status, mut body_bytes) = (None, 0);
    loop {
        line.clear();
        if stream.by_ref().take(BODY_BYTES_MAX).read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let head = line.trim_end().to_ascii_lowercase();
        if head.is_empty() {
            break;
        }
        if status.is_none() {
            status = Some(head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(broken)?);
        } else if let Some(length) = head.strip_prefix("content-length:") {
            body_bytes = length.trim().parse::<u64>().map_err(|_| broken())?.min(BODY_BYTES_MAX);
        }
    }
    io::copy(&mut stream.by_ref().take(body_bytes), &mut io::sink())?;
    status.ok_or_else(broken)
}
