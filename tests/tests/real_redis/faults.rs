//! Addresses that are wrong, and a Redis that refuses: what the services say, how soon, how often they try, and
//! that they go on when it is over.

use std::process::Command;
use std::thread;
use std::time::Duration;

use tests::client::wait_for;
use tests::command::{free_port, run};
use tests::redis::{Server, redis};
use tests::running;

use crate::servers::{Curt, Deaf};
use crate::trio::{NAMES, Trio, readyz};

/// A service says why it is not ready within this time.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
/// How much later a test may see it on a busy machine.
const SEEN_WITHIN: Duration = Duration::from_secs(20);
/// How long the services are watched while nothing gets better.
const WATCHED: Duration = Duration::from_secs(3);
/// A service that only waits and tries again uses less than this meanwhile.
const CPU_MAX: Duration = Duration::from_millis(150);
/// Waits grow from 50 ms to 2 s: more attempts than these in that time would be a busy loop.
const ATTEMPTS_MAX: usize = 12;

/// What the services are to say: one of some words, or nothing, in the order of [`NAMES`].
type Words = [&'static [&'static str]; 3];

fn all(words: &'static [&'static str]) -> Words {
    [words; 3]
}

/// Starts the services with this address, and expects them to say what is wrong with it, once.
fn expect(what: &str, url: &str, words: Words) -> Trio {
    let trio = Trio::start(url);
    for ((name, service), words) in NAMES.iter().zip(&trio.services).zip(words) {
        let is_told =
            |text: &str| text.contains("REDIS_URL: ") && words.iter().any(|word| text.contains(word));
        let told = || Some(readyz(service)).filter(|(status, text)| *status == 503 && is_told(text));
        if !words.is_empty() {
            assert!(
                wait_for(SEEN_WITHIN, told).is_some(),
                "{what}: {name} says {:?}\n{}",
                readyz(service),
                service.log()
            );
            assert!(
                wait_for(SEEN_WITHIN, || is_told(&service.log()).then_some(())).is_some(),
                "{what}: {name}"
            );
            let late = lateness(&service.log(), is_told);
            assert!(late <= TOLD_WITHIN, "{what}: {name} took {late:?}\n{}", service.log());
        }
    }
    let before = trio.services.each_ref().map(running::RunningService::cpu_time);
    thread::sleep(WATCHED);
    for (((name, service), words), before) in NAMES.iter().zip(&trio.services).zip(words).zip(before) {
        let used = service.cpu_time() - before;
        assert!(used < CPU_MAX, "{what}: {name} used {used:?} of {WATCHED:?}");
        let log = service.log();
        let lines = log.lines().filter(|line| words.iter().any(|word| line.contains(word))).count();
        // The runtime and the service may say it with one line each.
        assert!(lines <= 2, "{what}: {name} says it {lines} times\n{log}");
        assert!(!log.contains("s3cret"), "{what}: {name} tells the password\n{log}");
    }
    trio
}

/// Time from the first line of a log to the first that tells what is wrong.
fn lateness(log: &str, is_told: impl Fn(&str) -> bool) -> Duration {
    // `2026-11-23T07:51:00.123Z`: the time of day is enough.
    let millis = |line: &str| -> Option<u64> {
        let part = |range: std::ops::Range<usize>| line.get(range)?.parse::<u64>().ok();
        Some(((part(11..13)? * 60 + part(14..16)?) * 60 + part(17..19)?) * 1000 + part(20..23)?)
    };
    let mut lines = log.lines();
    let first = lines.clone().find_map(millis).expect("a line with a time");
    let told = lines.find(|line| is_told(line)).and_then(millis).expect("it is told");
    const DAY_MS: u64 = 24 * 3600 * 1000;
    Duration::from_millis((told + DAY_MS - first) % DAY_MS)
}

fn url(server: &Server) -> String {
    format!("redis://{}", server.address)
}

/// Expects it again of a Redis, and that all is well once `mend` was asked of it.
fn expect_until_mended(what: &str, server: &Server, url: &str, words: Words, mend: &[&[u8]]) {
    let trio = expect(what, url, words);
    let mut operator = server.connect();
    // Refused by a server without a password, which is all right.
    operator.ask(&[b"AUTH", b"s3cret"]).expect("an answer");
    assert_eq!(operator.ask(mend).expect("an answer"), b"+OK\r\n", "{what}");
    trio.wait_until_ready();
}

#[test]
fn where_nothing_listens_the_connection_is_refused() {
    let trio = expect("refused", &format!("redis://127.0.0.1:{}", free_port()), all(&["connection refused"]));
    drop(trio);
}

#[test]
fn a_name_that_cannot_be_resolved_is_told() {
    // A resolver that is not there is as good as none.
    let words = all(&["the name has no address", "no answer"]);
    expect("name", "redis://no-such-host.invalid:6379", words);
}

#[test]
fn a_host_that_does_not_answer_is_told() {
    let deaf = Deaf::new();
    expect("deaf", &format!("redis://{}", deaf.address), all(&["no answer"]));
}

#[test]
fn what_is_no_redis_is_told_and_tried_seldom() {
    for (what, answer, words) in [
        ("http", &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], all(&["not RESP"])),
        ("silent", b"", all(&["closed the connection"])),
    ] {
        let server = Curt::new(answer);
        let trio = expect(what, &format!("redis://{}", server.address), words);
        let (attempts, seconds) = (server.connections(), trio.begun.elapsed().as_secs() as usize);
        let most = NAMES.len() * (ATTEMPTS_MAX + seconds);
        assert!(attempts <= most, "{what}: {attempts} attempts in {seconds} s");
    }
}

#[test]
fn a_redis_that_wants_a_password_is_reported_until_it_does_not() {
    let server = redis(&["--requirepass", "s3cret"]);
    let mend: [&[u8]; 4] = [b"CONFIG", b"SET", b"requirepass", b""];
    expect_until_mended("no password", &server, &url(&server), all(&["NOAUTH"]), &mend);
}

#[test]
fn a_wrong_password_is_reported_until_it_is_right() {
    let server = redis(&["--requirepass", "s3cret"]);
    let url = format!("redis://:another@{}", server.address);
    let mend: [&[u8]; 4] = [b"CONFIG", b"SET", b"requirepass", b"another"];
    expect_until_mended("wrong password", &server, &url, all(&["WRONGPASS"]), &mend);
}

#[test]
fn a_database_that_is_not_there_is_told() {
    let server = redis(&["--databases", "4"]);
    let url = format!("redis://{}/7", server.address);
    expect("database", &url, all(&["database", "DB index"]));
    let own = tests::redis::store(&[]);
    expect("database of the store", &format!("redis://{}/1", own.address), all(&["database", "DB index"]));
}

#[test]
fn a_replica_is_reported_until_it_is_a_master() {
    let server = redis(&["--replicaof", "127.0.0.1", &free_port().to_string()]);
    let words: Words = [&["READONLY"], &["READONLY"], &[]];
    expect_until_mended("replica", &server, &url(&server), words, &[b"REPLICAOF", b"NO", b"ONE"]);
}

#[test]
fn a_full_redis_is_reported_until_it_has_room() {
    let server = redis(&["--maxmemory", "1"]);
    let words: Words = [&["OOM"], &["OOM"], &[]];
    let mend: [&[u8]; 4] = [b"CONFIG", b"SET", b"maxmemory", b"0"];
    expect_until_mended("full", &server, &url(&server), words, &mend);
}

#[test]
fn a_loading_redis_is_reported_until_it_has_loaded() {
    const KEYS: usize = 2000;
    // A short delay for each key; and it answers between them.
    let slowly = ["--dbfilename", "data.rdb", "--loading-process-events-interval-bytes", "1024"];
    let mut server = redis(&[&slowly[..], &["--enable-debug-command", "yes"]].concat());
    let mut operator = server.connect();
    let fill: [&[u8]; 3] = [b"DEBUG", b"POPULATE", KEYS.to_string().leak().as_bytes()];
    assert_eq!(operator.ask(&fill).expect("an answer"), b"+OK\r\n");
    assert_eq!(operator.ask(&[b"SAVE"]).expect("an answer"), b"+OK\r\n");
    server.kill();
    server.restart_with(&["--key-load-delay", "4000"]);
    let trio = expect("loading", &url(&server), all(&["LOADING"]));
    trio.wait_until_ready();
}

#[test]
fn an_invalid_address_ends_the_program_with_one_line() {
    for (package, program) in NAMES.iter().zip(running::linux_programs(&NAMES)) {
        for wrong in [
            "http://:s3cret@host",
            "redis://",
            "redis://host:0",
            "redis://:s3cret@host/votes",
            "redis://s3cret@host",
        ] {
            let outcome = run(Command::new(&program).env("REDIS_URL", wrong).env("IP", "127.0.0.1"));
            let said = outcome.stderr;
            assert!(!outcome.success && said.lines().count() == 1, "{package} with {wrong}: {said}");
            assert!(said.contains("REDIS_URL=") && said.contains("redis://host:port"), "{package}: {said}");
            assert!(!said.contains("s3cret"), "{package}: {said}");
        }
    }
}
