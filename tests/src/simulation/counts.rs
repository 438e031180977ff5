//! What runs have amounted to: faults by kind, votes by answer, frames, time.
//!
//! Only adds up.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use super::cluster::Cluster;
use super::ledger::Answer;

/// The counts of one run, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs.
    pub runs: u64,
    /// Faults that were begun, frames and writes that came to harm, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Attempts to vote, by answer.
    pub answers: BTreeMap<&'static str, u64>,
    /// Frames sent.
    pub frames: u64,
    /// Simulated time.
    pub simulated: Duration,
}

impl Counts {
    /// A fault has begun.
    pub fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    /// An attempt has ended.
    pub fn answer(&mut self, answer: Answer) {
        let kind = match answer {
            Answer::Accepted => "accepted",
            Answer::Refused => "refused",
            Answer::Lost => "lost",
            Answer::Unsent => "unsent",
        };
        *self.answers.entry(kind).or_default() += 1;
    }

    /// A run is over: takes what the simulation has counted itself.
    pub fn close(&mut self, cluster: &Cluster) {
        let (frames, disk) = (cluster.simulation.frame_counts(), cluster.disk.counts());
        let database = cluster.shared.borrow().counts;
        let counted = [
            ("frames lost", frames.lost),
            ("frames doubled", frames.duplicated),
            ("frames overtaken", frames.overtaken),
            ("frames cut off", frames.cut),
            ("writes torn", disk.torn),
            ("writes failed", disk.failed),
            ("failed writes kept in the cache", disk.failed_but_cached),
            ("writes left in the cache by a process", disk.left_in_cache),
            ("writes left to a later flush", disk.ahead),
            ("writes without space", disk.no_space),
            ("reads failed", disk.reads_failed),
            ("transactions refused", database.refused),
            ("transactions dropped", database.dropped),
            ("commits unheard of", database.unheard),
        ];
        self.faults.extend(counted.into_iter().filter(|(_, count)| *count > 0));
        self.runs = 1;
        self.frames = cluster.simulation.frames();
        self.simulated = Duration::from_micros(cluster.simulation.now().as_micros());
    }

    /// All attempts to vote.
    pub fn attempts(&self) -> u64 {
        self.answers.values().sum()
    }

    /// Attempts that were acknowledged.
    pub fn accepted(&self) -> u64 {
        self.answers.get("accepted").copied().unwrap_or_default()
    }
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        self.runs += other.runs;
        self.frames += other.frames;
        self.simulated += other.simulated;
        other.faults.iter().for_each(|(kind, count)| *self.faults.entry(kind).or_default() += count);
        other.answers.iter().for_each(|(kind, count)| *self.answers.entry(kind).or_default() += count);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &BTreeMap<&str, u64>| {
            let texts: Vec<_> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            texts.join(", ")
        };
        writeln!(f, "runs: {}, simulated time: {} s", self.runs, self.simulated.as_secs())?;
        writeln!(f, "votes: {} attempts: {}", self.attempts(), list(&self.answers))?;
        writeln!(f, "frames: {}", self.frames)?;
        writeln!(f, "faults: {}", list(&self.faults))
    }
}
