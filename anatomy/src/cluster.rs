//! A simulated cluster that a fault happens to: one vote, a worker that counts it, and a store that loses its power
//! when the count is on its disk, before it can say so.
//!
//! What is told of it is made in `model::fault`.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use kernel_app::program::Program;
use kernel_app::settings::Settings;
use kernel_app::{Instant, Service};
use simulator::client::{get, post_form};
use simulator::disk::DiskConditions;
use simulator::{NodeId, Simulation};

use crate::model::fault::{self, Event, Fault, Node, Segment, What};

/// What decides everything that is left to chance.
const SEED: u64 = 14;
const STORE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const WORKER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const VOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);
const RESULT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const VOTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 6);
const WATCHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const VOTE_PORT: u16 = 8080;
const RESULT_PORT: u16 = 8081;
/// Sectors of the store's disk: 16 MiB.
const SECTORS: u64 = 32 * 1024;
/// What every write to the disk takes: long enough to be seen.
const WRITE: Duration = Duration::from_millis(2);
/// Until everybody is connected.
const START: Duration = Duration::from_secs(3);
/// How long the store has no power: longer than the worker waits for a reply.
const DARK: Duration = Duration::from_secs(12);
/// How long anything is waited for.
const LIMIT: Duration = Duration::from_secs(30);
/// What the last command of a count is, and what a worker sends that waits for the next vote.
const COMMIT: &str = "EXEC";
const WAITS: &str = "BLMOVE";
/// Events that fit a picture.
const EVENTS_MAX: usize = 34;

/// Lets it happen.
///
/// # Errors
/// When the cluster does not do what it must; then the code has changed, and so must this.
pub fn run() -> Result<Fault> {
    let mut cluster = Cluster::new()?;
    cluster.simulation.run_for(START);
    cluster.disk.set_conditions(DiskConditions {
        latency: WRITE,
        jitter: Duration::ZERO,
        ..cluster.disk.conditions()
    });
    cluster.simulation.record();
    let begun = cluster.simulation.now();
    let vote = post_form("/", "vote=a", &format!("voter_id={:032x}", 1));
    let vote = cluster.simulation.send(&cluster.voter, &vote);
    let mut notes = cluster.cut_at_commit(begun)?;
    cluster.simulation.run_for(DARK);
    cluster
        .simulation
        .restart(cluster.store)
        .map_err(|error| anyhow!("the store does not start: {error}"))?;
    let started = cluster.simulation.now();
    notes.push(note(begun, started, Node::Store, What::Start, "starts, reads its log"));
    let answered = |cluster: &Cluster| cluster.voter.response(vote).is_some_and(|answer| answer.status < 400);
    ensure!(answered(&cluster), "the vote was not accepted");
    cluster.wait_until_the_worker_waits(started)?;
    let segments = fault::segments(cluster.simulation.recording());
    let counted = cluster.count_of_votes()?;
    let power = (at(begun, cluster.cut), at(begun, started));
    Ok(Fault { seed: SEED, events: events(&segments, begun, power, notes), votes: (1, counted) })
}

struct Cluster {
    simulation: Simulation,
    disk: simulator::disk::SimulatedDisk,
    store: NodeId,
    voter: simulator::client::Client,
    watcher: simulator::client::Client,
    /// When the power was cut.
    cut: Instant,
}

impl Cluster {
    fn new() -> Result<Self> {
        let mut simulation = Simulation::new(SEED);
        let disk = simulation.new_disk(SECTORS);
        let failed = |name: &'static str| move |error| anyhow!("{name} does not start: {error}");
        let store =
            simulation.add_node_with_disk("store", STORE, &disk, boot(store_service::program, "store"));
        let store = store.map_err(failed("the store"))?;
        for (name, address, program) in [
            ("worker", WORKER, worker::program as Program),
            ("vote", VOTE, vote_service::program),
            ("result", RESULT, result_service::program),
        ] {
            simulation.add_node(name, address, boot(program, name)).map_err(failed(name))?;
        }
        let voter =
            simulation.add_client("voter", VOTER, (VOTE, VOTE_PORT), 1).map_err(failed("the voter"))?;
        let watcher = simulation.add_client("watcher", WATCHER, (RESULT, RESULT_PORT), 1);
        let watcher = watcher.map_err(failed("the watcher"))?;
        Ok(Self { simulation, disk, store, voter, watcher, cut: Instant::ZERO })
    }

    /// Lets time pass until the worker's count is durable, and cuts the power before the store has said so.
    fn cut_at_commit(&mut self, begun: Instant) -> Result<Vec<Event>> {
        let end = begun + LIMIT;
        let has_come = |cluster: &Self| {
            let segments = fault::segments(cluster.simulation.recording());
            segments.iter().any(|segment| is_between(segment, WORKER, STORE) && segment.text.contains(COMMIT))
        };
        while !has_come(self) || self.disk.writes_at().is_none() {
            ensure!(self.simulation.now() < end && self.simulation.step(), "the worker counts nothing");
        }
        let began = self.simulation.now();
        // The machine stands while its disk goes on: the write ends, and nobody is told.
        self.simulation.pause(self.store);
        self.simulation.run_for(WRITE);
        self.cut = self.simulation.now();
        self.simulation.crash(self.store);
        Ok(vec![
            note(
                begun,
                began,
                Node::Store,
                What::Message { to: Node::Disk, is_lost: false },
                "write and flush",
            ),
            note(begun, self.cut, Node::Disk, What::Note, "the count is durable"),
            note(begun, self.cut, Node::Store, What::PowerCut, "loses its power"),
        ])
    }

    /// Lets time pass until the worker has nothing to do any more.
    fn wait_until_the_worker_waits(&mut self, started: Instant) -> Result<()> {
        let (end, after) = (started + LIMIT, Duration::from_micros(started.as_micros()));
        let waits = |cluster: &Self| {
            let segments = fault::segments(cluster.simulation.recording());
            let is_it = |segment: &Segment| {
                segment.at > after && is_between(segment, WORKER, STORE) && segment.text.contains(WAITS)
            };
            segments.iter().any(is_it)
        };
        while !waits(self) {
            ensure!(self.simulation.now() < end && self.simulation.step(), "the worker does not come back");
        }
        Ok(())
    }

    /// How many votes the result page shows, once it has found the store again.
    fn count_of_votes(&mut self) -> Result<u64> {
        self.simulation.run_for(Duration::from_secs(15));
        let request = self.simulation.send(&self.watcher, &get("/api/scores"));
        let watcher = self.watcher.clone();
        let answered = self.simulation.run_until(|_| watcher.response(request).is_some(), LIMIT);
        answered.map_err(|error| anyhow!("no scores: {error}"))?;
        let text = self.watcher.response(request).map(|answer| answer.text()).unwrap_or_default();
        let scores =
            text.split(|letter: char| !letter.is_ascii_digit()).find_map(|digits| digits.parse().ok());
        scores.with_context(|| format!("the scores have no number: {text}"))
    }
}

fn boot(program: Program, name: &str) -> impl FnMut() -> Vec<Box<dyn Service>> + 'static {
    let store = format!("redis://{STORE}:6379");
    let settings = Settings::from_pairs([("REDIS_URL", store.as_str()), ("INSTANCE", name)]);
    move || program(&settings).unwrap_or_default()
}

fn at(begun: Instant, now: Instant) -> Duration {
    now.since(begun)
}

fn note(begun: Instant, now: Instant, node: Node, what: What, text: &str) -> Event {
    Event { at: at(begun, now), node, what, text: text.to_owned() }
}

fn is_between(segment: &Segment, from: Ipv4Addr, to: Ipv4Addr) -> bool {
    segment.hosts == (from.octets()[3], to.octets()[3])
}

/// What happened between worker and store, with what was noted, in order of time.
fn events(
    segments: &[Segment],
    begun: Instant,
    power: (Duration, Duration),
    notes: Vec<Event>,
) -> Vec<Event> {
    let begun = Duration::from_micros(begun.as_micros());
    let is_dark = |at: Duration| at >= power.0 && at < power.1;
    let message = |segment: &Segment| {
        let (node, to) = match () {
            () if is_between(segment, WORKER, STORE) => (Node::Worker, Node::Store),
            () if is_between(segment, STORE, WORKER) => (Node::Store, Node::Worker),
            () => return None,
        };
        let at = segment.at.saturating_sub(begun);
        let what = What::Message { to, is_lost: is_dark(at) };
        (!segment.text.is_empty()).then(|| Event { at, node, what, text: segment.text.clone() })
    };
    let mut events: Vec<Event> = segments.iter().filter_map(message).chain(notes).collect();
    events.sort_by_key(|event| event.at);
    events.truncate(EVENTS_MAX);
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_whose_reply_is_lost_counts_once_and_a_seed_replays_it() {
        let fault = run().expect("the cluster does what it must");
        assert_eq!(fault.votes, (1, 1));
        let position = |wanted: fn(&What) -> bool| fault.events.iter().position(|event| wanted(&event.what));
        let cut = position(|what| *what == What::PowerCut).expect("the power is cut");
        let start = position(|what| *what == What::Start).expect("it starts");
        assert!(cut < start);
        let exec = fault.events.iter().position(|event| event.text.contains(COMMIT)).expect("it commits");
        assert!(exec < cut, "{:#?}", fault.events);
        assert!(fault.messages().1 > 0, "something is lost");
        assert_eq!(run().expect("again").events, fault.events);
    }
}
