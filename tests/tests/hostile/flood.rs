//! Clients that mean no harm and come all at once: each is answered, though it may have to wait.
//!
//! More than a service has places for, so they have to take turns.

use std::io::{self, ErrorKind};
use std::net::SocketAddrV4;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::running::{self, RunningService};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Twice the places that a service has.
const CLIENTS: usize = 2_000;
/// A client has this much patience with its whole visit.
const PATIENCE: Duration = Duration::from_secs(90);
/// Open files: a socket of each client, and what tests beside this one have.
const FILES: u64 = 3 * CLIENTS as u64;

/// What a client does about its connection after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Asks the server to close it.
    Close,
    /// Leaves it open until all have been answered.
    Keep,
}

/// One request by a client of its own; its connection, once it is answered.
async fn visit(address: SocketAddrV4, manner: Manner) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    let connection = if manner == Manner::Close { "Connection: close\r\n" } else { "" };
    let request = format!("GET /healthz HTTP/1.1\r\nHost: test\r\n{connection}\r\n");
    stream.writable().await?;
    assert_eq!(stream.try_write(request.as_bytes())?, request.len(), "a request fits any buffer");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok\n") {
        if read_some(&stream, &mut answer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    while manner == Manner::Close && read_some(&stream, &mut answer).await? > 0 {}
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    Ok(stream)
}

/// Adds what comes next; how much that is, 0 at the end.
async fn read_some(stream: &TcpStream, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut bytes = [0; 1024];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            count => {
                into.extend(&bytes[..count.as_ref().map_or(0, |count| *count)]);
                return count;
            }
        }
    }
}

/// All clients at once; why any of them was not answered.
fn flood(address: SocketAddrV4, manner: Manner) -> Vec<String> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(maximum.map_or(FILES, |most| most.min(FILES)));
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).expect("open files are allowed");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let visits = runtime.block_on(async {
        let client = |_| timeout(PATIENCE, visit(address, manner));
        (0..CLIENTS).map(client).collect::<JoinSet<_>>().join_all().await
    });
    let fault = |visit: &Result<io::Result<TcpStream>, _>| match visit {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("no answer in time".to_owned()),
    };
    visits.iter().filter_map(fault).collect()
}

fn assert_all_are_answered(address: SocketAddrV4) {
    for manner in [Manner::Close, Manner::Keep] {
        let faults = flood(address, manner);
        assert!(faults.is_empty(), "{manner:?}: {} of {CLIENTS} fail, such as {:?}", faults.len(), faults[0]);
    }
}

#[test]
fn the_linux_build_answers_thousands_at_once() {
    let program = running::linux_programs(&["vote-service"]).remove(0);
    let settings = [("REDIS_URL", "redis://127.0.0.1:1".to_owned()), ("LOG", "warn".to_owned())];
    let mut running = RunningService::linux(&program, &["PORT"], &settings);
    running.wait_for("/healthz");
    assert_all_are_answered(running.addresses[0]);
}

#[test]
fn a_guest_answers_thousands_at_once() {
    let image = running::images(&["vote-service"]).remove(0);
    let settings = [("REDIS_URL", "redis://10.0.2.2:1".to_owned()), ("LOG", "warn".to_owned())];
    let mut running = RunningService::guest(&image, &[vote_service::PORT_DEFAULT], &settings);
    running.wait_for("/healthz");
    assert_all_are_answered(running.addresses[0]);
}
