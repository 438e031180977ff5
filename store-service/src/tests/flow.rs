//! Limits, slow clients, memory, and the ends of connections.

use std::string::String;
use std::{assert_eq, format};

use kernel_app::connections::{OUTPUT_BYTES_MAX, OUTPUT_LOW_WATER_BYTES};
use kernel_app::{ConnectionId, Origin, Service};

use super::Bench;
use crate::limits::{CLIENTS_MAX, QUEUE_COMMANDS_MAX, REPLY_BYTES_MAX, REPLY_STALL_MAX};

/// Takes everything that comes, turn by turn, as a network would that is as slow as `step` bytes.
fn drain(bench: &mut Bench, client: ConnectionId, step: usize) -> usize {
    let mut total = 0;
    loop {
        let output = &mut bench.connections.get_mut(client).expect("open").output;
        let before = output.len();
        output.consume(step);
        let after = output.len();
        total += before - after;
        if before == 0 {
            return total;
        }
        if before > OUTPUT_LOW_WATER_BYTES && after <= OUTPUT_LOW_WATER_BYTES {
            bench.call(|store, context| store.ready(client, context));
        }
        bench.turn();
    }
}

#[test]
fn replies_wait_for_the_end_of_the_turn() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.deliver(client, b"RPUSH q 1\r\n");
    assert_eq!(bench.received(client), "", "nothing is acknowledged before the commit");
    bench.turn();
    assert_eq!(bench.received(client), r":1\r\n");
}

#[test]
fn a_reply_larger_than_the_output_comes_in_pieces() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let element = "e".repeat(1000);
    for _ in 0..1000 {
        bench.ask(client, &format!("RPUSH q {element}"));
    }
    bench.send(client, b"LRANGE q 0 -1\r\nPING\r\n");
    let connection = bench.connections.get(client).expect("open");
    assert_eq!(connection.output.len(), OUTPUT_BYTES_MAX);
    let expected = b"*1000\r\n".len() + 1000 * (b"$1000\r\n\r\n".len() + 1000) + b"+PONG\r\n".len();
    assert_eq!(drain(&mut bench, client, 10_000), expected);
}

#[test]
fn a_reply_that_is_too_long_is_an_error_and_loses_nothing() {
    let mut bench = Bench::with(&[("MAXMEMORY", "16mb")]);
    let client = bench.connect();
    let element = "e".repeat(50_000);
    let count = REPLY_BYTES_MAX / 50_000 + 1;
    for _ in 0..count {
        bench.ask(client, &format!("RPUSH q {element}"));
    }
    let error = r"-ERR the reply would be too long: ask for fewer elements\r\n";
    assert_eq!(bench.ask(client, "LRANGE q 0 -1"), error);
    assert_eq!(bench.ask(client, &format!("LPOP q {count}")), error);
    assert_eq!(bench.ask(client, "LLEN q"), format!(r":{count}\r\n"));
    let mut exec = String::from("MULTI\r\n");
    for _ in 0..count {
        exec.push_str("LPOP q\r\n");
    }
    bench.send(client, exec.as_bytes());
    bench.received(client);
    bench.send(client, b"EXEC\r\nLLEN q\r\n");
    drain(&mut bench, client, 100_000);
    assert_eq!(bench.ask(client, "LLEN q"), r":1\r\n", "the pop that had no room took nothing");
}

#[test]
fn a_client_that_reads_nothing_is_not_read_from_and_then_dropped() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.ask(client, &format!("SET k {}", "v".repeat(30_000)));
    for _ in 0..3 {
        bench.send(client, &b"GET k\r\n".repeat(3000));
    }
    let connection = bench.connections.get(client).expect("open");
    assert!(connection.output.len() < 2 * OUTPUT_LOW_WATER_BYTES + 30_000);
    assert!(connection.input.len() > 8000 * 7, "its requests wait");
    let per_reply = b"$30000\r\n\r\n".len() + 30_000;
    assert_eq!(drain(&mut bench, client, 5_000), 9000 * per_reply, "and are answered once it reads");
    for number in 0..300 {
        bench.send(client, format!("RPUSH q {}{number}\r\n", "v".repeat(1000)).as_bytes());
    }
    bench.received(client);
    bench.send(client, b"LRANGE q 0 -1\r\n");
    let due = bench.store.next_deadline().expect("the stall has a limit");
    assert_eq!(due - bench.now, REPLY_STALL_MAX);
    bench.wait(REPLY_STALL_MAX.as_millis() as u64);
    assert!(bench.received(client).ends_with("<EOF>"));
    assert_eq!(bench.store.next_deadline(), None);
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.deliver(client, b"RPUSH q 1\r\nLLEN q\r\nLLE");
    bench.end_input(client);
    assert_eq!(bench.received(client), r":1\r\n:1\r\n<EOF>");
}

#[test]
fn full_memory_refuses_pushes_but_lets_the_queue_drain() {
    let mut bench = Bench::with(&[("MAXMEMORY", "1mb")]);
    let client = bench.connect();
    let oom = r"-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    let element = "e".repeat(1000);
    let mut pushed = 0;
    while bench.ask(client, &format!("RPUSH votes {element}")) != oom {
        pushed += 1;
        assert!(pushed < 1100, "the limit is 1 MiB");
    }
    assert!(pushed > 900, "{pushed}");
    for request in ["SET k v", "LPUSH other x"] {
        assert_eq!(bench.ask(client, request), oom, "{request}");
    }
    bench.send(client, b"MULTI\r\nHSET h f v\r\nSET k v\r\nEXEC\r\n");
    let reply = bench.received(client);
    assert!(reply.ends_with(r"-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.\r\n"));
    assert_eq!(bench.ask(client, "EXISTS h k"), r":0\r\n", "all or nothing");
    for number in 0..pushed {
        let moved = bench.ask(client, "BLMOVE votes processing LEFT RIGHT 1");
        assert!(moved.starts_with(r"$1000\r\n"), "{moved}");
        let reply = bench
            .ask(client, &format!("MULTI\r\nHSET results {number} x\r\nLREM processing 1 {element}\r\nEXEC"));
        assert!(reply.ends_with(r"*2\r\n:1\r\n:1\r\n"), "{reply}");
    }
    assert_eq!(bench.ask(client, "RPUSH votes x"), r":1\r\n", "and then it takes pushes again");
    bench.ask(client, "FLUSHALL");
    assert!(bench.ask(client, "INFO memory").contains(r"used_memory:0\r\n"));
}

/// Requests to `/readyz`.
fn readiness(bench: &mut Bench) -> String {
    let origin = Origin::Accepted(1);
    let id = bench.connections.open(0, origin).expect("room");
    bench.call(|store, context| store.opened(id, origin, context));
    bench.send(id, b"GET /readyz HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n");
    let connection = bench.connections.get(id).expect("open");
    let text = String::from_utf8_lossy(connection.output.as_slice()).into_owned();
    bench.disconnect(id);
    text
}

#[test]
fn no_command_can_grow_data_beyond_the_reserve() {
    let long = |number: u32| format!("{number:0>60000}");
    let mut bench = Bench::with(&[("MAXMEMORY", "1mb")]);
    let client = bench.connect();
    let oom = r"-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    for number in 0..4_000 {
        bench.ask(client, &format!("RPUSH source{} e", number % 4));
    }
    let waiter = bench.connect();
    bench.ask(waiter, &format!("BLMOVE empty {} LEFT RIGHT 0", long(1_000_000)));
    let mut moved = [0; 2];
    for number in 0..1_000 {
        let requests = [
            format!("LMOVE source0 {} LEFT RIGHT", long(number)),
            format!("HSET {} f v", long(number + 10_000)),
            format!("HSET hash {} v", long(number)),
            format!("INCR {}", long(number + 20_000)),
            format!("MULTI\r\nLMOVE source1 {} LEFT LEFT\r\nEXEC", long(number + 30_000)),
        ];
        for request in &requests {
            let refused = bench.ask(client, request).contains("OOM");
            moved[usize::from(refused)] += 1;
        }
        let keyspace = bench.store.engine().keyspace();
        assert!(keyspace.bytes() <= keyspace.bytes_limit(), "{} bytes", keyspace.bytes());
    }
    assert!(moved[0] > 10 && moved[1] > 4_900, "{moved:?}");
    assert_eq!(bench.ask(client, "LMOVE source2 source3 LEFT RIGHT"), r"$1\r\ne\r\n", "from list to list");
    // Whoever waited is refused as others are, and the element stays.
    assert_eq!(
        bench.ask(client, "LMOVE source2 empty LEFT RIGHT"),
        r"$1\r\ne\r\n",
        "a little is left for that"
    );
    assert_eq!(bench.received(waiter), oom);
    assert_eq!(bench.ask(client, "LLEN empty"), r":1\r\n");
}

#[test]
fn a_full_store_says_so_and_lets_known_voters_change_their_vote() {
    let mut bench = Bench::with(&[("MAXMEMORY", "1mb")]);
    let client = bench.connect();
    assert!(readiness(&mut bench).ends_with("\r\n\r\nready\n"));
    let mut voters = 0;
    let vote = |bench: &mut Bench, voter: u32, sequence: u32| {
        let element = format!("vote-of-{voter:0>32}");
        if bench.ask(client, &format!("RPUSH votes {element}")).contains("OOM") {
            return false;
        }
        bench.ask(client, "LMOVE votes processing LEFT RIGHT");
        let reply = bench.ask(
            client,
            &format!(
                "MULTI\r\nHSET results:a {voter:0>32} {sequence:0>7}\r\nHDEL results:b {voter:0>32}\r\n\
                 LREM processing 1 {element}\r\nEXEC"
            ),
        );
        assert!(!reply.contains("OOM"), "voter {voter}: what was taken is counted: {reply}");
        true
    };
    while vote(&mut bench, voters, 1) {
        voters += 1;
    }
    assert!(voters > 13_000, "{voters} voters in 1 MiB");
    let told = readiness(&mut bench);
    assert!(
        told.starts_with("HTTP/1.1 200 ") && told.contains("ready; full: memory has 1.0 MB of 1.0 MB"),
        "{told}"
    );
    assert!(told.contains("raise MAXMEMORY"), "{told}");
    let in_place = bench.ask(client, &format!("HSET results:a {:0>32} 0000002", 5));
    assert_eq!(in_place, r":0\r\n", "what is there may change");
    bench.ask(client, &format!("HDEL results:a {:0>32} {:0>32} {:0>32} {:0>32}", 0, 1, 2, 3));
    for voter in 4..1_000 {
        bench.ask(client, &format!("HDEL results:a {voter:0>32}"));
    }
    assert!(readiness(&mut bench).ends_with("\r\n\r\nready\n"));
    assert!(vote(&mut bench, 100, 3), "there is room again");
}

#[test]
fn transactions_are_bounded_in_length_and_bytes() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.ask(client, "MULTI");
    for _ in 0..QUEUE_COMMANDS_MAX {
        assert_eq!(bench.ask(client, "PING"), r"+QUEUED\r\n");
    }
    assert!(bench.ask(client, "PING").starts_with("-OOM"));
    assert!(bench.ask(client, "EXEC").starts_with("-EXECABORT"));
    bench.ask(client, "MULTI");
    let value = "v".repeat(60_000);
    let queued =
        (0..100).take_while(|_| bench.ask(client, &format!("SET k {value}")) == r"+QUEUED\r\n").count();
    assert_eq!(queued, crate::limits::QUEUE_BYTES_MAX / 60_000);
    let other = bench.connect();
    bench.ask(other, "MULTI");
    assert!(bench.ask(other, &format!("SET k {value}")).starts_with("-OOM"), "the bound is everybody's");
    bench.disconnect(client);
    bench.ask(other, "DISCARD");
    bench.ask(other, "MULTI");
    assert_eq!(bench.ask(other, &format!("SET k {value}")), r"+QUEUED\r\n", "who leaves gives it back");
}

#[test]
fn clients_beyond_the_limit_are_told_so() {
    let mut bench = Bench::new();
    let clients: std::vec::Vec<_> = (0..CLIENTS_MAX).map(|_| bench.connect()).collect();
    let one_too_many = bench.connect();
    bench.turn();
    assert_eq!(bench.received(one_too_many), r"-ERR max number of clients reached\r\n<EOF>");
    bench.disconnect(one_too_many);
    bench.disconnect(clients[3]);
    let next = bench.connect();
    assert_eq!(bench.ask(next, "PING"), r"+PONG\r\n");
}

#[test]
fn a_request_that_is_too_large_is_refused_before_it_has_arrived() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.send(client, b"*2\r\n$4\r\nECHO\r\n$70000\r\n");
    assert_eq!(bench.received(client), r"-ERR Protocol error: invalid bulk length\r\n<EOF>");
}

#[test]
fn metrics_and_health_are_served_over_http() {
    let mut bench = Bench::new();
    let client = bench.connect();
    for request in
        ["RPUSH votes 1 2 3", "LMOVE votes votes:processing:1 LEFT RIGHT", "HSET results:a v i", "NONSENSE"]
    {
        bench.ask(client, request);
    }
    let mut get = |path: &str| {
        let origin = Origin::Accepted(1);
        let id = bench.connections.open(0, origin).expect("room");
        bench.call(|store, context| store.opened(id, origin, context));
        bench.send(id, format!("GET {path} HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n").as_bytes());
        let text =
            String::from_utf8_lossy(bench.connections.get(id).expect("open").output.as_slice()).into_owned();
        bench.disconnect(id);
        text
    };
    assert!(get("/healthz").starts_with("HTTP/1.1 200 "));
    assert!(get("/readyz").starts_with("HTTP/1.1 200 "));
    let metrics = get("/metrics");
    for line in [
        "store_queue_length{queue=\"votes\"} 2\n",
        "store_queue_length{queue=\"votes:processing\"} 1\n",
        "store_keys 3\n",
        "store_commands_total{command=\"rpush\"} 1\n",
        "store_errors_total 1\n",
        "store_clients 1\n",
        "store_memory_max_bytes 33554432\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(get("/nothing").starts_with("HTTP/1.1 404 "));
}
