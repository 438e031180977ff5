//! Transactions that depend on what others do meanwhile.

use std::{assert_eq, format};

use kernel_app::ConnectionId;

use super::Bench;
use crate::limits::WATCH_BYTES_MAX;

const CONFLICT: &str = r"*-1\r\n";
const DONE: &str = r"*1\r\n+PONG\r\n";

/// What `EXEC` says to a client that has watched before.
fn exec(bench: &mut Bench, client: ConnectionId) -> std::string::String {
    bench.ask(client, "MULTI");
    bench.ask(client, "PING");
    bench.ask(client, "EXEC")
}

#[test]
fn every_change_by_others_is_a_conflict_and_nothing_else_is() {
    for (change, expected) in [
        ("SET k 2", CONFLICT),
        ("INCR k", CONFLICT),
        ("DEL k", CONFLICT),
        ("FLUSHALL", CONFLICT),
        ("MULTI\r\nSET other 1\r\nSET k 1\r\nEXEC", CONFLICT),
        ("SET other 2", DONE),
        ("GET k", DONE),
        ("DEL other", DONE),
        ("FLUSHALL nonsense", DONE),
        ("MULTI\r\nSET k 1\r\nDISCARD", DONE),
        ("WATCH k", DONE),
    ] {
        let mut bench = Bench::new();
        let [watcher, other] = core::array::from_fn(|_| bench.connect());
        bench.ask(other, "SET k 1");
        bench.ask(watcher, "WATCH k");
        bench.ask(other, change);
        assert_eq!(exec(&mut bench, watcher), expected, "{change}");
        assert_eq!(exec(&mut bench, watcher), DONE, "EXEC forgets what was watched");
    }
}

#[test]
fn serving_a_blocked_move_changes_both_lists() {
    for key in ["q", "done"] {
        let mut bench = Bench::new();
        let [watcher, waiter, pusher] = core::array::from_fn(|_| bench.connect());
        bench.ask(waiter, "BLMOVE q done LEFT RIGHT 0");
        bench.ask(watcher, &format!("WATCH {key}"));
        assert_eq!(exec(&mut bench, watcher), DONE, "to wait changes nothing");
        bench.ask(watcher, &format!("WATCH {key}"));
        bench.ask(pusher, "RPUSH q 1");
        assert_eq!(exec(&mut bench, watcher), CONFLICT, "{key}");
    }
    let mut bench = Bench::new();
    let [watcher, other] = core::array::from_fn(|_| bench.connect());
    bench.ask(other, "RPUSH q 1 2");
    bench.ask(watcher, "WATCH q");
    bench.ask(other, "BLPOP q 0");
    assert_eq!(exec(&mut bench, watcher), CONFLICT, "served without waiting");
}

#[test]
fn of_two_transactions_that_watch_the_same_value_one_succeeds() {
    let mut bench = Bench::new();
    let clients: [_; 2] = core::array::from_fn(|_| bench.connect());
    for client in clients {
        bench.ask(client, "WATCH k");
        bench.ask(client, "MULTI");
        bench.ask(client, "INCR k");
    }
    assert_eq!(clients.map(|client| bench.ask(client, "EXEC")), [r"*1\r\n:1\r\n", CONFLICT]);
}

#[test]
fn watched_keys_are_bounded_and_freed_on_disconnect() {
    let mut bench = Bench::new();
    let [client, other] = core::array::from_fn(|_| bench.connect());
    let mut watched = 0;
    let key = |number: usize| format!("WATCH {number:01000}");
    while bench.ask(client, &key(watched)) == r"+OK\r\n" {
        watched += 1;
        assert!(watched < WATCH_BYTES_MAX / 1000);
    }
    assert!(watched > 100, "{watched}");
    let error = r"-ERR too many keys are watched: try again later\r\n";
    assert_eq!(bench.ask(other, &key(watched)), error, "the bound is everybody's");
    assert_eq!(bench.ask(client, &key(0)), r"+OK\r\n", "what is watched already takes nothing");
    bench.disconnect(client);
    assert_eq!(bench.ask(other, &key(watched)), r"+OK\r\n");
    bench.ask(other, "SET k 1");
    assert_eq!(exec(&mut bench, other), DONE);
}
