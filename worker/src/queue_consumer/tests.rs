//! The conversation against a store of a few lines that can fail at any command.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::time::Duration;

mod elsewhere;

use super::bench::Conversation;
use super::*;
use crate::limits::{BLOCK_S, REJECTED_MAX, REPLY_TIMEOUT};
use kernel_app::client::StoreLogin;
use votes::keys::{QUEUE, REJECTED};
use votes::{Choice, PAYLOAD_BYTES_MAX};
use wire::Buffer;
use wire::resp::{Reply, parse_reply, write};

type Bytes = Vec<u8>;

/// What a command comes to.
enum Effect {
    Reply(Answer),
    Blocks,
}

#[derive(Clone)]
enum Answer {
    Integer(usize),
    Element(Option<Bytes>),
    Elements(Vec<Option<Bytes>>),
    Ok,
    Error(&'static [u8]),
}

/// The commands that the consumer uses, on lists and hashes.
#[derive(Default)]
struct FakeStore {
    lists: BTreeMap<Bytes, VecDeque<Bytes>>,
    hashes: BTreeMap<Bytes, BTreeMap<Bytes, Bytes>>,
    transaction: Option<(Vec<Vec<Bytes>>, bool)>,
    executed: usize,
    /// The connection dies after this number of executed commands.
    dies_at: Option<usize>,
    /// Commands in this range, counted as they come, are refused.
    refuses: core::ops::Range<usize>,
    /// Changes of this hash fail when they are carried out.
    wrong_type: Option<&'static [u8]>,
}

impl FakeStore {
    fn list(&mut self, key: &[u8]) -> &mut VecDeque<Bytes> {
        self.lists.entry(key.to_vec()).or_default()
    }

    fn hash(&mut self, key: &[u8]) -> &mut BTreeMap<Bytes, Bytes> {
        self.hashes.entry(key.to_vec()).or_default()
    }

    fn run(&mut self, args: &[Bytes]) -> Effect {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        Effect::Reply(match args[..] {
            [b"LLEN", key] => Answer::Integer(self.list(key).len()),
            [b"RPUSH", key, element] => {
                self.list(key).push_back(element.to_vec());
                Answer::Integer(self.list(key).len())
            }
            [b"LPUSH", key, element] => {
                self.list(key).push_front(element.to_vec());
                Answer::Integer(self.list(key).len())
            }
            [b"LPOP", key] => Answer::Element(self.list(key).pop_front()),
            [b"LREM", key, b"1", element] => {
                let found = self.list(key).iter().position(|other| other == element);
                found.and_then(|index| self.list(key).remove(index));
                Answer::Integer(usize::from(found.is_some()))
            }
            [b"LMOVE", from, to, b"LEFT", b"RIGHT"] => {
                let element = self.list(from).pop_front();
                self.list(to).extend(element.clone());
                Answer::Element(element)
            }
            [b"LMOVE", from, to, b"RIGHT", b"LEFT"] => {
                let element = self.list(from).pop_back();
                element.iter().for_each(|element| self.list(to).push_front(element.clone()));
                Answer::Element(element)
            }
            [b"BLMOVE", from, to, b"LEFT", b"RIGHT", timeout_s] => {
                assert_eq!(timeout_s, BLOCK_S.to_string().as_bytes());
                let Some(element) = self.list(from).pop_front() else { return Effect::Blocks };
                self.list(to).push_back(element.clone());
                Answer::Element(Some(element))
            }
            [b"HSET" | b"HDEL", key, ..] if self.wrong_type == Some(key) => {
                Answer::Error(b"WRONGTYPE Operation against a key holding the wrong kind of value")
            }
            [b"HSET", key, ref pairs @ ..] => {
                let hash = self.hash(key);
                let added = pairs.chunks_exact(2).filter(|pair| {
                    let [field, value] = [pair[0], pair[1]].map(<[u8]>::to_vec);
                    hash.insert(field, value).is_none()
                });
                Answer::Integer(added.count())
            }
            [b"HDEL", key, ref fields @ ..] => {
                let hash = self.hash(key);
                Answer::Integer(fields.iter().filter(|field| hash.remove(**field).is_some()).count())
            }
            [b"HMGET", key, ref fields @ ..] => {
                let hash = self.hash(key);
                Answer::Elements(fields.iter().map(|field| hash.get(*field).cloned()).collect())
            }
            [b"HINCRBY", key, field, b"1"] => {
                let count = self.hash(key).entry(field.to_vec()).or_default();
                let next = count.first().map_or(1, |digit| (digit - b'0') % 9 + 1);
                *count = vec![b'0' + next];
                Answer::Integer(next.into())
            }
            [b"HGETALL", key] => {
                let pairs = self.hash(key).iter().flat_map(|(field, value)| [field.clone(), value.clone()]);
                Answer::Elements(pairs.map(Some).collect())
            }
            // Nobody else is there.
            [b"WATCH", ..] | [b"UNWATCH"] => Answer::Ok,
            _ => panic!("unknown command {:?}", args.iter().map(|arg| arg.escape_ascii().to_string())),
        })
    }

    /// One command with its reply. False when it blocks, and must come again.
    fn command(&mut self, args: Vec<Bytes>, output: &mut Buffer) -> bool {
        let refused = self.refuses.contains(&self.executed);
        let (name, queues) = (args[0].clone(), self.transaction.is_some());
        match &name[..] {
            // As in Redis, these are never short of memory.
            _ if refused && ![&b"PING"[..], b"MULTI", b"EXEC"].contains(&&name[..]) => {
                self.transaction.iter_mut().for_each(|(_, failed)| *failed = true);
                put(output, Answer::Error(b"OOM command not allowed when used memory > 'maxmemory'."));
            }
            b"PING" => write::simple(output, b"PONG").expect("room"),
            b"MULTI" => {
                self.transaction = Some((Vec::new(), false));
                write::simple(output, b"OK").expect("room");
            }
            b"EXEC" => self.exec(output),
            _ if queues => {
                self.transaction.iter_mut().for_each(|(commands, _)| commands.push(args.clone()));
                write::simple(output, b"QUEUED").expect("room");
            }
            _ => match self.run(&args) {
                Effect::Reply(answer) => put(output, answer),
                Effect::Blocks => return false,
            },
        }
        self.executed += 1;
        true
    }

    fn exec(&mut self, output: &mut Buffer) {
        let (commands, failed) = self.transaction.take().expect("EXEC follows MULTI");
        if failed {
            return put(
                output,
                Answer::Error(b"EXECABORT Transaction discarded because of previous errors."),
            );
        }
        write::array(output, commands.len()).expect("room");
        for command in commands {
            let Effect::Reply(answer) = self.run(&command) else { panic!("no command in EXEC blocks") };
            put(output, answer);
        }
    }
}

fn put(output: &mut Buffer, answer: Answer) {
    match answer {
        Answer::Integer(value) => write::length(output, value),
        Answer::Element(Some(bytes)) => write::bulk(output, &bytes),
        Answer::Element(None) => write::null(output),
        Answer::Elements(elements) => {
            write::array(output, elements.len()).expect("room");
            return elements.into_iter().for_each(|element| put(output, Answer::Element(element)));
        }
        Answer::Ok => write::simple(output, b"OK"),
        Answer::Error(message) => write::error(output, message),
    }
    .expect("room");
}

/// A consumer, a store, and the connection between them.
struct Bench {
    worker: Conversation,
    store: FakeStore,
    to_worker: Buffer,
    now: Instant,
    /// The store waits in a `BLMOVE` since.
    blocked_at: Option<Instant>,
    pipelines: usize,
}

impl Bench {
    fn new() -> Self {
        Self::of(QueueConsumer::new("w1"))
    }

    fn of(consumer: QueueConsumer) -> Self {
        let mut bench = Self {
            worker: Conversation::new(consumer, StoreLogin::default()),
            store: FakeStore::default(),
            to_worker: Buffer::new(8 * 1024 * 1024),
            now: Instant::ZERO,
            blocked_at: None,
            pipelines: 0,
        };
        bench.connect();
        bench
    }

    fn connect(&mut self) {
        self.to_worker.clear();
        self.store.transaction = None;
        self.blocked_at = None;
        self.worker.connect(self.now);
    }

    fn receive(&mut self) {
        assert!(self.worker.receive(&mut self.to_worker, self.now), "{:?}", self.worker.readiness());
    }

    /// The end of a pause, if there is one.
    fn pause_ends(&self) -> Option<Instant> {
        let Phase::Paused(until) = self.worker.consumer.phase else { return None };
        Some(until)
    }

    /// Time passes until the pause is over.
    fn end_pause(&mut self, until: Instant) {
        self.now = until;
        assert!(self.worker.serve(self.now), "{:?}", self.worker.readiness());
    }

    fn push(&mut self, payload: &[u8]) {
        self.store.list(QUEUE).push_back(payload.to_vec());
    }

    /// `count` votes of as many voters; each third for b.
    fn push_votes(&mut self, count: usize) {
        for voter in 0..count {
            let vote = if voter % 3 == 2 { "b" } else { "a" };
            self.push(format!(r#"{{"voter_id":"{voter}","vote":"{vote}","id":"i{voter}"}}"#).as_bytes());
        }
    }

    /// The store works off what it has; false when its connection died on the way.
    fn serve(&mut self) -> bool {
        let Self { worker, store, to_worker, blocked_at, now, .. } = self;
        let output = worker.output().expect("a connection");
        while let Ok(Some((Reply::Array(items), length))) = parse_reply(output.as_slice()) {
            if store.dies_at.take_if(|at| *at <= store.executed).is_some() {
                return false;
            }
            let element = |reply| if let Reply::Bulk(bytes) = reply { bytes.to_vec() } else { Vec::new() };
            let args: Vec<Bytes> = items.map(element).collect();
            if !store.command(args, to_worker) {
                let since = *blocked_at.get_or_insert(*now);
                if *now - since < Duration::from_secs(u64::from(BLOCK_S)) {
                    return true;
                }
                write::null_array(to_worker).expect("room");
            }
            *blocked_at = None;
            output.consume(length);
        }
        true
    }

    /// Runs until the store is blocked on an empty queue with nothing else to do; time passes only
    /// for pauses. A connection that dies is made again.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.serve() {
                self.connect();
            }
            if !self.to_worker.is_empty() {
                self.pipelines += 1;
                self.receive();
            } else if let Some(until) = self.pause_ends() {
                self.end_pause(until);
            } else if self.blocked_at.is_some() && self.store.list(QUEUE).is_empty() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// The voters of each option.
    fn voters(&mut self) -> [Vec<String>; 2] {
        Choice::ALL.map(|choice| {
            let keys = self.store.hash(choice.results_key()).keys();
            keys.map(|key| String::from_utf8_lossy(key).into_owned()).collect()
        })
    }

    fn assert_nothing_left(&mut self) {
        assert!(self.store.list(QUEUE).is_empty());
        assert!(self.store.list(b"votes:processing:w1").is_empty());
    }
}

fn vote(voter: &str, vote: &str) -> Bytes {
    format!(r#"{{"voter_id":"{voter}","vote":"{vote}"}}"#).into_bytes()
}

fn numbered(voter: &str, vote: &str, sequence: u64) -> Bytes {
    format!(r#"{{"voter_id":"{voter}","vote":"{vote}","seq":"{sequence}"}}"#).into_bytes()
}

#[test]
fn votes_are_counted_and_the_last_of_a_voter_wins() {
    let mut bench = Bench::new();
    bench.settle();
    for (voter, choice) in [("x", "a"), ("y", "a"), ("x", "b"), ("y", "b"), ("y", "a"), ("y", "a")] {
        bench.push(&vote(voter, choice));
    }
    bench.settle();
    assert_eq!(bench.voters(), [vec!["y"], vec!["x"]]);
    assert_eq!(bench.worker.consumer.stats().counted.map(|counter| counter.value()), [4, 2]);
    bench.assert_nothing_left();
    assert_eq!(bench.worker.readiness(), Ok(()));
}

#[test]
fn the_sequence_of_the_vote_that_counts_is_kept_with_it() {
    let mut bench = Bench::new();
    for (choice, sequence) in [("a", 7), ("b", 5), ("b", 9), ("b", 9), ("a", 8)] {
        bench.push(&numbered("x", choice, sequence));
    }
    bench.settle();
    assert_eq!(bench.voters(), [vec![], vec!["x".to_string()]]);
    assert_eq!(bench.store.hash(b"results:b")[&b"x"[..]], b"9");
    let stats = *bench.worker.consumer.stats();
    assert_eq!((stats.counted.map(|counter| counter.value()), stats.superseded.value()), ([1, 1], 3));
    bench.push(&numbered("x", "a", 9));
    bench.settle();
    assert_eq!(bench.voters(), [vec![], vec!["x".to_string()]], "in a later transaction too");
    bench.push(&vote("x", "a"));
    bench.push(&numbered("x", "b", 8));
    bench.settle();
    assert_eq!(bench.voters()[0], ["x"], "without a sequence the last to come counts");
    assert_eq!(bench.store.hash(b"results:a")[&b"x"[..]], b"9", "and no older one overrides it");
    bench.assert_nothing_left();
}

#[test]
fn a_batch_costs_two_pipelines() {
    let mut bench = Bench::new();
    let batches = 20;
    bench.push_votes(batches * BATCH_MAX);
    bench.settle();
    assert_eq!(bench.voters().map(|voters| voters.len()), [854, 426]);
    assert!(bench.pipelines <= 2 * batches + 8, "{} pipelines", bench.pipelines);
}

#[test]
fn an_idle_worker_only_blocks() {
    let mut bench = Bench::new();
    bench.settle();
    let (executed, pipelines) = (bench.store.executed, bench.pipelines);
    for _ in 0..10 {
        bench.now = bench.now + Duration::from_secs(u64::from(BLOCK_S));
        bench.settle();
    }
    assert_eq!(bench.pipelines - pipelines, 20, "half of them to show itself");
    assert!(bench.store.executed - executed <= 60);
}

#[test]
fn a_connection_that_dies_at_any_command_loses_and_reorders_nothing() {
    let mut untroubled = Bench::new();
    untroubled.push_votes(100);
    untroubled.push(&vote("1", "b"));
    untroubled.settle();
    let (expected, commands) = (untroubled.voters(), untroubled.store.executed);
    assert!(commands > 250, "{commands}");
    for dies_at in 0..commands {
        let mut bench = Bench::new();
        bench.push_votes(100);
        bench.push(&vote("1", "b"));
        bench.store.dies_at = Some(dies_at);
        bench.settle();
        assert_eq!(bench.store.dies_at, None);
        assert_eq!(bench.voters(), expected, "after death at {dies_at}");
        bench.assert_nothing_left();
    }
}

#[test]
fn refused_commands_are_tried_again_and_nothing_is_lost_or_reordered() {
    for first in 0..400 {
        let mut bench = Bench::new();
        bench.push_votes(70);
        bench.push(&vote("1", "b"));
        bench.push(b"not a vote");
        bench.store.refuses = first..first + 90;
        bench.settle();
        let [a, b] = bench.voters();
        assert_eq!((a.len(), b.len()), (46, 24), "refused from {first}");
        assert!(b.contains(&"1".to_string()));
        assert_eq!(bench.store.list(REJECTED).len(), 1);
        bench.assert_nothing_left();
        assert_eq!(bench.worker.readiness(), Ok(()));
    }
}

#[test]
fn the_pauses_after_errors_grow_and_the_reason_is_told() {
    let mut bench = Bench::new();
    bench.store.refuses = 0..usize::MAX;
    let mut paused = Vec::new();
    while paused.len() < 9 {
        assert!(bench.serve());
        bench.receive();
        let Some(until) = bench.pause_ends() else { continue };
        assert!(bench.worker.output().expect("a connection").is_empty(), "nothing is sent into a pause");
        paused.push((until - bench.now).as_millis());
        bench.end_pause(until);
    }
    for (pause, longest) in paused.into_iter().zip([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]) {
        assert!((longest / 2..=longest).contains(&pause), "{pause} of {longest} ms");
    }
    let reason = bench.worker.readiness().expect_err("failing");
    assert!(reason.starts_with("REDIS_URL: OOM command not allowed"), "{reason}");
    bench.store.refuses = 0..0;
    bench.settle();
    assert_eq!(bench.worker.readiness(), Ok(()));
    assert_eq!(bench.worker.consumer.backoff, BACKOFF_MIN);
}

#[test]
fn a_wrong_type_within_a_transaction_loses_no_vote() {
    for key in [&b"results:a"[..], b"results:b"] {
        let mut bench = Bench::new();
        bench.push_votes(5);
        bench.push(&vote("0", "b"));
        bench.store.wrong_type = Some(key);
        let mut failures = 0;
        for _ in 0..50 {
            assert!(bench.serve());
            bench.receive();
            if let Some(until) = bench.pause_ends() {
                failures += 1;
                assert!(bench.worker.readiness().expect_err("failing").contains("WRONGTYPE"));
                bench.end_pause(until);
            }
        }
        assert!(failures > 3, "{failures}");
        bench.store.wrong_type = None;
        bench.settle();
        assert_eq!(bench.worker.readiness(), Ok(()), "while the next BLMOVE is held");
        assert_eq!(bench.voters(), [vec!["1", "3", "4"], vec!["0", "2"]]);
        bench.assert_nothing_left();
    }
}

#[test]
fn what_is_no_vote_is_kept_aside_and_bounded() {
    let mut bench = Bench::new();
    let bad = REJECTED_MAX + 300;
    for number in 0..bad {
        bench.push(format!("bad {number}").as_bytes());
        bench.push(&vote(&number.to_string(), "a"));
    }
    bench.push(br#"{"voter_id":"x","vote":"c"}"#);
    bench.settle();
    bench.push(b"");
    bench.settle();
    assert_eq!(bench.voters()[0].len(), bad);
    assert_eq!(bench.worker.consumer.stats().rejected.value() as usize, bad + 2);
    assert!(bench.store.list(REJECTED).len() <= REJECTED_MAX + BATCH_MAX);
    bench.now = bench.now + Duration::from_secs(u64::from(BLOCK_S));
    bench.settle();
    let kept = bench.store.list(REJECTED);
    assert_eq!(kept.len(), REJECTED_MAX);
    assert_eq!((&kept[0][..], kept.back().map(Vec::as_slice)), (&b"bad 302"[..], Some(&b""[..])));
    bench.assert_nothing_left();
}

#[test]
fn oversized_elements_are_kept_aside_unread() {
    let mut bench = Bench::new();
    let large = vec![b'{'; 3 * 1024 * 1024];
    bench.push(&large);
    bench.push_votes(70);
    bench.push(&large);
    bench.push(&vote("1", "b"));
    bench.push(&large);
    bench.push(&vote("1", "a"));
    bench.settle();
    assert_eq!(bench.voters().map(|voters| voters.len()), [47, 23]);
    assert_eq!(bench.worker.consumer.stats().rejected.value(), 3);
    assert_eq!(bench.store.list(REJECTED).len(), 3);
    bench.assert_nothing_left();
}

#[test]
fn a_batch_of_the_largest_votes_fits() {
    let mut bench = Bench::new();
    let voter = |index: usize| format!("{}{:03}", "\\ud83d\\ude00".repeat(252), index);
    let padding = " ".repeat(PAYLOAD_BYTES_MAX - vote(&voter(0), "a").len());
    for index in 0..200 {
        let mut payload = vote(&voter(index), "a");
        payload.extend(padding.bytes());
        bench.push(&payload);
    }
    bench.settle();
    assert_eq!(bench.voters()[0].len(), 200);
    bench.assert_nothing_left();
}

#[test]
fn votes_moved_on_a_dead_connection_count_before_newer_ones() {
    let mut bench = Bench::new();
    bench.settle();
    // The store serves the BLMOVE of a connection that is long dead.
    bench.store.list(b"votes:processing:w1").push_back(vote("x", "a"));
    bench.push(&vote("x", "b"));
    bench.settle();
    assert_eq!(bench.voters(), [vec![], vec!["x".to_string()]]);
    bench.store.list(b"votes:processing:w1").push_back(vote("x", "a"));
    bench.now = bench.now + Duration::from_secs(u64::from(BLOCK_S));
    bench.settle();
    bench.now = bench.now + Duration::from_secs(u64::from(BLOCK_S));
    bench.settle();
    assert_eq!(bench.voters()[0], ["x"], "found by an idle worker too");
    bench.assert_nothing_left();
}

#[test]
fn a_silent_store_is_given_up_and_a_blocked_one_is_not() {
    let mut bench = Bench::new();
    bench.settle();
    let blocked = bench.now + Duration::from_secs(u64::from(BLOCK_S));
    assert!(bench.worker.serve(blocked));
    let silent = bench.worker.client.next_deadline().expect("a reply is awaited");
    assert_eq!(silent, bench.now + REPLY_TIMEOUT);
    assert!(!bench.worker.serve(silent));
    bench.worker.disconnect(silent);
    assert!(bench.worker.readiness().expect_err("away").contains("silent"));
    let Conversation { consumer, client, .. } = &bench.worker;
    assert_eq!((client.next_deadline(), consumer.next_deadline(client)), (None, None));
}

#[test]
fn unexpected_replies_end_the_connection() {
    for reply in ["+OK\r\n+OK\r\n", ":1\r\n", "*0\r\n", "HTTP/1.1 200 OK\r\n", ":-1\r\n"] {
        let mut bench = Bench::new();
        bench.to_worker.write(b"+PONG\r\n").expect("room");
        bench.receive();
        bench.to_worker.write(reply.as_bytes()).expect("room");
        assert!(!bench.worker.receive(&mut bench.to_worker, bench.now), "{reply}");
    }
}
