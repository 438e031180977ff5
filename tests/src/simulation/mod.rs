//! The whole application under faults, all of it decided by one seed, and judged.
//!
//! Vote instances, workers, the store, the result page and, in some seeds, a database run as simulated nodes; what
//! the application is like, `plan` draws. Voters choose instances at random and try again as people do; for 20 s
//! nodes lose their power or their process, pause, come and go, wires are cut, frames are lost, clocks jump, disks
//! fail, rot and go back to older copies, memory is full, transactions are refused (`faults`). Then everything heals.
//! Throughout: nothing is counted that was not cast, nobody twice, who is counted stays counted, no transaction is
//! half there, and no limit is passed. In the end every voter is counted for the last choice that was accepted
//! (`ledger` says exactly what that means, also where something went back), nothing waits, and the scores shown are
//! those that are kept; and once more after a last power cut of everything.
//!
//! Every seed is run twice: its two traces must be the same.

mod auditor;
mod books;
pub mod bugs;
mod chronicle;
mod cluster;
pub mod counts;
mod database;
mod faults;
mod findings;
mod invariants;
mod last_words;
mod ledger;
mod log_format;
pub mod many;
mod neighbour;
mod plan;
mod role;
mod scenario;
mod voters;
mod watcher;

use std::fmt;

use bugs::Bug;
use counts::Counts;
use scenario::Scenario;

/// A seed that fails: why, and what happened.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed from which everything follows.
    pub seed: u64,
    /// The bug that was put in on purpose.
    pub bug: Option<Bug>,
    /// The invariant that does not hold.
    pub violation: String,
    /// Votes and faults with their times.
    pub chronicle: String,
    /// All frames as a capture file (pcap).
    pub capture: Vec<u8>,
}

impl Failure {
    /// The command that runs the seed again.
    pub fn command(&self) -> String {
        command(self.seed, self.bug)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}\nrun it again: {}", self.seed, self.violation, self.command())
    }
}

/// What a run left behind.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    trace_hash: u64,
    counts: Counts,
    violation: Option<String>,
}

fn command(seed: u64, bug: Option<Bug>) -> String {
    let bug = bug.map_or(String::new(), |bug| format!(" --bug {}", bug.name()));
    format!("cargo run --bin simulate -- --seed {seed}{bug}")
}

fn run(mut scenario: Scenario) -> (Outcome, Scenario) {
    let violation = scenario.run().err();
    scenario.books.counts.close(&scenario.cluster);
    let trace_hash = scenario.cluster.simulation.trace_hash();
    let outcome = Outcome { trace_hash, counts: scenario.books.counts.clone(), violation };
    (outcome, scenario)
}

/// Runs a seed twice.
///
/// # Errors
/// When an invariant does not hold, or the two runs differ.
pub fn check(seed: u64, bug: Option<Bug>) -> Result<Counts, Box<Failure>> {
    last_words::with(command(seed, bug), || check_twice(seed, bug))
}

fn check_twice(seed: u64, bug: Option<Bug>) -> Result<Counts, Box<Failure>> {
    let (outcome, _) = run(Scenario::new(seed, bug));
    if outcome.violation.is_none() {
        let (again, _) = run(Scenario::new(seed, bug));
        if outcome == again {
            return Ok(outcome.counts);
        }
    }
    Err(Box::new(record(seed, bug, &outcome)))
}

/// What happens in a run of a seed: votes and faults with their times.
pub fn chronicle(seed: u64, bug: Option<Bug>) -> String {
    run(Scenario::new(seed, bug)).1.books.chronicle.to_string()
}

/// Whether a seed meets a violation; runs it once.
pub fn fails(seed: u64, bug: Bug) -> Option<String> {
    last_words::with(command(seed, Some(bug)), || run(Scenario::new(seed, Some(bug))).0.violation)
}

/// Runs a seed once more and keeps what is needed to understand it.
fn record(seed: u64, bug: Option<Bug>, outcome: &Outcome) -> Failure {
    let mut scenario = Scenario::new(seed, bug);
    scenario.cluster.simulation.record();
    let (again, scenario) = run(scenario);
    let violation = match &outcome.violation {
        Some(violation) if *outcome == again => violation.clone(),
        _ => format!("two runs differ: {outcome:?} and {again:?}"),
    };
    Failure {
        seed,
        bug,
        violation,
        chronicle: scenario.books.chronicle.to_string(),
        capture: scenario.cluster.simulation.recording().to_vec(),
    }
}
