//! `cargo run --release -p tests --bin compaction -- --megabytes 200`: how long clients of a store wait while it writes
//! its log anew. A client asks PING every millisecond, another reads, and a third one changes data without a pause until
//! the log has been compacted; the longest waits are told.
#![cfg(not(target_os = "hermit"))]

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;
use tests::redis::Connection;
use tests::running::{Running, release_programs};

/// A voter's result: a field of this many digits and a value of a byte.
const FIELD_DIGITS: usize = 15;
/// What such a field takes in memory, at least.
const FIELD_BYTES: usize = 100;
/// Fields of one command.
const FIELDS: usize = 500;
const BETWEEN_PINGS: Duration = Duration::from_millis(1);
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
    /// Fail when a PING or a read waits for longer
    #[arg(long, value_name = "MILLISECONDS")]
    at_most: Option<u64>,
}

/// The longest wait of a client and how often it asked.
#[derive(Clone, Copy, Default)]
struct Waits {
    longest: Duration,
    requests: usize,
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
    let store = Running::linux(&program, &["PORT", "HEALTH_PORT"], &settings);
    fill(store.addresses[0], megabytes);
    let stop = Arc::new(AtomicBool::new(false));
    let address = store.addresses[0];
    let before = compacted(&store);
    let askers = [
        ask(address, &stop, &[b"PING"], BETWEEN_PINGS),
        ask(address, &stop, &[b"HLEN", b"results"], BETWEEN_PINGS),
        ask(address, &stop, &[b"SET", b"k", &[b'v'; VALUE_BYTES]], Duration::ZERO),
    ];
    while compacted(&store) == before {
        thread::sleep(Duration::from_millis(20));
    }
    stop.store(true, Ordering::Relaxed);
    let waits = askers.map(|asker| asker.join().expect("a client"));
    let told = store.log().lines().filter(|line| line.contains("compacted")).last().unwrap_or("").to_owned();
    println!("{megabytes} MB: {told}");
    for (name, Waits { longest, requests }) in ["PING", "read", "change"].iter().zip(waits) {
        println!("{name}: longest wait {:.1} ms of {requests}", longest.as_secs_f64() * 1e3);
    }
    drop(store);
    std::fs::remove_file(&data).expect("the file is ours");
    let limit = at_most.map_or(Duration::MAX, Duration::from_millis);
    if waits[..2].iter().all(|waits| waits.longest <= limit) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
            waits.longest = waits.longest.max(asked.elapsed());
            waits.requests += 1;
            thread::sleep(pause);
        }
        waits
    })
}

/// How often the log has been compacted.
fn compacted(store: &Running) -> usize {
    store.log().lines().filter(|line| line.contains("compacted the log")).count()
}
