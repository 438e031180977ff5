//! What can be done to a booted unikernel, and to the Linux build, through sockets.
//!
//! After each attack the service answers, its connection table is back at its rest, and so is its memory.

use std::io::Write;
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};
use simulator::random::Random;
use tests::client::wait_for;
use tests::http::{ask, get, metric};
use tests::programs::program;
use tests::running::{self, RunningService};

/// What an attack leaves in a service is gone after this time.
const RECOVERED_WITHIN: Duration = Duration::from_secs(100);
/// Memory that may be in use beyond what was before: buffers and sockets that are kept for the next burst.
const HEAP_KEPT_BYTES_MAX: u64 = 3 << 20;
const CONNECTIONS_DROPPED: usize = 10_000;
/// As many as there are sockets in a guest of 32 MiB.
const HOARDERS: usize = 1_000;
/// What a hoarder's own side takes of the answers, as near as the kernel allows.
const RECEIVE_BUFFER_BYTES: usize = 4 * 1024;

/// A vote service that is looked after.
struct Victim {
    running: RunningService,
    heap_used_bytes: Option<u64>,
}

impl Victim {
    fn guest() -> Self {
        let image = running::images(&["vote-service"]).remove(0);
        let store = [("REDIS_URL", "redis://10.0.2.2:1".to_owned()), ("LOG", "warn".to_owned())];
        Self::new(RunningService::guest(&image, &[vote_service::PORT_DEFAULT], &store))
    }

    fn linux() -> Self {
        let program = running::linux_programs(&["vote-service"]).remove(0);
        Self::new(RunningService::linux(
            &program,
            &["PORT"],
            &[("REDIS_URL", "redis://127.0.0.1:1".to_owned())],
        ))
    }

    fn new(mut running: RunningService) -> Self {
        running.wait_for("/healthz");
        let heap_used_bytes = metric(running.addresses[0], "heap_used_bytes ");
        Self { running, heap_used_bytes }
    }

    fn address(&self) -> SocketAddrV4 {
        self.running.addresses[0]
    }

    /// Whoever asks may have to wait behind what the host still hands over.
    fn assert_serves(&mut self) {
        let address = self.address();
        let serves =
            || matches!(ask(address, &get("/healthz")), Ok((200, body)) if body == "ok\n").then_some(());
        let is_served = wait_for(RECOVERED_WITHIN, serves).is_some();
        assert!(is_served && !self.running.has_ended(), "{}", self.running.log());
    }

    fn assert_recovers(&mut self) {
        self.assert_serves();
        let address = self.address();
        let rests = || (metric(address, "http_connections ")? == 1).then_some(());
        let rest = wait_for(RECOVERED_WITHIN, rests);
        assert!(rest.is_some(), "{:?} connections are left", metric(address, "http_connections "));
        let Some(before) = self.heap_used_bytes else { return };
        let is_back = || (metric(address, "heap_used_bytes ")? <= before + HEAP_KEPT_BYTES_MAX).then_some(());
        let back = wait_for(RECOVERED_WITHIN, is_back);
        assert!(back.is_some(), "{:?} bytes after {before}", metric(address, "heap_used_bytes "));
    }
}

fn open_and_drop(mut victim: Victim) {
    for number in 0..CONNECTIONS_DROPPED {
        let mut stream = TcpStream::connect(victim.address()).expect("the port is open");
        let part: &[u8] =
            [&b""[..], b"GET / HTTP/1.1\r\nHo", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"][number % 3];
        // The server may have been told already.
        let _ = stream.write(part);
        if number % 2 == 0 {
            set_socket_linger(&stream, Some(Duration::ZERO)).expect("a socket");
        }
    }
    victim.assert_recovers();
}

#[test]
fn a_guest_survives_connections_that_are_dropped() {
    open_and_drop(Victim::guest());
}

#[test]
fn the_linux_build_survives_connections_that_are_dropped() {
    open_and_drop(Victim::linux());
}

/// A connection on which more is sent than a server holds for one, and nothing is read. Not without end:
/// what a client has sent before it ends, the host's buffers pass on all the same.
fn hoard(address: SocketAddrV4, bytes: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).ok()?;
    set_socket_recv_buffer_size(&stream, RECEIVE_BUFFER_BYTES).expect("a socket");
    stream.set_nonblocking(true).expect("a socket");
    // It may be full, or the server may have ended it.
    let _ = stream.write_all(bytes);
    Some(stream)
}

fn fill_every_buffer(mut victim: Victim) {
    let requests = get("/static/style.css").repeat(500);
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let unfinished = [head, b"1;x\r\ny\r\n".repeat(2_000)].concat();
    let mut held = Vec::new();
    for number in 0..HOARDERS {
        held.extend(hoard(victim.address(), if number % 2 == 0 { &requests } else { &unfinished }));
        if number % 100 == 0 {
            victim.assert_serves();
        }
    }
    victim.assert_serves();
    drop(held);
    victim.assert_recovers();
}

#[test]
fn a_guest_survives_clients_that_fill_every_buffer() {
    fill_every_buffer(Victim::guest());
}

#[test]
fn the_linux_build_survives_clients_that_fill_every_buffer() {
    fill_every_buffer(Victim::linux());
}

/// Bytes of no protocol, of another one, and of one that promises more than it sends.
fn garbage(random: &mut Random) -> Vec<u8> {
    let mut noise = || (0..random.next() % 3_000).map(|_| random.next() as u8).collect::<Vec<_>>();
    let (noise, number) = (noise(), random.next() % 12);
    match number {
        0 => b"*2147483647\r\n$1\r\nx\r\n".to_vec(),
        1 => b"*1\r\n$4294967296\r\n".to_vec(),
        2 => b"*1\r\n".repeat(10_000),
        3 => [b"*3\r\n$5\r\nRPUSH\r\n$5\r\nvotes\r\n$2\r\n{}".to_vec(), noise].concat(),
        4 => b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        5 => b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n".to_vec(),
        6 => vec![b'x'; 100_000],
        7 => b"\r\n".repeat(5_000),
        8 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        9 => b"PING\r\n*1\r\n$4\r\nQUIT\r\nPING\r\n".to_vec(),
        _ => noise,
    }
}

/// Boots a program, throws garbage at all its ports, and gives it back alive.
fn throw_garbage(image: &std::path::Path, ports: &[u16], seed: u64) -> RunningService {
    let store = [("REDIS_URL", "redis://10.0.2.2:1".to_owned()), ("LOG", "warn".to_owned())];
    let mut running = RunningService::guest(image, ports, &store);
    running.wait_for("/healthz");
    let mut random = Random::new(seed);
    for _ in 0..300 {
        for address in running.addresses.clone() {
            let mut stream = TcpStream::connect(address).expect("the port is open");
            stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a socket");
            // A server may end the connection before it has heard all of it.
            let _ = stream.write_all(&garbage(&mut random));
        }
    }
    assert!(!running.has_ended(), "{}", running.log());
    let answer = ask(running.addresses[0], &get("/healthz")).expect("it answers");
    assert_eq!(answer, (200, "ok\n".to_owned()));
    running
}

#[test]
fn guests_survive_garbage_on_every_port() {
    let names = ["vote-service", "result-service", "worker", "store-service"];
    let images = running::images(&names);
    for (image, port) in images.iter().zip([8080, 8081, 8082]) {
        throw_garbage(image, &[port], u64::from(port));
    }
    let store = throw_garbage(&images[3], &[8083, 6379], 1);
    let redis = program("redis-cli").args(["-p", &store.addresses[1].port().to_string(), "ping"]).output();
    assert_eq!(String::from_utf8_lossy(&redis.expect("redis-cli runs").stdout).trim(), "PONG");
}
