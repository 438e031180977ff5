//! Replies, byte for byte: those recorded from Redis, and those where the store is its own.

use std::string::String;
use std::vec::Vec;
use std::{assert_eq, format};

use super::{Bench, unescape};

/// Conversations with redis-server: requests and replies, and a blank line between conversations.
const RECORDED: &str = include_str!("replies.txt");

struct Exchange<'a> {
    request: Vec<u8>,
    reply: &'a str,
}

/// The same with a server that wants a password.
const RECORDED_LOCKED: &str = include_str!("locked.txt");

fn conversations(recorded: &'static str) -> Vec<Vec<Exchange<'static>>> {
    let mut conversations = Vec::new();
    let mut exchanges = Vec::new();
    let mut lines = recorded.lines().filter(|line| !line.starts_with('#'));
    while let Some(line) = lines.next() {
        match line.strip_prefix("> ") {
            None => conversations.push(core::mem::take(&mut exchanges)),
            Some(request) => {
                let mut request = unescape(request);
                if !request.starts_with(b"*") {
                    request.extend_from_slice(b"\r\n");
                }
                exchanges.push(Exchange { request, reply: lines.next().expect("a reply follows") });
            }
        }
    }
    conversations.push(exchanges);
    conversations
}

/// Lets the time pass that the longest timeout on record takes.
const WAIT_MS: u64 = 100;

#[test]
fn replies_are_those_of_redis() {
    let checked = check(RECORDED, &[]);
    assert!(checked > 300, "only {checked} were read");
    let checked = check(RECORDED_LOCKED, &[("REQUIREPASS", "secret")]);
    assert!(checked > 30, "only {checked} were read");
}

/// Holds conversations with a store of these settings; how many requests there were.
fn check(recorded: &'static str, settings: &[(&str, &str)]) -> usize {
    let mut checked = 0;
    for conversation in conversations(recorded) {
        let mut bench = Bench::with(settings);
        let client = bench.connect();
        for Exchange { request, reply } in conversation {
            bench.send(client, &request);
            bench.wait(WAIT_MS);
            let request = super::escape(&request);
            assert_eq!(bench.received(client), reply, "to {request}");
            checked += 1;
        }
    }
    checked
}

#[test]
fn replies_are_the_same_in_a_pipeline_that_arrives_byte_by_byte() {
    for conversation in conversations(RECORDED) {
        let mut bench = Bench::new();
        let client = bench.connect();
        let mut expected = String::new();
        for Exchange { request, reply } in conversation {
            for byte in request {
                bench.send(client, &[byte]);
            }
            // Without this, a wait would let the next request wait too.
            bench.wait(WAIT_MS);
            expected.push_str(reply);
        }
        assert_eq!(bench.received(client), expected);
    }
}

#[test]
fn a_pipeline_cut_at_any_byte_is_answered_alike() {
    let stream = b"*3\r\n$5\r\nRPUSH\r\n$1\r\nk\r\n$4\r\na\r\nb\r\nMULTI\r\nLLEN k\r\n*2\r\n$4\r\nLPOP\r\n$1\r\nk\r\nEXEC\r\nPING\r\n";
    let expected = r":1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n$4\r\na\r\nb\r\n+PONG\r\n";
    for cut in 0..=stream.len() {
        let mut bench = Bench::new();
        let client = bench.connect();
        bench.send(client, &stream[..cut]);
        bench.send(client, &stream[cut..]);
        assert_eq!(bench.received(client), expected, "cut at {cut}");
    }
}

#[test]
fn replies_that_are_specific_to_the_store() {
    let mut bench = Bench::new();
    let client = bench.connect();
    assert_eq!(bench.ask(client, "HELLO 4"), r"-NOPROTO unsupported protocol version\r\n");
    assert_eq!(bench.ask(client, "CLIENT SETINFO lib-name redis-py"), r"+OK\r\n");
    assert_eq!(bench.ask(client, "CLIENT ID"), r":1\r\n");
    assert_eq!(bench.ask(client, "TIME"), r"*2\r\n$10\r\n1700000000\r\n$2\r\n42\r\n");
    assert_eq!(bench.ask(client, "CONFIG GET maxmemory"), r"*2\r\n$9\r\nmaxmemory\r\n$8\r\n33554432\r\n");
    let reply = bench.ask(client, "SET k v EX 10");
    assert!(reply.starts_with("-ERR this store keeps no expiry times"), "{reply}");
    let get =
        r"*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n*0\r\n*0\r\n";
    assert_eq!(bench.ask(client, "COMMAND INFO nosuch GET"), format!(r"*2\r\n$-1\r\n{get}"));
    let count = crate::command::Command::ALL.len();
    assert_eq!(bench.ask(client, "COMMAND COUNT"), format!(r":{count}\r\n"));
    assert!(bench.ask(client, "COMMAND").starts_with(&format!(r"*{count}\r\n*10\r\n$4\r\nping\r\n")));
}

#[test]
fn hello_describes_the_server_and_names_the_client() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let expected = r"*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";
    for request in ["HELLO", "HELLO 2", "HELLO 2 AUTH default x SETNAME me"] {
        assert_eq!(bench.ask(client, request), expected, "{request}");
    }
    assert_eq!(bench.ask(client, "CLIENT GETNAME"), r"$2\r\nme\r\n");
}

#[test]
fn info_has_the_sections_that_are_asked_for() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.ask(client, "RPUSH votes 1");
    let all = bench.ask(client, "INFO");
    for field in
        ["# Server", "redis_version:7.0.15", "connected_clients:1", "maxmemory:33554432", "db0:keys=1,"]
    {
        assert!(all.contains(field), "{field} in {all}");
    }
    let memory = bench.ask(client, "INFO keyspace MEMORY");
    assert!(memory.contains(r"# Memory\r\nused_memory:") && memory.contains(r"\r\n\r\n# Keyspace\r\n"));
    assert!(!memory.contains("# Server"), "{memory}");
}

#[test]
fn hello_3_changes_the_kinds_of_replies_until_another_hello_or_reset() {
    let mut bench = Bench::new();
    let [client, other] = core::array::from_fn(|_| bench.connect());
    assert_eq!(bench.ask(client, "HELLO 3 NONSENSE"), "-ERR Syntax error in HELLO option 'NONSENSE'\\r\\n");
    assert_eq!(bench.ask(client, "GET k"), r"$-1\r\n");
    assert!(bench.ask(client, "HELLO 3").starts_with(r"%7\r\n$6\r\nserver\r\n"));
    for (request, reply) in [
        ("GET k", r"_\r\n"),
        ("HSET h f 1", r":1\r\n"),
        ("HGETALL h", r"%1\r\n$1\r\nf\r\n$1\r\n1\r\n"),
        ("HMGET h none", r"*1\r\n_\r\n"),
        (
            "MULTI\r\nHGETALL h\r\nLPOP l\r\nEXEC",
            r"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n%1\r\n$1\r\nf\r\n$1\r\n1\r\n_\r\n",
        ),
        ("BLPOP l 0.001", ""),
    ] {
        assert_eq!(bench.ask(client, request), reply, "{request}");
    }
    bench.wait(10);
    assert_eq!(bench.received(client), r"_\r\n");
    bench.ask(client, "WATCH h");
    bench.ask(other, "HSET h f 2");
    assert!(bench.ask(client, "MULTI\r\nEXEC").ends_with(r"_\r\n"));
    bench.ask(client, "BLPOP l 0");
    bench.ask(other, "RPUSH l x");
    assert_eq!(bench.received(client), r"*2\r\n$1\r\nl\r\n$1\r\nx\r\n");
    assert_eq!(bench.ask(client, "RESET"), r"+RESET\r\n");
    assert_eq!(bench.ask(client, "GET k"), r"$-1\r\n");
}
