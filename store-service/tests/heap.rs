//! What the store takes of the heap is what it says, whatever clients do, and goes when what it was for has gone.
//!
//! One test: all of the program's allocations are counted, so nothing else may run beside it.

use std::alloc::System;
use std::time::Duration;

use cap::Cap;
use kernel_app::{
    Buffer, ConnectionId, Connections, Context, Entropy, Instant, Origin, Service as _, Settings,
};
use store_service::Store;
use store_service::command::Command;
use store_service::keyspace::Keyspace;
use store_service::limits::{CLIENTS_BYTES_MAX, CLIENTS_MAX, WAIT_BYTES_MAX, WATCH_BYTES_MAX};
use wire::resp::Framer;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

const MEMORY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What the count may lag behind, beyond a tenth: nodes of trees of a few keys.
const SLACK_BYTES: usize = 8 * 1024;

/// A small generator (xorshift): the same commands in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a size")
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

/// Data, and what they take of the heap.
struct Data {
    keyspace: Keyspace,
    framer: Framer,
    replies: Buffer,
    before: usize,
}

impl Data {
    fn new() -> Self {
        let mut replies = Buffer::new(4 << 20);
        replies.write(&vec![0; 4 << 20]).expect("there is room");
        replies.clear();
        let keyspace = Keyspace::new(MEMORY_BYTES_MAX, [1, 2]);
        Self { keyspace, framer: Framer::new(), replies, before: HEAP.allocated() }
    }

    /// Carries a request out, if memory allows it; says whether it did.
    fn ask(&mut self, request: &str) -> bool {
        let line = format!("{request}\r\n");
        let frame = self.framer.next(line.as_bytes()).expect("well formed").expect("complete");
        let command = Command::find(&frame.args[0]).expect("known");
        let admitted = self.keyspace.admit(std::iter::once((command, frame.args)));
        self.replies.clear();
        admitted.is_ok() && {
            self.keyspace.execute(command, frame.args, &mut self.replies).expect("it can be done");
            true
        }
    }

    fn check(&mut self, what: &str) {
        self.framer = Framer::new();
        let (heap, counted) = (HEAP.allocated().saturating_sub(self.before), self.keyspace.bytes());
        let most = counted + counted / 10 + SLACK_BYTES;
        assert!(heap <= most, "{what}: {heap} bytes of the heap, {counted} counted");
        assert!(counted <= 2 * heap + SLACK_BYTES, "{what}: {counted} counted, {heap} bytes of the heap");
        assert!(counted <= self.keyspace.bytes_limit(), "{what}: {counted} bytes");
    }
}

fn random_request(random: &mut Random, keys: usize, long: usize) -> String {
    let bytes = if random.below(20) == 0 { long } else { 60 };
    let value = "v".repeat(random.below(bytes));
    let (key, other, field) = (random.below(keys), random.below(keys), random.below(3_000));
    let ends = ["LEFT", "RIGHT"];
    match random.below(12) {
        0 | 1 => format!("RPUSH l{key} {value}- e{field} {value}+"),
        2 => format!("LPUSH l{key} e{field}{value}"),
        3 => format!("LPOP l{key} {}", random.below(9)),
        4 => format!("RPOP l{key} 3"),
        5 => format!("LREM l{key} {} e{field}", random.pick(&["0", "1", "-2"])),
        6 => format!("LMOVE l{key} l{other} {} {}", random.pick(&ends), random.pick(&ends)),
        7 | 8 => format!("HSET h{key} f{field} {value}x g{field} 1"),
        9 => format!("HDEL h{key} f{field} g{other}"),
        10 => format!("SET s{field} x{value}"),
        _ => format!("DEL s{field} {}{key}", random.pick(&["s", "s", "s", "l", "h"])),
    }
}

fn random_commands_are_counted_as_they_are_allocated() {
    for (seed, keys, long) in [(1, 4, 30_000), (2, 4, 2_000), (3, 2_000, 3_000), (4, 300, 300)] {
        let (mut data, mut random, mut refused) = (Data::new(), Random(seed), 0);
        for step in 0..60_000 {
            refused += u32::from(!data.ask(&random_request(&mut random, keys, long)));
            if step % 1_000 == 0 {
                data.check(&format!("seed {seed}, step {step}"));
            }
        }
        data.ask("FLUSHALL");
        data.check("without data");
        assert!(keys != 300 || refused == 0 || data.keyspace.bytes() == 0);
    }
}

fn emptied_lists_hashes_and_keys_give_back() {
    let mut data = Data::new();
    for key in 0..8 {
        while data.ask(&format!("RPUSH list{key} {}", "e".repeat(100))) {}
        assert!(data.keyspace.list_len(format!("list{key}").as_bytes()) > 60_000, "list {key}");
        data.check("a full list");
        let len = |data: &Data| data.keyspace.list_len(format!("list{key}").as_bytes());
        while len(&data) > 1 {
            data.ask(&format!("LPOP list{key} {}", (len(&data) - 1).min(10_000)));
        }
        data.check("a list that was emptied");
    }
    for key in 0..4 {
        let mut fields = 0;
        while data.ask(&format!("HSET hash{key} field{fields} value")) {
            fields += 1;
        }
        data.check("a full hash");
        for field in 1..fields {
            data.ask(&format!("HDEL hash{key} field{field}"));
        }
        data.check("a hash that was emptied");
    }
    let mut keys = 0;
    while data.ask(&format!("SET key{keys} value")) {
        keys += 1;
    }
    data.check("full of keys");
    for key in 0..keys {
        data.ask(&format!("DEL key{key}"));
    }
    data.check("after all keys");
    assert!(data.keyspace.bytes() < 12 * 4_096, "{} bytes for 12 nearly empty keys", data.keyspace.bytes());
}

/// A store and its clients.
struct Node {
    store: Store,
    connections: Connections,
    now: Instant,
}

struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

impl Node {
    fn call<R>(&mut self, call: impl FnOnce(&mut Store, &mut Context<'_>) -> R) -> R {
        let (connections, now) = (&mut self.connections, self.now);
        let unix_time = Duration::from_secs(1);
        let mut context = Context { now, unix_time, entropy: &mut NoEntropy, connections, disk: None };
        call(&mut self.store, &mut context)
    }

    fn connect(&mut self) -> ConnectionId {
        let id = self.connections.open(0, Origin::Accepted(0)).expect("room");
        self.call(|store, context| store.opened(id, Origin::Accepted(0), context));
        id
    }

    /// Sends a request and takes no reply beyond what a connection holds.
    fn send(&mut self, id: ConnectionId, request: &str) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        // One that is not read from takes no more.
        let _ = connection.input.write(format!("{request}\r\n").as_bytes());
        self.call(|store, context| store.ready(id, context));
        self.call(|store, context| store.turn(context));
    }

    /// What the connections themselves hold, which has limits of its own.
    fn connections_bytes(&self) -> usize {
        self.connections
            .iter()
            .map(|(_, connection)| connection.input.storage_bytes() + connection.output.storage_bytes())
            .sum()
    }
}

fn clients_take_no_more_than_their_limits() {
    let store = Store::new(&Settings::from_pairs([("MAXMEMORY", "4mb")])).expect("a size");
    let mut node = Node { store, connections: Connections::new(), now: Instant::from_millis(1) };
    node.call(|store, context| store.start(context)).expect("it starts");
    let before = HEAP.allocated();
    let clients: Vec<_> = (0..CLIENTS_MAX).map(|_| node.connect()).collect();
    let long = "x".repeat(30_000);
    node.send(clients[0], &format!("SET big {long}"));
    for _ in 0..60 {
        node.send(clients[0], &format!("RPUSH many {long}"));
    }
    let data = 3 * 1024 * 1024;
    let most = data + CLIENTS_BYTES_MAX + WAIT_BYTES_MAX + WATCH_BYTES_MAX + 4 * 1024 * 1024;
    let many = (0..1_000).map(|number| format!("k{number} ")).collect::<String>();
    let spell = [
        format!("CLIENT SETNAME {}", "n".repeat(256)),
        format!("WATCH {many}"),
        format!("WATCH {long}"),
        "LRANGE many 0 -1".to_owned(),
        format!("EXISTS {many}"),
        format!("PING {long}{long}"),
        "MULTI".to_owned(),
        format!("SET k {long}"),
        "PING\r\n".repeat(300),
        "DISCARD".to_owned(),
        format!("BLPOP {many} 0"),
    ];
    for request in &spell {
        for client in &clients {
            node.send(*client, request);
        }
        let heap = HEAP.allocated() - before - node.connections_bytes();
        let shown = &request[..request.len().min(20)];
        assert!(
            heap <= most,
            "{shown}: {heap} bytes of the heap beside what connections hold, {most} at most"
        );
    }
    for client in clients {
        node.call(|store, context| store.closed(client, context));
        node.connections.remove(client);
    }
    let heap = HEAP.allocated() - before - node.connections_bytes();
    let spare = CLIENTS_MAX * 2 * 4 * 1024;
    assert!(
        heap < data + spare,
        "{heap} bytes after all clients have gone, buffers for the next ones included"
    );
}

#[test]
fn the_heap_is_counted_and_given_back() {
    random_commands_are_counted_as_they_are_allocated();
    emptied_lists_hashes_and_keys_give_back();
    clients_take_no_more_than_their_limits();
}
