//! People vote through a real Redis: with a password, a user, a database; and while it is killed and comes back.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use tests::application::Application;
use tests::client::wait_for;
use tests::crash::voters::Voters;
use tests::redis::{Server, redis};

use crate::trio::Trio;

/// What makes redis-server keep every write that it has answered.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];
/// Votes are counted within this time, on a busy machine.
const COUNTED_WITHIN: Duration = Duration::from_secs(60);

/// A round of votes, all of which are acknowledged at last.
fn vote(voters: &mut Voters, address: std::net::SocketAddrV4) {
    voters.vote(address, &AtomicBool::new(false)).expect("every vote is acknowledged");
}

/// Number of a database's keys.
fn keys(server: &Server, login: &[&[u8]], database: &[u8]) -> Vec<u8> {
    let mut connection = server.connect();
    assert_eq!(connection.ask(login).expect("an answer"), b"+OK\r\n");
    assert_eq!(connection.ask(&[b"SELECT", database]).expect("an answer"), b"+OK\r\n");
    connection.ask(&[b"DBSIZE"]).expect("an answer")
}

#[test]
fn password_and_database_reach_all_services() {
    let password = "p@ss/w%rd:";
    let server = redis(&["--requirepass", password]);
    let trio = Trio::start(&format!("redis://:p%40ss%2Fw%25rd%3A@{}/3", server.address));
    trio.wait_until_ready();
    let mut voters = Voters::new(1);
    vote(&mut voters, trio.vote_address());
    trio.wait_for_scores(voters.expected());
    let login: [&[u8]; 2] = [b"AUTH", password.as_bytes()];
    assert_eq!(keys(&server, &login, b"0"), b":0\r\n");
    assert_ne!(keys(&server, &login, b"3"), b":0\r\n");
}

#[test]
fn a_user_of_the_acl_is_logged_in() {
    let server = redis(&[]);
    let mut operator = server.connect();
    let user: [&[u8]; 7] = [b"ACL", b"SETUSER", b"voting", b"on", b">s3cret", b"~*", b"+@all"];
    assert_eq!(operator.ask(&user).expect("an answer"), b"+OK\r\n");
    let off: [&[u8]; 4] = [b"ACL", b"SETUSER", b"default", b"off"];
    assert_eq!(operator.ask(&off).expect("an answer"), b"+OK\r\n");
    let trio = Trio::start(&format!("redis://voting:s3cret@{}", server.address));
    trio.wait_until_ready();
    let mut voters = Voters::new(2);
    vote(&mut voters, trio.vote_address());
    trio.wait_for_scores(voters.expected());
}

/// Kills the server while people vote, twice, and starts it again each time.
fn vote_through_restarts(server: &mut Server, voters: &mut Voters, address: std::net::SocketAddrV4) {
    thread::scope(|scope| {
        let voting = scope.spawn(|| vote(voters, address));
        for _ in 0..2 {
            thread::sleep(Duration::from_millis(700));
            server.kill();
            thread::sleep(Duration::from_millis(300));
            server.restart();
        }
        voting.join().expect("every vote is acknowledged");
    });
}

#[test]
fn a_redis_that_is_killed_in_mid_load_loses_and_doubles_nothing() {
    let mut server = redis(&[&DURABLE[..], &["--requirepass", "s3cret"]].concat());
    let trio = Trio::start(&format!("redis://:s3cret@{}/2", server.address));
    trio.wait_until_ready();
    let mut voters = Voters::new(3);
    for _ in 0..2 {
        vote_through_restarts(&mut server, &mut voters, trio.vote_address());
        trio.wait_for_scores(voters.expected());
    }
    assert!(voters.repeated > 0, "votes were under way when it was killed");
    trio.wait_until_ready();
}

#[test]
fn guests_use_a_redis_of_the_host_and_find_it_again() {
    let mut server = redis(&[&DURABLE[..], &["--requirepass", "s3cret"]].concat());
    let url = format!("redis://:s3cret@{}/3", server.address);
    let application = Application::up("test-real-redis", &["--redis", &url]).expect("it comes up");
    assert!(application.instances().iter().all(|instance| instance["service"] != "store"));
    let address = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, application.vote_port);
    let mut voters = Voters::new(4);
    vote_through_restarts(&mut server, &mut voters, address);
    let expected = voters.expected();
    let counted = || (application.scores()? == expected).then_some(());
    let scores = wait_for(COUNTED_WITHIN, counted);
    assert!(scores.is_some(), "scores are {:?}, not {expected:?}", application.scores());
    assert_eq!(keys(&server, &[b"AUTH", b"s3cret"], b"0"), b":0\r\n");
}
