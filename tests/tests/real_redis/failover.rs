//! Redis servers that change places while people vote: a primary that hands over to its replica and goes on as one, as
//! managed services do for maintenance, and one that is killed.
//!
//! One address leads to the primary of the moment, as the name of such a service does. Connections that are open stay
//! where they are.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use tests::client::wait_for;
use tests::crash::voters::Voters;
use tests::redis::{Server, redis};

use crate::trio::Trio;

/// Servers change places within this time, on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// A replica is sent all data at once.
const PROMPT: [&str; 4] = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];

/// The address of the primary of the moment.
struct Name {
    address: SocketAddrV4,
    port: Arc<AtomicU16>,
}

impl Name {
    /// Leads to this server; it lives as long as the test does.
    fn new(primary: &Server) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr().expect("bound").port());
        let port = Arc::new(AtomicU16::new(primary.address.port()));
        let target = port.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target.load(Ordering::Relaxed)));
                // Who finds nobody there is hung up on.
                let Ok(server) = server else { continue };
                join(client, server).expect("two connections");
            }
        });
        Self { address, port }
    }

    /// New connections lead to this server.
    fn lead_to(&self, server: &Server) {
        self.port.store(server.address.port(), Ordering::Relaxed);
    }

    fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

/// Passes bytes both ways until one side ends.
fn join(client: TcpStream, server: TcpStream) -> io::Result<()> {
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        to.set_nodelay(true)?;
        thread::spawn(move || {
            // However it ends, the other side is to hear of it.
            let _ = io::copy(&mut from, &mut to);
            let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
        });
    }
    Ok(())
}

/// What a server says of its replication.
fn replication(server: &Server) -> String {
    let answer = server.connect().ask(&[b"INFO", b"replication"]).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

fn wait_until(server: &Server, words: &[&str]) {
    let is_so = || words.iter().all(|word| replication(server).contains(word)).then_some(());
    assert!(wait_for(SETTLED_WITHIN, is_so).is_some(), "no {words:?}: {}", replication(server));
}

fn order(server: &Server, command: &[&[u8]]) {
    assert_eq!(server.connect().ask(command).expect("an answer"), b"+OK\r\n");
}

/// Starts a replica, which has all data when this returns.
fn replica_of(primary: &Server) -> Server {
    let port = primary.address.port().to_string();
    let replica = redis(&[&PROMPT[..], &["--replicaof", "127.0.0.1", &port]].concat());
    wait_until(&replica, &["role:slave", "master_link_status:up"]);
    wait_until(primary, &["state=online"]);
    replica
}

/// Has a primary hand over to its replica, without a loss; it goes on as a replica, on connections that stay open.
fn hand_over(from: &Server, to: &Server, name: &Name) {
    order(from, &[b"FAILOVER"]);
    wait_until(to, &["role:master"]);
    name.lead_to(to);
    wait_until(from, &["role:slave", "master_link_status:up"]);
    wait_until(to, &["state=online"]);
}

#[test]
fn a_primary_that_hands_over_in_mid_load_loses_and_doubles_nothing() {
    let first = redis(&PROMPT);
    let second = replica_of(&first);
    let name = Name::new(&first);
    let trio = Trio::start(&name.url());
    trio.wait_until_ready();
    let mut voters = Voters::new(5);
    thread::scope(|scope| {
        let voting = scope.spawn(|| {
            voters.vote(trio.vote_address(), &AtomicBool::new(false)).expect("every vote is acknowledged");
        });
        hand_over(&first, &second, &name);
        hand_over(&second, &first, &name);
        voting.join().expect("every vote is acknowledged");
    });
    trio.wait_for_scores(voters.expected());
    trio.wait_until_ready();
    let log = trio.services[0].log();
    assert!(log.contains("(READONLY)"), "the old primary went on answering:\n{log}");
}

#[test]
fn a_primary_that_is_killed_in_mid_load_loses_nothing_that_its_replica_had_to_have() {
    let mut primary = redis(&PROMPT);
    let mut replica = replica_of(&primary);
    let name = Name::new(&primary);
    let trio = Trio::start_with(&name.url(), &[("REDIS_REPLICAS", "1")]);
    trio.wait_until_ready();
    let mut voters = Voters::new(6);
    for _ in 0..2 {
        thread::scope(|scope| {
            let voting = scope.spawn(|| {
                voters
                    .vote(trio.vote_address(), &AtomicBool::new(false))
                    .expect("every vote is acknowledged");
            });
            // The voters' round takes some two seconds: in the middle of it.
            thread::sleep(Duration::from_millis(700));
            primary.kill();
            order(&replica, &[b"REPLICAOF", b"NO", b"ONE"]);
            name.lead_to(&replica);
            let next = replica_of(&replica);
            primary = std::mem::replace(&mut replica, next);
            voting.join().expect("every vote is acknowledged");
        });
        trio.wait_for_scores(voters.expected());
    }
    assert!(voters.repeated > 0, "votes were under way when it was killed");
}
