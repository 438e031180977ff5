//! Crashes of real machines: the application's QEMUs are killed while voters vote, and started again with
//! the same disk; in the end the scores are exactly what was acknowledged.
//!
//! A voter whose answer was lost casts the same choice until it is acknowledged, so the expected scores are
//! known to the vote. The seed gives who is killed, in which order and with what pauses; what a machine was
//! doing at that moment it does not give.

mod dice;
pub mod load;
mod machines;
pub mod voters;

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::client::wait_for;
use dice::Dice;
use machines::{Machines, SERVICES};
use voters::Voters;

/// Kills in one round, at most.
const KILLS_MAX: u64 = 3;
/// Longest pause before a kill and before what was killed is started again.
const VOTING_MAX: Duration = Duration::from_millis(1_200);
const OUTAGE_MAX: Duration = Duration::from_millis(400);
/// Everybody has been acknowledged, and everything is counted, within this time of the last start.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// The scores are looked at again after this time: nothing may come later.
const STAYS_FOR: Duration = Duration::from_millis(500);

/// What was done and seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// What gives the same victims and pauses again.
    pub seed: u64,
    /// Rounds of voting.
    pub rounds: u32,
    /// Machines killed.
    pub kills: u64,
    /// Voters.
    pub voters: usize,
    /// Acknowledged votes; a voter has several.
    pub acknowledged: u64,
    /// Requests without an answer, or with one that is no acknowledgement: each was tried again.
    pub repeated: u64,
    /// The scores in the end, as they were and as they had to be.
    pub scores: (u64, u64),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, rounds, kills, voters, acknowledged, repeated, scores: (a, b) } = self;
        write!(
            f,
            "seed {seed}, {rounds} rounds: {acknowledged} votes of {voters} voters acknowledged, {repeated} \
             tried again, {kills} machines killed; scores {a} and {b} as expected"
        )
    }
}

/// Runs rounds of voting and crashing in `folder`, whose files are kept for the one who looks for a bug.
///
/// # Errors
/// When a machine cannot be started, a voter is not acknowledged in time, or the scores are wrong; with
/// the seed.
pub fn run(folder: &Path, seed: u64, rounds: u32) -> Result<Report> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let outcome = run_rounds(folder, seed, rounds);
    outcome.with_context(|| format!("seed {seed}, logs and disk in {}", folder.display()))
}

fn run_rounds(folder: &Path, seed: u64, rounds: u32) -> Result<Report> {
    let mut dice = Dice::new(seed);
    let mut machines = Machines::new(folder)?;
    let mut voters = Voters::new(seed);
    let mut report = Report { seed, rounds, ..Report::default() };
    machines.start_all(&mut dice)?;
    for round in 1..=rounds {
        report.kills += vote_through_crashes(&mut machines, &mut voters, &mut dice)
            .with_context(|| format!("round {round}"))?;
        check(&machines, &voters).with_context(|| format!("round {round}"))?;
    }
    // What was never acknowledged by a disk would be gone now.
    report.kills += machines.kill(&SERVICES);
    machines.start_all(&mut dice)?;
    report.scores = check(&machines, &voters).context("after the last start")?;
    let Voters { acknowledged, repeated, .. } = voters;
    Ok(Report { voters: voters.count(), acknowledged, repeated, ..report })
}

/// One round; the machines that were killed.
fn vote_through_crashes(machines: &mut Machines, voters: &mut Voters, dice: &mut Dice) -> Result<u64> {
    let address = machines.vote_address();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let voting = scope.spawn(|| voters.vote(address, &is_over));
        let crashes = crash(machines, dice);
        if crashes.is_err() {
            is_over.store(true, Ordering::Relaxed);
        }
        let voted = voting.join().map_err(|_| anyhow::anyhow!("a voter panicked"))?;
        let kills = crashes?;
        voted.map(|()| kills)
    })
}

fn crash(machines: &mut Machines, dice: &mut Dice) -> Result<u64> {
    let mut kills = 0;
    for _ in 0..=dice.below(KILLS_MAX) {
        dice.pause(VOTING_MAX);
        let victims = match dice.below(4) {
            0 | 1 => vec!["store"],
            2 => vec![SERVICES[dice.below(SERVICES.len() as u64) as usize]],
            _ => SERVICES.to_vec(),
        };
        kills += machines.kill(&victims);
        dice.pause(OUTAGE_MAX);
        machines.start(&victims, dice)?;
    }
    Ok(kills)
}

fn check(machines: &Machines, voters: &Voters) -> Result<(u64, u64)> {
    let expected = voters.expected();
    let seen = || machines.scores().filter(|scores| *scores == expected);
    let settled = wait_for(SETTLED_WITHIN, seen).is_some();
    thread::sleep(STAYS_FOR);
    let scores = machines.scores();
    ensure!(
        settled && scores == Some(expected),
        "the scores are {scores:?}, but {expected:?} was acknowledged"
    );
    Ok(expected)
}
