//! Several workers on one real store, command by command, in chosen and in drawn orders.
//!
//! No network: bytes lie in a buffer until the test delivers them, which may be long after the worker that
//! sent them is gone.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::QueueConsumer;
use super::bench::Conversation;
use crate::limits::{FORGET_AFTER, ORPHAN_AFTER, REPLY_TIMEOUT};
use kernel_app::client::StoreLogin;
use kernel_app::secret::Secret;
use kernel_app::{ConnectionId, Settings};
use simulator::harness::Harness;
use store_service::Store;
use votes::keys;
use wire::Buffer;
use wire::resp::{Reply, parse_reply, write_command};

/// The store's end of a worker's connection, and the replies that are on the way on it.
struct Line {
    id: ConnectionId,
    to_worker: Buffer,
}

/// A worker; without a line it is not connected, or does not get to work.
struct Worker {
    name: String,
    conversation: Conversation,
    line: Option<Line>,
}

/// A connection whose worker is gone, which the store does not know yet.
struct Orphaned {
    id: ConnectionId,
    to_store: Buffer,
}

struct Workers {
    harness: Harness<Store>,
    workers: Vec<Worker>,
    orphaned: Vec<Orphaned>,
    operator: ConnectionId,
    /// The sequence that was seen to count for a voter.
    counted: BTreeMap<String, u64>,
}

fn conversation(name: &str) -> Conversation {
    Conversation::new(QueueConsumer::new(name), StoreLogin::default())
}

impl Workers {
    fn new(names: &[&str]) -> Self {
        let mut harness = Harness::new(Store::new(&Settings::default()).expect("good settings"));
        let operator = harness.accept();
        let worker =
            |name: &&str| Worker { name: name.to_string(), conversation: conversation(name), line: None };
        let workers = names.iter().map(worker).collect();
        Self { harness, workers, orphaned: Vec::new(), operator, counted: BTreeMap::new() }
    }

    fn connect(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        worker.line = Some(Line { id: self.harness.accept(), to_worker: Buffer::new(64 * 1024) });
        worker.conversation.connect(self.harness.now);
    }

    /// The worker is gone with all that it knew. Its connection is gone too, or stays for a while.
    fn kill(&mut self, index: usize, noticed: bool) {
        match self.orphan(index) {
            Some(orphaned) if noticed => self.harness.close(orphaned.id),
            orphaned => self.orphaned.extend(orphaned),
        }
        let worker = &mut self.workers[index];
        worker.conversation = conversation(&worker.name);
    }

    /// Takes a worker's connection away from it, with what has not left yet.
    fn orphan(&mut self, index: usize) -> Option<Orphaned> {
        let worker = &mut self.workers[index];
        let Line { id, .. } = worker.line.take()?;
        let to_store = worker.conversation.output().map(core::mem::take).unwrap_or_default();
        Some(Orphaned { id, to_store })
    }

    /// The next command of a worker reaches the store. False when there is none.
    fn deliver(&mut self, index: usize) -> bool {
        let Worker { line: Some(line), conversation, .. } = &mut self.workers[index] else { return false };
        let Some(command) = conversation.output().and_then(take_command) else { return false };
        let id = line.id;
        self.execute(id, &command);
        true
    }

    /// A command of a worker that is gone reaches the store.
    fn deliver_orphaned(&mut self, index: usize) {
        let Orphaned { id, to_store } = &mut self.orphaned[index];
        let id = *id;
        match take_command(to_store) {
            Some(command) => self.execute(id, &command),
            None => {
                self.orphaned.remove(index);
                self.harness.close(id);
            }
        }
    }

    fn execute(&mut self, id: ConnectionId, command: &[u8]) {
        self.harness.receive(id, command);
        self.collect();
        if command.ends_with(b"EXEC\r\n") {
            self.check();
        }
    }

    /// Replies leave the store: also of those that were blocked.
    fn collect(&mut self) {
        for line in self.workers.iter_mut().filter_map(|worker| worker.line.as_mut()) {
            line.to_worker.write(self.harness.sent(line.id).as_bytes()).expect("room");
        }
    }

    /// A worker takes the replies that have come. False when there are none.
    fn react(&mut self, index: usize) -> bool {
        let now = self.harness.now;
        let Worker { line: Some(line), conversation, .. } = &mut self.workers[index] else { return false };
        if line.to_worker.is_empty() {
            return false;
        }
        if !conversation.receive(&mut line.to_worker, now) {
            assert!(conversation.is_silent(), "{:?}", conversation.readiness());
            let orphaned = self.orphan(index);
            self.orphaned.extend(orphaned);
        }
        true
    }

    /// What a worker does because time has passed.
    fn tick(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if worker.line.is_some() && !worker.conversation.serve(self.harness.now) {
            let orphaned = self.orphan(index);
            self.orphaned.extend(orphaned);
        }
    }

    /// One step of a worker: a command of it, or else what it makes of the replies.
    fn step(&mut self, index: usize) -> bool {
        self.deliver(index) || self.react(index)
    }

    fn pass(&mut self, duration: Duration) {
        self.harness.pass(duration);
        self.collect();
    }

    /// Lets every worker that is connected work until nothing is left to be done, at least for this long.
    fn settle(&mut self, duration: Duration) {
        let end = self.harness.now + duration;
        for _ in 0..1_000_000 {
            let moved = (0..self.workers.len()).filter(|index| self.step(*index)).count();
            if moved > 0 {
                continue;
            }
            if self.harness.now >= end {
                return;
            }
            self.pass(Duration::from_millis(10));
            (0..self.workers.len()).for_each(|index| self.tick(index));
        }
        panic!("it does not come to rest");
    }

    fn ask(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut command = Buffer::new(64 * 1024);
        write_command(&mut command, args).expect("room");
        self.harness.receive(self.operator, command.as_slice());
        self.collect();
        self.harness.sent(self.operator).into_bytes()
    }

    fn push(&mut self, payload: &str) {
        self.ask(&[b"RPUSH", keys::QUEUE, payload.as_bytes()]);
    }

    /// The hash's fields and values.
    fn hash(&mut self, key: &str) -> BTreeMap<String, String> {
        let reply = self.ask(&[b"HGETALL", key.as_bytes()]);
        let Ok(Some((Reply::Array(mut items), _))) = parse_reply(&reply) else { panic!("no array") };
        let mut text = || match items.next()? {
            Reply::Bulk(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            other => panic!("{other:?}"),
        };
        core::iter::from_fn(|| Some((text()?, text()?))).collect()
    }

    /// A voter is in one of the results, and what counts there is only ever overridden by what is newer.
    fn check(&mut self) {
        let (a, b) = (self.hash("results:a"), self.hash("results:b"));
        assert!(a.keys().all(|voter| !b.contains_key(voter)), "in both: {a:?} {b:?}");
        let now: BTreeMap<_, u64> =
            a.into_iter().chain(b).map(|(voter, held)| (voter, held.parse().expect("a number"))).collect();
        for (voter, before) in &self.counted {
            assert!(now.get(voter).is_some_and(|held| held >= before), "{voter}: {before} then {now:?}");
        }
        self.counted = now;
    }

    /// Whose vote counts for what.
    fn choices(&mut self) -> BTreeMap<String, &'static str> {
        let (a, b) = (self.hash("results:a"), self.hash("results:b"));
        a.into_keys().map(|voter| (voter, "a")).chain(b.into_keys().map(|voter| (voter, "b"))).collect()
    }

    fn length(&mut self, key: &str) -> String {
        let reply = self.ask(&[b"LLEN", key.as_bytes()]);
        String::from_utf8(reply).expect("text").trim_matches([':', '\r', '\n']).to_string()
    }

    fn assert_nothing_left(&mut self) {
        let lists = self.workers.iter().map(|worker| format!("votes:processing:{}", worker.name));
        for key in lists.chain(["votes".to_string()]).collect::<Vec<_>>() {
            assert_eq!(self.length(&key), "0", "{key}");
        }
    }
}

/// The first command in the buffer.
pub(super) fn take_command(buffer: &mut Buffer) -> Option<Vec<u8>> {
    let (_, length) = parse_reply(buffer.as_slice()).expect("RESP")?;
    let command = buffer.as_slice()[..length].to_vec();
    buffer.consume(length);
    Some(command)
}

fn vote(voter: &str, choice: &str, sequence: u64) -> String {
    format!(r#"{{"voter_id":"{voter}","vote":"{choice}","seq":"{sequence}"}}"#)
}

/// Long enough for every pause and every wait on an empty queue.
const QUIET: Duration = Duration::from_secs(12);

/// Two workers, each with one vote of the same voter in its hands, of which it has not said a word.
fn two_with_a_vote_each(sequences: [u64; 2]) -> Workers {
    let mut workers = Workers::new(&["one", "two"]);
    for (index, choice) in [(0, "a"), (1, "b")] {
        workers.connect(index);
        while workers.step(index) {}
        workers.push(&vote("x", choice, sequences[index]));
    }
    workers
}

#[test]
fn of_two_votes_the_later_wins_in_whatever_order_two_workers_go() {
    let mut orders = 0;
    for sequences in [[5, 9], [9, 5]] {
        let winner = if sequences[0] > sequences[1] { "a" } else { "b" };
        // One goes so many steps, the other so many, the first again, and then both as they come.
        for first in 0..24 {
            for second in 0..24 {
                for third in [0, 1, 2, 3, 5, 8, 100] {
                    let mut workers = two_with_a_vote_each(sequences);
                    for (index, steps) in [(0, first), (1, second), (0, third)] {
                        for _ in 0..steps {
                            workers.step(index);
                        }
                    }
                    workers.settle(Duration::from_millis(100));
                    assert_eq!(workers.choices()["x"], winner, "{sequences:?}: {first}, {second}, {third}");
                    workers.assert_nothing_left();
                    orders += 1;
                }
            }
        }
    }
    assert_eq!(orders, 2 * 24 * 24 * 7);
}

#[test]
fn a_killed_workers_vote_is_counted_by_its_successor_or_another_worker() {
    for steps in 0..24 {
        for noticed in [true, false] {
            for comes_back in [true, false] {
                let mut workers = two_with_a_vote_each([9, 5]);
                (0..steps).for_each(|_| _ = workers.step(0));
                workers.kill(0, noticed);
                if comes_back {
                    workers.connect(0);
                }
                let within = if comes_back { QUIET } else { ORPHAN_AFTER + QUIET };
                workers.settle(within);
                assert_eq!(workers.choices()["x"], "a", "{steps} steps, {noticed}, {comes_back}");
                workers.assert_nothing_left();
                workers.orphaned.clear();
                let registered = workers.hash("votes:workers");
                workers.settle(FORGET_AFTER + QUIET);
                let left = if comes_back { 2 } else { 1 };
                assert_eq!((registered.len(), workers.hash("votes:workers").len()), (2, left));
            }
        }
    }
}

#[test]
fn a_worker_that_is_only_slow_changes_nothing_when_it_goes_on() {
    for steps in 0..24 {
        for late in [9, 5] {
            let mut workers = two_with_a_vote_each([late, 7]);
            (0..steps).for_each(|_| _ = workers.step(0));
            // The other takes over what it holds; meanwhile the voter changes its mind once more.
            let slow = workers.workers[0].line.take();
            workers.settle(ORPHAN_AFTER + QUIET);
            workers.push(&vote("x", "b", 8));
            workers.settle(QUIET);
            let before = workers.choices();
            assert_eq!(before["x"], if late == 9 { "a" } else { "b" });
            workers.workers[0].line = slow;
            workers.collect();
            workers.settle(REPLY_TIMEOUT / 2);
            workers.push(&vote("y", "a", 1));
            workers.settle(QUIET);
            assert_eq!(workers.choices()["x"], before["x"], "slow after {steps} steps");
            assert_eq!(workers.choices()["y"], "a");
            workers.assert_nothing_left();
        }
    }
}

#[test]
fn a_reclaimed_vote_is_counted_by_its_new_owner_alone() {
    for steps in 0..24 {
        let mut workers = two_with_a_vote_each([0, 0]);
        (0..steps).for_each(|_| _ = workers.step(0));
        workers.ask(&[b"LMOVE", b"votes:processing:one", b"votes", b"RIGHT", b"LEFT"]);
        workers.settle(QUIET);
        let done = workers.workers.iter().map(|worker| worker.conversation.consumer.stats());
        let counted: u64 = done.flat_map(|stats| stats.counted.map(|counter| counter.value())).sum();
        assert_eq!(counted, 2, "taken away after {steps} steps");
        workers.assert_nothing_left();
    }
}

#[test]
fn only_the_right_password_opens_the_store() {
    for (password, opens) in [(Some("open"), true), (Some("close"), false), (None, false)] {
        let settings = Settings::from_pairs([("REQUIREPASS", "open")]);
        let mut workers = Workers::new(&["one"]);
        workers.harness = Harness::new(Store::new(&settings).expect("good settings"));
        workers.operator = workers.harness.accept();
        workers.ask(&[b"AUTH", b"open"]);
        let secret = password.and_then(|password| Secret::new(password.as_bytes()));
        let login = StoreLogin::with_password(secret);
        workers.workers[0].conversation = Conversation::new(QueueConsumer::new("one"), login);
        workers.connect(0);
        workers.push(&vote("x", "a", 1));
        workers.settle(QUIET);
        assert_eq!(workers.choices().contains_key("x"), opens, "{password:?}");
        let readiness = workers.workers[0].conversation.readiness();
        let reason = if password.is_some() { "WRONGPASS" } else { "NOAUTH" };
        assert!(readiness.map_or_else(|error| error.contains(reason), |()| opens), "{password:?}");
    }
}

/// A number of a row that the seed decides.
pub(super) struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Votes of a few voters come late, twice and out of order, while workers are slow, are killed, leave
/// commands on the way, come back, or do not.
fn live_through(seed: u64) {
    const VOTERS: usize = 5;
    let mut workers = Workers::new(&["one", "two", "three"]);
    let mut dice = Dice(seed);
    let mut last = BTreeMap::new();
    let mut unsent: Vec<String> = Vec::new();
    for sequence in 1..=120 {
        let (voter, choice) = (format!("v{}", dice.below(VOTERS)), ["a", "b"][dice.below(2)]);
        (0..=dice.below(2)).for_each(|_| unsent.push(vote(&voter, choice, sequence)));
        last.insert(voter, choice);
    }
    while !unsent.is_empty() {
        let index = dice.below(3);
        match dice.below(100) {
            0..70 => _ = workers.step(index),
            70..85 => {
                let payload = unsent.swap_remove(dice.below(unsent.len().min(8)));
                workers.push(&payload);
            }
            85..93 => {
                workers.pass(Duration::from_millis(dice.below(700) as u64));
                (0..3).for_each(|index| workers.tick(index));
            }
            93..95 => workers.kill(index, dice.below(2) == 0),
            95..98 if workers.workers[index].line.is_none() => workers.connect(index),
            _ if workers.orphaned.is_empty() => {}
            _ => {
                let loose = dice.below(workers.orphaned.len());
                workers.deliver_orphaned(loose);
            }
        }
    }
    while !workers.orphaned.is_empty() {
        workers.deliver_orphaned(0);
    }
    // One of them stays away for good.
    workers.kill(2, true);
    for index in 0..2 {
        if workers.workers[index].line.is_none() {
            workers.connect(index);
        }
    }
    workers.settle(ORPHAN_AFTER + 2 * QUIET);
    assert_eq!(workers.choices(), last, "seed {seed}");
    workers.assert_nothing_left();
}

#[test]
fn the_last_choice_wins_through_everything_that_can_happen_to_workers() {
    (0..300).for_each(live_through);
}
