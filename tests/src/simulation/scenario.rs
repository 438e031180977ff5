//! One run: people vote while things go wrong, everything heals, and the votes must add up.
//!
//! Draws nothing itself: voters and faults do, each from its own sequence.

use std::time::Duration;

use kernel_app::Instant;
use simulator::random::Random;

use super::books::Books;
use super::bugs::Bug;
use super::chronicle::Event;
use super::cluster::Cluster;
use super::faults::Faults;
use super::findings::Look;
use super::invariants::{self, Register};
use super::plan::Plan;
use super::voters::Voters;
use super::watcher::Watcher;

/// How long things go wrong.
pub const ROUGH_FOR: Duration = Duration::from_secs(20);
/// Most voters; at least half as many.
pub const VOTERS_MAX: u64 = 64;
/// After healing, everybody's vote is accepted within this time.
pub const ACCEPTED_WITHIN: Duration = Duration::from_secs(45);
/// After the last vote, all are counted within this time and none waits.
pub const COUNTED_WITHIN: Duration = Duration::from_secs(90);
/// And stay so for this time.
pub const STEADY_FOR: Duration = Duration::from_secs(3);
/// Most steps of a run; it takes some 20,000. More means that something goes round in circles.
pub const STEPS_MAX: u64 = 150_000;
/// Who votes once more after healing, of a million.
const ENCORE_PER_MILLION: u32 = 200_000;
/// How many steps of the simulation lie between two checks of all limits.
const STEPS_PER_LIMITS_CHECK: u64 = 64;

/// One run, and what has been seen of it.
pub struct Scenario {
    /// The nodes.
    pub cluster: Cluster,
    /// What is written down.
    pub books: Books,
    voters: Voters,
    faults: Faults,
    faults_are_on: bool,
    watcher: Watcher,
    scores: Option<[u64; 2]>,
    register: Register,
    last: Look,
}

impl Scenario {
    /// Everything that this seed decides, at its start.
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        // A sequence apart from the simulation's own, which starts with the seed itself.
        let mut random = Random::new(!seed);
        let plan = Plan::draw(&mut random);
        // A bug that needs a certain application gets it.
        let plan = bug.map_or(plan, |bug| bug.fit(plan));
        let mut cluster = Cluster::new(seed, plan, random.fork(), bug);
        let count = (VOTERS_MAX / 2 + random.below(VOTERS_MAX / 2)) as usize;
        let voters = Voters::new(count, random.fork());
        let faults = Faults::new(random.fork(), &mut cluster);
        let mut books = Books::new(count);
        books.chronicle.add(Instant::ZERO, Event::Note(format!("{plan:?}")));
        let register = invariants::register(count);
        let watcher = Watcher::default();
        let last = Look::default();
        Self { cluster, books, voters, faults, faults_are_on: true, watcher, scores: None, register, last }
    }

    /// From the start to the last check.
    ///
    /// # Errors
    /// The invariant that does not hold.
    pub fn run(&mut self) -> Result<(), String> {
        self.run_until(Instant::ZERO + ROUGH_FOR, |_| false)?;
        self.faults.heal(&mut self.cluster, &mut self.books)?;
        self.faults_are_on = false;
        self.note("everything is healed");
        self.everybody_is_accepted()?;
        self.voters.encore(ENCORE_PER_MILLION, self.cluster.simulation.now());
        self.everybody_is_accepted()?;
        self.note("everybody has voted");
        self.everything_is_counted()?;
        // What is only seen at the next start is seen now.
        self.faults.black_out(&mut self.cluster, &mut self.books)?;
        self.voters.encore(ENCORE_PER_MILLION, self.cluster.simulation.now());
        self.everybody_is_accepted()?;
        self.everything_is_counted().map_err(|text| format!("after a last power cut: {text}"))
    }

    fn everybody_is_accepted(&mut self) -> Result<(), String> {
        let end = self.cluster.simulation.now() + ACCEPTED_WITHIN;
        if self.run_until(end, |scenario| scenario.voters.are_done())? {
            return Ok(());
        }
        Err(format!("votes are not accepted within {ACCEPTED_WITHIN:?} after everything has healed"))
    }

    fn everything_is_counted(&mut self) -> Result<(), String> {
        let end = self.cluster.simulation.now() + COUNTED_WITHIN;
        if !self.run_until(end, |scenario| scenario.check_settled().is_ok())? {
            let text = self.check_settled().err().unwrap_or_default();
            return Err(format!("{COUNTED_WITHIN:?} after the last vote: {text}"));
        }
        self.run_until(self.cluster.simulation.now() + STEADY_FOR, |_| false)?;
        self.check_settled().map_err(|text| format!("after all was counted: {text}"))
    }

    fn check_settled(&self) -> Result<(), String> {
        invariants::check_settled(&self.last, &self.books.ledger)?;
        let count = |option| self.last.counted.iter().filter(|(_, choice)| *choice == option).count() as u64;
        let counted = super::ledger::Choice::ALL.map(count);
        if self.scores == Some(counted) {
            return Ok(());
        }
        Err(format!("the scores are shown as {:?} instead of {counted:?}", self.scores))
    }

    /// Lets everything happen until `condition` holds; says whether it does before the end.
    fn run_until(&mut self, end: Instant, condition: impl Fn(&Self) -> bool) -> Result<bool, String> {
        while self.cluster.simulation.now() < end {
            let timer = self.next_deadline().min(end);
            match self.cluster.simulation.next_event() {
                Some(at) if at <= timer => {
                    self.cluster.simulation.step();
                }
                _ => self.cluster.simulation.run_for(timer - self.cluster.simulation.now()),
            }
            self.act()?;
            self.check()?;
            if condition(self) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn next_deadline(&self) -> Instant {
        let faults = self.faults.next_deadline().filter(|_| self.faults_are_on);
        let others = [self.voters.next_deadline(), faults].into_iter().flatten();
        others.fold(self.watcher.next_deadline(), Instant::min)
    }

    fn act(&mut self) -> Result<(), String> {
        let Self { cluster, books, .. } = self;
        books.note_durable(cluster.disk.durable_writes(), cluster.simulation.now());
        self.voters.hear(cluster, books)?;
        self.voters.act(cluster, books);
        if self.faults_are_on {
            self.faults.act(cluster, books)?;
        }
        for scores in self.watcher.act(cluster) {
            invariants::check_scores(scores, &books.ledger)?;
            self.scores = Some(scores);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), String> {
        let (looks, complaint) = {
            let mut findings = self.cluster.findings.borrow_mut();
            (core::mem::take(&mut findings.looks), findings.complaint.take())
        };
        for look in looks {
            invariants::check_look(&look, &self.books.ledger, &self.register)?;
            if self.last.began >= self.books.results_from {
                invariants::check_progress(&self.last, &look)?;
            }
            if look.is_drained() {
                self.books.drained_at = look.began;
            }
            self.last = look;
        }
        if self.cluster.simulation.steps() > STEPS_MAX {
            return Err(format!("nothing comes to rest: {STEPS_MAX} steps"));
        }
        if self.cluster.simulation.steps().is_multiple_of(STEPS_PER_LIMITS_CHECK) {
            invariants::check_limits(&self.cluster.simulation, &self.cluster.nodes())?;
        }
        complaint.map_or(Ok(()), Err)
    }

    fn note(&mut self, text: &str) {
        self.books.chronicle.add(self.cluster.simulation.now(), Event::Note(text.to_owned()));
    }
}
