//! What an application must hold on any machine that runs it: scenarios, each with the options of `cargo up` that say
//! which machine that is.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::application::{Application, up};
use crate::client::{ab, curl, wait_for};
use crate::crash::voters::Voters;
use crate::http::Connection;

/// More than a full packet.
const LONG_BYTES: usize = 3_000;
/// Within this time what is waited for has happened, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The application's description with no instance started again: one that a test holds, or that is starved, would be
/// taken for hung.
///
/// # Panics
/// When there is no room for it.
pub fn without_restarts() -> NamedTempFile {
    let text = include_str!("../../voting-app.toml").replace("\"on-failure\"", "\"no\"");
    let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    fs::write(&file, text).expect("room");
    file
}

fn expect(application: &Application, expected: (u64, u64)) {
    expect_between(application, expected.0..=expected.0, expected.1);
}

/// So many votes for the first option, and exactly so many for the other.
fn expect_between(application: &Application, a: RangeInclusive<u64>, b: u64) {
    let fits = |scores: &(u64, u64)| a.contains(&scores.0) && scores.1 == b;
    if wait_for(PATIENCE, || application.scores().filter(fits)).is_none() {
        let (scores, logs) = (application.scores(), application.command(&["logs"]).stdout);
        panic!("the scores are {scores:?}, not {a:?} to {b}\n{logs}");
    }
}

/// The original's seed data, sent by this number of clients at once, gives 2,000 to 1,000 votes; all four services are
/// well, and nothing of them is left after `cargo down`.
///
/// # Panics
/// When that does not hold.
pub fn the_seed_is_counted_exactly(project: &str, options: &[&str], clients: usize) {
    let application = up(project, options);
    let instances = application.instances();
    let healthy = instances.iter().filter(|instance| instance["health"] == "healthy").count();
    assert_eq!((instances.len(), healthy), (4, 4), "{instances:?}");
    for (instance, time) in application.times_to_healthy() {
        println!("{project}: the first 200 of {instance} came {:.2} s after its start", time.as_secs_f64());
    }

    seed(&application, clients);
    expect(&application, (2000, 1000));
    let page = curl(&application.result_url("/"), &[]).body;
    assert!(page.contains("3000 votes") && page.contains("66.7%") && page.contains("33.3%"), "{page}");

    let long = format!("X-Long: {}", "a".repeat(LONG_BYTES));
    assert_eq!(curl(&application.result_url("/"), &["--header", &long]).status, 200);
    let logs = application.command(&["logs"]).stdout;
    assert!(logs.contains("votes accepted: a "), "{logs}");
    let is_narrow = |line: &&str| line.contains("carries packets of") && line.contains("as far as is known");
    assert_eq!(logs.lines().find(is_narrow), None, "full packets are lost");
    // Metrics are not for everybody who may vote, and `ps` reads them all the same.
    for url in [application.vote_url(), application.result_url("/")] {
        assert_eq!(curl(&format!("{url}metrics"), &[]).status, 404);
    }
    for instance in application.instances() {
        assert!(instance["heap_bytes"].as_u64() > Some(0), "{instance}");
    }

    let down = application.command(&["down"]);
    assert!(down.success, "{down:?}");
    let pid = |instance: &Value| instance["pid"].as_u64().expect("a pid");
    let left: Vec<u64> = instances.iter().map(pid).filter(|pid| lives(*pid)).collect();
    assert!(left.is_empty(), "processes {left:?} are left running");
}

fn lives(pid: u64) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// 1,000 votes each for a, b and a, as the original's seed data has them.
fn seed(application: &Application, clients: usize) {
    let (folder, clients) = (tempfile::tempdir().expect("a folder for the forms"), clients.to_string());
    for choice in ["a", "b", "a"] {
        let form = folder.path().join(choice);
        fs::write(&form, format!("vote={choice}")).expect("a form");
        let form = form.to_str().expect("a path in UTF-8");
        let load = ["-n", "1000", "-c", &clients, "-p", form, "-T", "application/x-www-form-urlencoded"];
        let loaded = ab(&[&load[..], &[application.vote_url().as_str()]].concat());
        loaded.unwrap_or_else(|said| {
            let logs = application.command(&["logs"]).stdout;
            panic!("not every vote was accepted: {said}\n{logs}")
        });
    }
}

/// Machines that are killed while these people vote are started again, and each acknowledged vote counts. Gives the
/// application, whose store has its disk in the folder.
///
/// # Panics
/// When that does not hold.
pub fn killed_machines_lose_no_vote(
    project: &str,
    options: &[&str],
    names: &[&str],
    folder: &Path,
    mut voters: Voters,
) -> Application {
    let application = up(project, &[&["--data", path(folder)], options].concat());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let voting = scope.spawn(|| voters.vote(loopback(application.vote_port), &is_over));
        names.iter().for_each(|name| application.kill(name));
        voting.join().expect("no panic").expect("every voter is acknowledged");
    });
    expect(&application, voters.expected());
    application
}

/// What came of a request.
enum Outcome {
    Acknowledged,
    /// The store has not answered in time, as it may be on a slow host: whoever votes is asked to do so again. It may
    /// have the vote nevertheless.
    NotNow,
    Refused,
}

/// One vote of a voter of its own; a connection that was made has to bring a whole answer.
fn vote(address: SocketAddrV4, voter: u64, kept: &mut Option<Connection>) -> io::Result<Outcome> {
    let connection = match kept {
        Some(connection) => connection,
        None => match Connection::open(address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(Outcome::Refused),
            opened => kept.insert(opened?),
        },
    };
    let request = format!(
        "POST / HTTP/1.1\r\nHost: test\r\nCookie: voter_id={voter:032x}\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: 6\r\n\r\nvote=a"
    );
    match connection.ask_and_keep(request.as_bytes())? {
        (status @ (200 | 503), is_kept) => {
            if !is_kept {
                *kept = None;
            }
            Ok(if status == 200 { Outcome::Acknowledged } else { Outcome::NotNow })
        }
        (status, _) => Err(io::Error::other(format!("status {status}"))),
    }
}

/// Votes of people of whom each votes once.
#[derive(Default)]
struct Cast {
    acknowledged: AtomicU64,
    /// Of people who were asked to vote again, and found the service stopped.
    unsure: AtomicU64,
}

/// `cargo down` while people vote, with the store's data on a disk: each request that was taken has its whole answer,
/// and each acknowledged vote is there when the application is started again, once.
///
/// # Panics
/// When that does not hold.
pub fn a_stop_under_load_loses_no_vote(project: &str, options: &[&str]) {
    let data = tempfile::tempdir().expect("a folder");
    let options = [&["--data", path(data.path())], options].concat();
    let Cast { acknowledged, unsure } = stop_under_load(project, &options);
    let acknowledged = acknowledged.into_inner();
    expect_between(&up(project, &options), acknowledged..=acknowledged + unsure.into_inner(), 0);
}

/// `cargo down` while people vote: each request that was taken has its whole answer.
///
/// # Panics
/// When that does not hold.
pub fn a_stop_under_load_breaks_no_request(project: &str, options: &[&str]) {
    stop_under_load(project, options);
}

fn stop_under_load(project: &str, options: &[&str]) -> Cast {
    const CLIENTS: u64 = 6;
    const FIRST_VOTES: u64 = 60;
    let application = up(project, options);
    let address = loopback(application.vote_port);
    let cast = Cast::default();
    let mut stream = TcpStream::connect(loopback(application.result_port)).expect("connected");
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n").expect("sent");
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let cast = &cast;
            scope.spawn(move || vote_until_refused(address, client, cast));
        }
        let enough = || (cast.acknowledged.load(Ordering::Relaxed) >= FIRST_VOTES).then_some(());
        wait_for(PATIENCE, enough).expect("votes are taken");
        let outcome = application.command(&["down"]);
        assert!(outcome.success, "{}", outcome.stderr);
    });
    let mut events = String::new();
    stream.read_to_string(&mut events).expect("the event stream has ended, and was not reset");
    assert!(events.starts_with("HTTP/1.1 200") && events.ends_with("0\r\n\r\n"), "{events}");
    cast
}

/// Votes as one person after the other.
fn vote_until_refused(address: SocketAddrV4, client: u64, cast: &Cast) {
    let (mut kept, mut person, mut is_unsure) = (None, 1, false);
    loop {
        match vote(address, client << 32 | person, &mut kept) {
            Ok(Outcome::Acknowledged) => {
                cast.acknowledged.fetch_add(1, Ordering::Relaxed);
                (person, is_unsure) = (person + 1, false);
            }
            Ok(Outcome::NotNow) => is_unsure = true,
            Ok(Outcome::Refused) => {
                cast.unsure.fetch_add(is_unsure.into(), Ordering::Relaxed);
                return;
            }
            Err(error) => panic!("vote {person} of client {client} was broken: {error}"),
        }
        // Half of them connect anew for each vote.
        kept = kept.filter(|_| client.is_multiple_of(2));
    }
}

fn loopback(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

fn path(folder: &Path) -> &str {
    folder.to_str().expect("a path in UTF-8")
}
