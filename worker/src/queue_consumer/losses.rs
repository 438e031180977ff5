//! Workers on one real store and a model of the database, while either goes back to an older state, in drawn orders.
//!
//! No network, as in `multi_worker`. Vote instances are modelled by what they say to the store; the database by what
//! the statements of `recorder` do, whose SQL `tests/tests/going_back.rs` tries on a real server. What was sent to the
//! database is carried out when the test says so, which may be long after the store that it came from is gone.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::bench::Conversation;
use super::multi_worker::{Dice, take_command};
use super::{QueueConsumer, RecordFault, ToRecord};
use crate::limits::{BACKOFF_MAX, ORPHAN_AFTER};
use kernel_app::client::StoreLogin;
use kernel_app::{ConnectionId, Settings};
use simulator::harness::Harness;
use store_service::Store;
use votes::{Choice, Entry, sequence};
use wire::Buffer;
use wire::resp::{Reply, parse_reply, write_command};

const WORKERS: [&str; 2] = ["one", "two"];
const VOTERS: usize = 4;
const INSTANCES: usize = 2;
const STEPS: usize = 3_000;
/// The keys of a store that are put back with an older copy.
const LISTS: [&str; 4] = ["votes", "votes:processing:one", "votes:processing:two", "votes:rejected"];

/// A store's data.
#[derive(Clone, Default)]
struct Copy {
    lists: Vec<(&'static str, Vec<String>)>,
    epochs: Vec<String>,
    ticket: Option<String>,
}

/// A vote on its way into the database.
#[derive(Clone)]
struct Cast {
    voter: String,
    choice: Choice,
    sequence: u64,
    place: Option<usize>,
}

/// What a worker has sent to the database, and what became of it.
#[derive(Clone)]
struct Request {
    serial: u64,
    casts: Vec<Cast>,
    epochs: Vec<String>,
    registers_after: Option<u64>,
    outcome: Option<Result<BTreeSet<Vec<u8>>, RecordFault>>,
}

#[derive(Clone, Default)]
struct Database {
    /// Option, generation and sequence of each voter.
    rows: BTreeMap<String, (Choice, u64, u64)>,
    generations: BTreeMap<String, u64>,
}

impl Database {
    fn last_generation(&self) -> u64 {
        self.generations.values().copied().max().unwrap_or(0)
    }

    fn known_places<'a>(&'a self, epochs: &'a [String]) -> impl Iterator<Item = (usize, u64)> + 'a {
        let numbered = epochs.iter().enumerate();
        numbered.filter_map(|(index, epoch)| Some((index + 1, *self.generations.get(epoch)?)))
    }

    /// `REGISTER`.
    fn register(&mut self, epochs: &[String], after: u64) {
        if self.last_generation() != after {
            return;
        }
        let known = self.known_places(epochs).map(|(place, _)| place).max().unwrap_or(0);
        for (epoch, generation) in epochs[known..].iter().zip(after + 1..) {
            self.generations.insert(epoch.clone(), generation);
        }
    }

    /// `RECORD`.
    fn record(&mut self, request: &Request) -> Result<BTreeSet<Vec<u8>>, RecordFault> {
        let known: Vec<_> = self.known_places(&request.epochs).collect();
        let last_place = known.iter().map(|(place, _)| *place).max().unwrap_or(0);
        if request.casts.iter().filter_map(|cast| cast.place).max().unwrap_or(0) > last_place {
            return Err(RecordFault::UnknownEpoch(self.last_generation()));
        }
        let mut changed = BTreeSet::new();
        for cast in &request.casts {
            let of = |place| known.iter().filter(|known| known.0 <= place).map(|known| known.1).max();
            let generation = cast.place.map(|place| of(place).unwrap_or(0));
            let (_, old_generation, old_sequence) =
                self.rows.get(&cast.voter).copied().unwrap_or((cast.choice, 0, 0));
            let new = (generation.unwrap_or(0), cast.sequence);
            let old = (old_generation, old_sequence);
            if new > old || (generation.is_none() && old_generation > 0) {
                let (generation, sequence) = new.max(old);
                self.rows.insert(cast.voter.clone(), (cast.choice, generation, sequence));
                changed.insert(cast.voter.clone().into_bytes());
            }
        }
        Ok(changed)
    }
}

/// A vote instance: where it is on its way to the next answer.
#[derive(Default)]
struct Instance {
    /// The epoch's number, and whether it is noted.
    ticket: Option<u64>,
    has_begun: bool,
    /// The last epoch that was noted.
    epoch: String,
    vote: Option<Pending>,
}

/// A vote that is not answered.
#[derive(Clone)]
struct Pending {
    voter: usize,
    choice: Choice,
    sequence: Option<u64>,
}

/// What a voter may expect.
#[derive(Clone, Copy)]
struct Accepted {
    choice: Choice,
    sequence: u64,
    /// It may not count: it was lost with a store or a database, or a later one was refused.
    in_doubt: bool,
}

struct Worker {
    conversation: Conversation,
    /// The store's end of its connection, and the replies that are on the way.
    line: Option<(ConnectionId, Buffer)>,
    request: Option<Request>,
}

struct World {
    harness: Harness<Store>,
    operator: ConnectionId,
    database: Database,
    workers: Vec<Worker>,
    instances: Vec<Instance>,
    /// Statements whose sender is gone, and which reach the database all the same.
    orphaned: VecDeque<Request>,
    accepted: BTreeMap<usize, Accepted>,
    epochs: usize,
    /// How often an epoch was not known, for the test's own sake.
    unknown: usize,
}

fn store() -> (Harness<Store>, ConnectionId) {
    let mut harness = Harness::new(Store::new(&Settings::default()).expect("good settings"));
    let operator = harness.accept();
    (harness, operator)
}

fn conversation(name: &str) -> Conversation {
    Conversation::new(QueueConsumer::new(name).with_results_elsewhere(), StoreLogin::default())
}

impl World {
    fn new() -> Self {
        let (harness, operator) = store();
        let worker = |name| Worker { conversation: conversation(name), line: None, request: None };
        Self {
            harness,
            operator,
            database: Database::default(),
            workers: WORKERS.map(worker).into(),
            instances: (0..INSTANCES).map(|_| Instance::default()).collect(),
            orphaned: VecDeque::new(),
            accepted: BTreeMap::new(),
            epochs: 0,
            unknown: 0,
        }
    }

    fn ask(&mut self, args: &[&str]) -> Vec<u8> {
        let mut command = Buffer::new(64 * 1024);
        let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
        write_command(&mut command, &args).expect("room");
        self.harness.receive(self.operator, command.as_slice());
        self.collect();
        self.harness.sent(self.operator).into_bytes()
    }

    fn number(&mut self, args: &[&str]) -> u64 {
        match parse_reply(&self.ask(args)) {
            Ok(Some((Reply::Integer(number), _))) => u64::try_from(number).expect("a number"),
            other => panic!("{args:?}: {other:?}"),
        }
    }

    fn texts(&mut self, args: &[&str]) -> Vec<String> {
        let reply = self.ask(args);
        let text = |reply| {
            if let Reply::Bulk(bytes) = reply { String::from_utf8_lossy(bytes).into() } else { String::new() }
        };
        match parse_reply(&reply) {
            Ok(Some((Reply::Array(items), _))) => items.map(text).collect(),
            other => panic!("{args:?}: {other:?}"),
        }
    }

    fn collect(&mut self) {
        for (id, to_worker) in self.workers.iter_mut().filter_map(|worker| worker.line.as_mut()) {
            to_worker.write(self.harness.sent(*id).as_bytes()).expect("room");
        }
    }

    fn copy(&mut self) -> Copy {
        let lists = LISTS.map(|key| (key, self.texts(&["LRANGE", key, "0", "-1"]))).into();
        let epochs = self.texts(&["HGETALL", "votes:epochs"]);
        let ticket = match parse_reply(&self.ask(&["GET", "votes:ticket"])) {
            Ok(Some((Reply::Bulk(ticket), _))) => Some(String::from_utf8_lossy(ticket).into_owned()),
            _ => None,
        };
        Copy { lists, epochs, ticket }
    }

    /// The store is gone, and another is there that has these data.
    fn replace_store(&mut self, copy: &Copy) {
        self.doubt(|world, voter, accepted| !world.is_counted(voter, accepted));
        self.doubt(|world, voter, _| world.waits_unknown(voter, copy));
        (self.harness, self.operator) = store();
        for worker in &mut self.workers {
            worker.line = None;
            worker.conversation.disconnect(self.harness.now);
        }
        for index in 0..self.instances.len() {
            self.disconnect(index);
        }
        for (key, elements) in &copy.lists {
            elements.iter().for_each(|element| _ = self.ask(&["RPUSH", key, element]));
        }
        for pair in copy.epochs.chunks_exact(2) {
            self.ask(&["HSET", "votes:epochs", &pair[0], &pair[1]]);
        }
        if let Some(ticket) = &copy.ticket {
            self.ask(&["SET", "votes:ticket", ticket]);
        }
    }

    /// A vote of this voter waits in the copy, in an epoch that no worker has ever told the database of. How old it is
    /// nobody can know.
    fn waits_unknown(&self, voter: usize, copy: &Copy) -> bool {
        let known: Vec<u64> = copy
            .epochs
            .chunks_exact(2)
            .filter(|pair| self.database.generations.contains_key(&pair[0]))
            .map(|pair| pair[1].parse().expect("a number"))
            .collect();
        let last = known.into_iter().max();
        let begins = copy.epochs.chunks_exact(2).map(|pair| pair[1].parse::<u64>().expect("a number"));
        let unknown_from = begins.filter(|begin| last.is_none_or(|last| *begin > last)).min();
        copy.lists.iter().flat_map(|(_, elements)| elements).any(|element| {
            let vote = Entry::parse(element.as_bytes()).expect("a vote");
            *vote.voter_id == voter.to_string() && unknown_from.is_some_and(|from| vote.sequence >= from)
        })
    }

    fn is_counted(&self, voter: usize, accepted: &Accepted) -> bool {
        let row = self.database.rows.get(&voter.to_string());
        row.is_some_and(|(choice, _, sequence)| (*choice, *sequence) == (accepted.choice, accepted.sequence))
    }

    fn doubt(&mut self, of: impl Fn(&Self, usize, &Accepted) -> bool) {
        let doubtful: Vec<_> = self
            .accepted
            .iter()
            .filter(|(voter, vote)| of(self, **voter, vote))
            .map(|(voter, _)| *voter)
            .collect();
        for voter in doubtful {
            self.accepted.get_mut(&voter).expect("it is there").in_doubt = true;
        }
    }

    fn restore_database(&mut self, saved: &Database) {
        self.doubt(|world, voter, accepted| world.is_counted(voter, accepted));
        self.database = saved.clone();
        // Its sessions end with it.
        self.orphaned.clear();
        for worker in &mut self.workers {
            if let Some(request) = &mut worker.request {
                request.outcome = Some(Err(RecordFault::Trouble("lost".to_string())));
            }
        }
    }

    fn disconnect(&mut self, index: usize) {
        let instance = &mut self.instances[index];
        (instance.ticket, instance.has_begun) = (None, false);
    }

    /// The next step of a vote instance.
    fn step_instance(&mut self, index: usize, dice: &mut Dice) {
        let Instance { ticket, has_begun, vote, .. } = &self.instances[index];
        match (*ticket, *has_begun, vote.clone()) {
            (None, ..) => self.instances[index].ticket = Some(self.number(&["INCR", "votes:ticket"])),
            (Some(ticket), false, _) => {
                self.epochs += 1;
                let (epoch, begin) = (format!("e{}", self.epochs), sequence::first_of(ticket));
                let last = self.instances[index].epoch.clone();
                let is_same = self.texts(&["HGETALL", "votes:epochs"]).contains(&last);
                self.number(&["HSET", "votes:epochs", &epoch, &begin.to_string()]);
                let instance = &mut self.instances[index];
                (instance.has_begun, instance.epoch) = (true, epoch);
                if let Some(vote) = &mut instance.vote {
                    vote.sequence = vote.sequence.filter(|sequence| is_same && *sequence < begin);
                }
            }
            (_, _, None) => self.arrive(index, dice),
            (_, _, Some(mut vote)) if vote.sequence.is_none() => {
                vote.sequence = Some(sequence::first_of(self.number(&["INCR", "votes:ticket"])));
                self.instances[index].vote = Some(vote);
            }
            (_, _, Some(vote)) => self.queue(index, &vote, dice),
        }
    }

    fn arrive(&mut self, index: usize, dice: &mut Dice) {
        let (voter, choice) = (dice.below(VOTERS), Choice::ALL[dice.below(2)]);
        // A voter waits for an answer before the next vote.
        let waits = |instance: &Instance| instance.vote.as_ref().is_some_and(|vote| vote.voter == voter);
        if !self.instances.iter().any(waits) {
            self.instances[index].vote = Some(Pending { voter, choice, sequence: None });
        }
    }

    fn queue(&mut self, index: usize, vote: &Pending, dice: &mut Dice) {
        let (voter, choice) = (vote.voter, vote.choice);
        let sequence = vote.sequence.expect("it has one");
        let entry = format!(r#"{{"voter_id":"{voter}","vote":"{}","seq":"{sequence}"}}"#, choice.as_str());
        self.number(&["RPUSH", "votes", &entry]);
        if dice.below(20) == 0 {
            // The answer does not come, and the vote is queued once more.
            return self.disconnect(index);
        }
        self.instances[index].vote = None;
        self.accepted.insert(voter, Accepted { choice, sequence, in_doubt: false });
    }

    fn connect(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        worker.line = Some((self.harness.accept(), Buffer::new(64 * 1024)));
        worker.conversation.connect(self.harness.now);
    }

    /// One step of a worker: a command of it, what it makes of the replies, or what it says to the database.
    fn step_worker(&mut self, index: usize) -> bool {
        let now = self.harness.now;
        let Worker { conversation, request, line } = &mut self.workers[index];
        let Some((id, to_worker)) = line else {
            self.connect(index);
            return true;
        };
        if let Some(command) = conversation.output().and_then(take_command) {
            let id = *id;
            self.harness.receive(id, &command);
            self.collect();
            return true;
        }
        if !to_worker.is_empty() {
            if !conversation.receive(to_worker, now) {
                assert!(conversation.is_silent(), "{:?}", conversation.readiness());
                *line = None;
            }
            return true;
        }
        if let Some(Request { serial, outcome: Some(outcome), .. }) =
            request.take_if(|request| request.outcome.is_some())
        {
            self.unknown += usize::from(matches!(outcome, Err(RecordFault::UnknownEpoch(_))));
            let outcome = outcome.map(|changed| move |voter: &[u8]| changed.contains(voter));
            conversation.consumer.recorded(serial, outcome, now);
            conversation.serve(now);
            return true;
        }
        let Some(votes) = conversation.consumer.to_record().filter(|_| request.is_none()) else {
            return false;
        };
        *request = Some(sent(&votes));
        true
    }

    /// The database carries out the next statement of a worker that is there, or that is gone.
    fn step_database(&mut self, index: usize) -> bool {
        let Some(request) = self.workers[index].request.as_mut().filter(|request| request.outcome.is_none())
        else {
            return false;
        };
        carry_out(&mut self.database, request);
        true
    }

    fn step_orphaned(&mut self) {
        if let Some(mut request) = self.orphaned.pop_front() {
            carry_out(&mut self.database, &mut request);
            self.orphaned.extend(Some(request).filter(|request| request.outcome.is_none()));
        }
    }

    /// A worker is gone with all that it knew. What it has sent to the database is still on the way.
    fn kill(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        worker.conversation = conversation(WORKERS[index]);
        self.orphaned.extend(worker.request.take());
        if let Some((id, _)) = worker.line.take() {
            self.harness.close(id);
        }
    }

    fn tick(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if worker.line.is_some() && !worker.conversation.serve(self.harness.now) {
            worker.line = None;
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.harness.pass(duration);
        self.collect();
        (0..self.workers.len()).for_each(|index| self.tick(index));
    }

    /// Everybody works until nothing is left to be done.
    fn settle(&mut self) {
        let end = self.harness.now + ORPHAN_AFTER + 2 * BACKOFF_MAX;
        for _ in 0..200_000 {
            let workers = 0..self.workers.len();
            let moved = workers.filter(|index| self.step_worker(*index) | self.step_database(*index)).count();
            match moved {
                0 if self.harness.now >= end => return,
                0 => self.pass(Duration::from_millis(100)),
                _ => {}
            }
        }
        panic!("it does not come to rest");
    }
}

fn sent(votes: &ToRecord<'_>) -> Request {
    let cast = |choice| {
        votes.batch.effects(choice).map(move |effect| Cast {
            voter: String::from_utf8_lossy(effect.voter).into_owned(),
            choice,
            sequence: effect.sequence,
            place: votes.epochs.place(effect.sequence),
        })
    };
    Request {
        serial: votes.serial,
        casts: Choice::ALL.into_iter().flat_map(cast).collect(),
        epochs: votes.epochs.names().map(ToString::to_string).collect(),
        registers_after: votes.registers_after,
        outcome: None,
    }
}

fn carry_out(database: &mut Database, request: &mut Request) {
    match request.registers_after.take() {
        Some(after) => database.register(&request.epochs, after),
        None => request.outcome = Some(database.record(request)),
    }
}

/// What happens, in the order that the seed decides: how many choices were certain, and how often an epoch was unknown
/// to the database.
fn live_through(seed: u64) -> (usize, usize) {
    let (mut world, mut dice) = (World::new(), Dice(seed));
    let (mut copy, mut saved) = (Copy::default(), Database::default());
    for _ in 0..STEPS {
        let worker = dice.below(WORKERS.len());
        match dice.below(1_000) {
            0..550 => _ = world.step_worker(worker),
            550..850 => {
                let instance = dice.below(INSTANCES);
                world.step_instance(instance, &mut dice);
            }
            850..940 => _ = world.step_database(worker),
            940..950 => world.step_orphaned(),
            950..975 => world.pass(Duration::from_millis(dice.below(700) as u64)),
            975..980 => copy = world.copy(),
            980..983 => world.replace_store(&Copy::default()),
            983..986 => world.replace_store(&copy),
            986..988 => {
                let now = world.copy();
                world.replace_store(&now);
            }
            988..990 => saved = world.database.clone(),
            990..992 => world.restore_database(&saved),
            992..996 => world.kill(worker),
            996..998 => world.disconnect(dice.below(INSTANCES)),
            _ => {}
        }
    }
    while !world.orphaned.is_empty() {
        world.step_orphaned();
    }
    world.settle();
    // A vote that was queued and not answered may count or not.
    let waits = |voter: usize| {
        world.instances.iter().any(|instance| instance.vote.as_ref().is_some_and(|vote| vote.voter == voter))
    };
    for (voter, accepted) in &world.accepted {
        let row = world.database.rows.get(&voter.to_string());
        let counts = row.is_some_and(|(choice, ..)| *choice == accepted.choice);
        assert!(
            accepted.in_doubt || waits(*voter) || counts,
            "seed {seed}: {voter} chose {:?} at {}, and {row:?} counts",
            accepted.choice,
            accepted.sequence
        );
    }
    (world.accepted.values().filter(|accepted| !accepted.in_doubt).count(), world.unknown)
}

#[test]
fn the_last_choice_wins_whatever_goes_back() {
    const SEEDS: usize = 300;
    let lives: Vec<_> = (0..SEEDS as u64).map(live_through).collect();
    let sum = |of: fn(&(usize, usize)) -> usize| lives.iter().map(of).sum::<usize>();
    let (certain, unknown) = (sum(|life| life.0), sum(|life| life.1));
    assert!(certain > SEEDS * VOTERS / 2 && unknown > SEEDS, "{certain} were certain, {unknown} unknown");
}
