//! `cargo run --release -p tests --bin compaction -- --megabytes 200`: how long clients of a store wait while it writes
//! its log anew, and while it reads it at its start. Until the log has been compacted one client asks PING every
//! millisecond, others read, push and set fields as often, and one changes data without a pause; the longest waits are
//! told. Then the store is killed and started again, and PING and `/readyz` are asked until all is read.
#![cfg(not(target_os = "hermit"))]

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;
use tests::http;
use tests::redis::Connection;
use tests::running::{RunningService, release_programs};

/// A voter's result: a field of this many digits and a value of a byte.
const FIELD_DIGITS: usize = 15;
/// What such a field takes in memory, at least.
const FIELD_BYTES: usize = 100;
/// Fields of one command.
const FIELDS: usize = 500;
const BETWEEN_PINGS: Duration = Duration::from_millis(1);
/// What `/readyz` answers once all is there.
const READY: u16 = 200;
/// What one request changes, to make the log long.
const VALUE_BYTES: usize = 60_000;

#[derive(Parser)]
#[command(about = "Measures how long a compaction of the store's log holds clients")]
struct Cli {
    /// Data in the store
    #[arg(long, default_value_t = 26)]
    megabytes: usize,
    /// Where the store's file is made
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Fail when anybody waits for longer
    #[arg(long, value_name = "MILLISECONDS")]
    at_most: Option<u64>,
}

/// The longest wait of a client and how often it asked.
#[derive(Clone, Copy, Default)]
struct Waits {
    longest: Duration,
    requests: usize,
}

impl Waits {
    fn note(&mut self, wait: Duration) {
        self.longest = self.longest.max(wait);
        self.requests += 1;
    }
}

fn main() -> ExitCode {
    let Cli { megabytes, folder, at_most } = Cli::parse();
    let program = release_programs(&["store-service"]).remove(0);
    let data = folder.join(format!("compaction-{}.disk", std::process::id()));
    let settings = [
        ("DATA", data.display().to_string()),
        ("DATA_SIZE", format!("{}mb", 6 * megabytes + 64)),
        ("MAXMEMORY", format!("{}mb", 2 * megabytes + 64)),
    ];
    let store = RunningService::linux(&program, &["PORT", "HEALTH_PORT"], &settings);
    fill(store.addresses[0], megabytes);
    let stop = Arc::new(AtomicBool::new(false));
    let address = store.addresses[0];
    let before = compacted(&store);
    let askers = [
        ask(address, &stop, &[b"PING"], BETWEEN_PINGS),
        ask(address, &stop, &[b"HLEN", b"results"], BETWEEN_PINGS),
        ask(address, &stop, &[b"RPUSH", b"votes", b"a"], BETWEEN_PINGS),
        ask(address, &stop, &[b"HSET", b"results", b"000000000000001", b"1"], BETWEEN_PINGS),
        ask(address, &stop, &[b"SET", b"k", &[b'v'; VALUE_BYTES]], Duration::ZERO),
    ];
    while compacted(&store) == before {
        thread::sleep(Duration::from_millis(20));
    }
    stop.store(true, Ordering::Relaxed);
    let waits = askers.map(|asker| asker.join().expect("a client"));
    let told = store.log().lines().rfind(|line| line.contains("compacted")).unwrap_or("").to_owned();
    println!("{megabytes} MB: {told}");
    tell(["PING", "read", "push", "field", "change"].iter().zip(waits));
    drop(store);
    let store = RunningService::linux(&program, &["PORT", "HEALTH_PORT"], &settings);
    let started = starts(&store);
    let told = store.log().lines().rfind(|line| line.contains("recovered")).unwrap_or("").to_owned();
    println!("{told}");
    tell(["PING at the start", "readyz at the start"].iter().zip(started));
    drop(store);
    std::fs::remove_file(&data).expect("the file is ours");
    let limit = at_most.map_or(Duration::MAX, Duration::from_millis);
    if waits.iter().chain(&started).all(|waits| waits.longest <= limit) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn tell<'a>(waits: impl Iterator<Item = (&'a &'a str, Waits)>) {
    for (name, Waits { longest, requests }) in waits {
        println!("{name}: longest wait {:.1} ms of {requests}", longest.as_secs_f64() * 1e3);
    }
}

/// Asks a store that has just been started until it is ready: how long PING and `/readyz` waited for an answer.
fn starts(store: &RunningService) -> [Waits; 2] {
    let mut waits = [Waits::default(); 2];
    let mut connection = Connection::open(store.addresses[0]).expect("it listens");
    loop {
        let asked = Instant::now();
        let reply = connection.ask(&[b"PING"]).expect("the store answers");
        waits[0].note(asked.elapsed());
        let asked = Instant::now();
        let (status, body) = http::ask(store.addresses[1], &http::get("/readyz")).expect("it answers");
        waits[1].note(asked.elapsed());
        let is_known = reply.starts_with(b"+PONG") || reply.starts_with(b"-LOADING");
        assert!(is_known && (status == READY || body.contains("loading")), "{body}");
        if status == READY {
            return waits;
        }
        thread::sleep(BETWEEN_PINGS);
    }
}

fn fill(address: SocketAddrV4, megabytes: usize) {
    let mut connection = Connection::open(address).expect("it listens");
    let fields = megabytes * 1024 * 1024 / FIELD_BYTES;
    for start in (0..fields).step_by(FIELDS) {
        let fields: Vec<_> =
            (start..start + FIELDS).map(|field| format!("{field:0>FIELD_DIGITS$}")).collect();
        let mut args: Vec<&[u8]> = vec![b"HSET", b"results"];
        args.extend(fields.iter().flat_map(|field| [field.as_bytes(), b"1"]));
        let reply = connection.ask(&args).expect("the store answers");
        assert!(reply.starts_with(b":"), "{}", String::from_utf8_lossy(&reply));
    }
}

/// A client of its own, which asks again and again.
fn ask(address: SocketAddrV4, stop: &Arc<AtomicBool>, args: &[&[u8]], pause: Duration) -> JoinHandle<Waits> {
    let (stop, args) = (stop.clone(), args.iter().map(|arg| arg.to_vec()).collect::<Vec<_>>());
    thread::spawn(move || {
        let mut connection = Connection::open(address).expect("it listens");
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let mut waits = Waits::default();
        while !stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let reply = connection.ask(&args).expect("the store answers");
            assert!(!reply.starts_with(b"-"), "{}", String::from_utf8_lossy(&reply));
            waits.note(asked.elapsed());
            thread::sleep(pause);
        }
        waits
    })
}

/// How often the log has been compacted.
fn compacted(store: &RunningService) -> usize {
    store.log().lines().filter(|line| line.contains("compacted the log")).count()
}
