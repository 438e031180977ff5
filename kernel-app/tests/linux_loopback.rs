//! Services on the kernel's sockets, with real clients over the loopback interface.
//!
//! What runtime and services do is tested elsewhere; this is about sockets: bursts, half-close, resets,
//! slow readers, full tables and lost peers.
#![cfg(target_os = "linux")]

#[path = "linux_loopback/harness.rs"]
mod harness;
#[path = "linux_loopback/services.rs"]
mod services;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use harness::{Node, connect, eventually, free_port};
use kernel_app::connections::{CONNECTIONS_MAX, OUTPUT_BYTES_MAX};
use services::{Caller, Echo, Flood, Resetter};

/// How long nothing must happen before it counts as quiet.
const QUIET: Duration = Duration::from_millis(100);

fn ask(client: &mut TcpStream, text: &[u8]) {
    client.write_all(text).expect("sent");
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer).expect("answered");
    assert_eq!(answer, text);
}

#[test]
fn a_burst_of_connections_is_served_completely() {
    let node = Node::start(|port| vec![Echo::boxed(port)]);
    let mut clients: Vec<_> = (0..200).map(|_| connect(node.port)).collect();
    for client in &mut clients {
        client.write_all(b"hello").expect("sent");
    }
    for client in &mut clients {
        let mut answer = [0; 5];
        client.read_exact(&mut answer).expect("answered");
        assert_eq!(&answer, b"hello");
    }
    eventually("all are in the table", || node.open() == 200);
    drop(clients);
    eventually("all are gone", || node.closed() == 200);
}

#[test]
fn a_half_closed_client_gets_its_whole_answer_and_our_end() {
    let node = Node::start(|port| vec![Echo::boxed(port)]);
    let mut client = connect(node.port);
    let text: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    let mut writer = client.try_clone().expect("cloned");
    let sent = text.clone();
    let sender = std::thread::spawn(move || {
        writer.write_all(&sent).expect("sent");
        writer.shutdown(Shutdown::Write).expect("half-closed");
    });
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("a clean end");
    sender.join().expect("the sender is done");
    assert!(answer == text, "{} of {} bytes came back", answer.len(), text.len());
    eventually("the connection is gone", || node.closed() == 1);
}

#[test]
fn a_client_that_sends_on_after_our_end_loses_nothing_of_the_answer() {
    let node = Node::start(|port| vec![Flood::boxed(port, 100_000)]);
    let mut client = connect(node.port);
    client.write_all(&[1; 200_000]).expect("sent, though nobody reads it");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("no reset");
    assert_eq!(answer.len(), 100_000);
}

#[test]
fn a_client_that_never_closes_is_dropped_after_the_drain() {
    let node = Node::start(|port| vec![Flood::boxed(port, 10)]);
    let mut client = connect(node.port);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("a clean end");
    assert_eq!(answer.len(), 10);
    assert_eq!(node.closed(), 0, "it has a while");
    eventually("our side gives up", || node.closed() == 1);
}

#[test]
fn a_slow_reader_costs_bounded_memory_and_no_turns() {
    const BYTES: usize = 32 * 1024 * 1024;
    let node = Node::start(|port| vec![Flood::boxed(port, BYTES)]);
    let mut client = connect(node.port);
    eventually("the kernel's buffers are full", || {
        let turns = node.turns();
        std::thread::sleep(QUIET);
        node.turns() == turns
    });
    assert!(node.output_bytes() > 0, "what the kernel does not take waits");
    assert!(node.output_bytes() <= OUTPUT_BYTES_MAX);
    let mut received = 0;
    let mut chunk = [0; 100_000];
    loop {
        let count = client.read(&mut chunk).expect("read");
        if count == 0 {
            break;
        }
        assert!(chunk[..count].iter().zip(received..).all(|(byte, at)| *byte == (at % 251) as u8));
        received += count;
    }
    assert_eq!(received, BYTES);
}

#[test]
fn input_that_a_service_leaves_waits_in_the_kernel() {
    // The echo cannot write while nobody reads, so it stops reading, and the client cannot send on.
    let node = Node::start(|port| vec![Echo::boxed(port)]);
    let client = connect(node.port);
    client.set_nonblocking(true).expect("nonblocking");
    let mut sent = 0_usize;
    eventually("the client is stopped", || {
        let before = sent;
        while let Ok(count) = (&client).write(&[7; 65_536]) {
            sent += count;
        }
        std::thread::sleep(QUIET);
        sent == before
    });
    client.set_nonblocking(false).expect("blocking");
    client.shutdown(Shutdown::Write).expect("half-closed");
    let mut answer = Vec::new();
    (&client).read_to_end(&mut answer).expect("a clean end");
    assert_eq!(answer.len(), sent);
}

#[test]
fn an_abort_is_a_reset() {
    let node = Node::start(|port| vec![Resetter::boxed(port)]);
    let mut client = connect(node.port);
    client.write_all(b"x").expect("sent");
    let error = client.read(&mut [0; 8]).expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    eventually("the connection is gone", || node.closed() == 1);
}

#[test]
fn a_thousand_dropped_connections_leave_nothing() {
    let node = Node::start(|port| vec![Echo::boxed(port)]);
    for round in 0..1000 {
        let mut client = connect(node.port);
        match round % 4 {
            0 => {}
            1 => client.write_all(b"unread").expect("sent"),
            2 => ask(&mut client, b"ping"),
            _ => client.shutdown(Shutdown::Both).expect("shut down"),
        }
    }
    eventually("all were seen", || node.opened() == 1000);
    eventually("all were told that it ended", || node.closed() == 1000);
    eventually("the table is empty", || node.open() == 0);
}

#[test]
fn a_full_table_makes_room_for_the_newest() {
    let node = Node::start(|port| vec![Echo::boxed(port)]);
    let mut clients = Vec::new();
    for number in 0..CONNECTIONS_MAX + 50 {
        let mut client = connect(node.port);
        ask(&mut client, format!("client {number}").as_bytes());
        clients.push(client);
    }
    eventually("the table is full", || node.open() == CONNECTIONS_MAX);
    let is_lost = |client: &mut TcpStream| !matches!(client.read(&mut [0]), Ok(1..));
    let lost = clients[..50].iter_mut().map(is_lost).filter(|lost| *lost).count();
    assert_eq!(lost, 50, "the ones idle for longest went");
    ask(clients.last_mut().expect("one"), b"still here");
}

#[test]
fn a_peer_is_reached_again_after_its_restart() {
    let port = free_port();
    let caller = Node::start(move |_| vec![Caller::boxed("127.0.0.1", port)]);
    for round in 1..=3 {
        let server = Node::start_on(port, |port| vec![Echo::boxed(port)]);
        eventually("the peer answers", || caller.answers() == round);
        drop(server);
        eventually("the loss is seen", || caller.closed() == round);
    }
}

#[test]
fn an_answer_that_arrives_together_with_a_reset_is_read() {
    const ROUNDS: usize = 10;
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let caller = Node::start(move |_| vec![Caller::boxed("127.0.0.1", port)]);
    for round in 1..=ROUNDS {
        let (mut peer, _) = listener.accept().expect("called");
        // One letter stays unread: the kernel resets a connection that is closed so.
        peer.read_exact(&mut [0; 4]).expect("asked");
        peer.write_all(b"hello").expect("answered");
        drop(peer);
        eventually("the loss is seen", || caller.closed() == round);
    }
    assert_eq!(caller.answers(), ROUNDS);
}

#[test]
fn a_peer_is_found_by_name() {
    let server = Node::start(|port| vec![Echo::boxed(port)]);
    let port = server.port;
    let caller = Node::start(move |_| vec![Caller::boxed("localhost", port)]);
    eventually("the peer answers", || caller.answers() == 1);
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let node = Node::start(|port| vec![Echo::boxed(port)]);
    let message = harness::start_error(node.port, vec![Echo::boxed(node.port)]);
    let expected = format!("cannot listen on port {}: another program listens there; set PORT", node.port);
    assert!(message.starts_with(&expected), "{message}");
}
