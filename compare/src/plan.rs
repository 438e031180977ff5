//! The order of a run: which visits, in which rounds, and how long each is expected to take.
//!
//! Substrates alternate within a group, so that what a noisy machine does to one it does to all.

use anyhow::Result;

use crate::record::{Group, Run, Visit};
use crate::run_dir::RunDir;

/// A group's part in a run.
struct Part {
    group: Group,
    /// Seconds that one visit takes in the full run, and in the quick one; none: not part of it.
    seconds: f64,
    quick_seconds: Option<f64>,
    /// Whether it is measured in every round; what does not vary is measured once.
    every_round: bool,
}

const PARTS: [Part; 10] = [
    part(Group::Size, 0.3, Some(0.3), false),
    part(Group::Start, 14.0, Some(4.0), false),
    part(Group::LeastMemory, 8.0, Some(6.0), false),
    part(Group::Instructions, 15.0, Some(8.0), false),
    part(Group::Exits, 60.0, None, false),
    part(Group::Get, 25.0, Some(7.0), true),
    part(Group::Post, 28.0, Some(8.0), true),
    part(Group::Application, 13.0, Some(4.0), true),
    part(Group::Scaling, 9.0, None, true),
    part(Group::Density, 22.0, Some(6.0), false),
];

/// Substrates that differ little from others, and take long.
const SECONDARY: [&str; 1] = ["linux-microvm"];

const fn part(group: Group, seconds: f64, quick_seconds: Option<f64>, every_round: bool) -> Part {
    Part { group, seconds, quick_seconds, every_round }
}

/// A visit and the seconds that it is expected to take.
pub type Planned = (Visit, f64);

/// All visits of a run, in their order. Each group begins with another substrate in each round; a short run
/// does first what tells most.
pub fn visits(run: &Run) -> Vec<Planned> {
    let substrates: Vec<&str> =
        run.substrates.iter().filter(|(_, missing)| missing.is_none()).map(|(id, _)| id.as_str()).collect();
    let mut visits = Vec::new();
    for round in 0..run.rounds {
        for part in PARTS.iter().filter(|part| part.every_round || round == 0) {
            let seconds = if run.quick { part.quick_seconds } else { Some(part.seconds) };
            let Some(seconds) = seconds else { continue };
            for index in 0..substrates.len() {
                let substrate = substrates[(index + round as usize) % substrates.len()].to_owned();
                visits.push((Visit { round, group: part.group, substrate }, seconds));
            }
        }
    }
    if run.quick {
        // What a short run may have no time for comes last.
        visits.sort_by_key(|(visit, _)| (visit.round > 0, SECONDARY.contains(&visit.substrate.as_str())));
    }
    visits
}

/// The visits of a run that are still to be made.
///
/// # Errors
/// When the run's files cannot be read.
pub fn remaining(run_dir: &RunDir) -> Result<Vec<Planned>> {
    let done = run_dir.done()?;
    let mut remaining = visits(&run_dir.run);
    remaining.retain(|(visit, _)| !done.contains(visit));
    let substrates = run_dir.run.substrates.iter();
    for (substrate, _) in substrates {
        if run_dir.is_given_up(substrate)? {
            remaining.retain(|(visit, _)| visit.substrate != *substrate);
        }
    }
    Ok(remaining)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_dir::tests::run;

    fn order(rounds: u32, quick: bool) -> Vec<Visit> {
        let missing = Some("no such thing".to_owned());
        let substrates = vec![("a".to_owned(), None), ("b".to_owned(), None), ("c".to_owned(), missing)];
        visits(&Run { rounds, quick, substrates, ..run() }).into_iter().map(|(visit, _)| visit).collect()
    }

    #[test]
    fn substrates_alternate_and_another_one_begins_each_round() {
        let order = order(2, false);
        let gets: Vec<(u32, &str)> = order
            .iter()
            .filter(|visit| visit.group == Group::Get)
            .map(|visit| (visit.round, visit.substrate.as_str()))
            .collect();
        assert_eq!(gets, [(0, "a"), (0, "b"), (1, "b"), (1, "a")]);
    }

    #[test]
    fn a_short_run_starts_with_the_most_informative_measurements() {
        let substrates = vec![("linux-microvm".to_owned(), None), ("a".to_owned(), None)];
        let visits = visits(&Run { rounds: 2, quick: true, substrates, ..run() });
        let order: Vec<(u32, &str)> =
            visits.iter().map(|(visit, _)| (visit.round, visit.substrate.as_str())).collect();
        let mut tiers = order.clone();
        tiers.dedup();
        assert_eq!(tiers, [(0, "a"), (0, "linux-microvm"), (1, "a"), (1, "linux-microvm")]);
    }

    #[test]
    fn missing_substrates_are_skipped_and_fixed_values_measured_once() {
        let order = order(3, false);
        assert!(order.iter().all(|visit| visit.substrate != "c"));
        assert_eq!(order.iter().filter(|visit| visit.group == Group::Size).count(), 2);
        assert_eq!(order.iter().collect::<std::collections::HashSet<_>>().len(), order.len());
    }
}
