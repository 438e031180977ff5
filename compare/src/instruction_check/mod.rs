//! The check against regressions: instructions against committed figures, for a boot, a GET and a POST of the vote
//! service, for a vote that the worker counts, and for one that the store queues.
//!
//! Counted with guest and network taking turns, so that they repeat on any machine; see `guest`. They
//! depend on the compiler, and a boot's on QEMU's firmware too. Says nothing of time.

mod guest;
mod new_votes;
mod peer;
mod traced;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use image_build::tool::packages::table::QEMU;
use image_build::tool::process;
use image_build::vm::accelerator::Choice;
use image_build::vm::machine::Machine;
use image_build::vm::qemu;
use image_build::{image, say};
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::record::Counted;
use crate::substrate::Program;

pub use guest::Guest;
pub use traced::{Party, TracedGuest, Turn};
pub use workload::Workload;

/// How far a count may be from the committed one, in percent of it.
const TOLERANCE_PERCENT: u64 = 2;
/// How often is counted at most before a figure is said to have grown.
const COUNTS_MAX: usize = 3;
/// What the file of figures begins with.
const HEADING: &str = "# Guest instructions. Of the vote service: for a boot, and for one of 16 requests that come at once. Of the\n\
    # worker: for one of 321 votes that wait in the queue. Of the store: for one of 64 RPUSH on one connection.\n\
    # CI allows 2%. After a change that is meant: `cargo compare instructions --update`.\n";
/// How to replace the figures.
const UPDATE: &str = "`cargo compare instructions --update`";
/// A machine's name in the file.
const Q35: (&str, Machine) = ("q35", Machine::Q35);
/// What is counted, and on which machines. What differs between these shows in the vote service's figures.
const COUNTED: [(Program, &[(&str, Machine)]); 3] = [
    (Program::Vote, &[Q35, ("microvm", Machine::Microvm)]),
    (Program::Worker, &[Q35]),
    (Program::Store, &[Q35]),
];

/// Counts by what was counted.
type Counts = BTreeMap<String, u64>;
/// Counts by machine.
type Figures = BTreeMap<String, Counts>;

/// What is committed.
#[derive(Debug, Serialize, Deserialize)]
struct Committed {
    /// The emulator that counted. Its firmware is part of a boot.
    qemu: String,
    #[serde(flatten)]
    figures: Figures,
}

/// `cargo compare instructions`: counts, and compares with the committed figures or replaces them.
///
/// # Errors
/// When a count differs too much, or cannot be taken.
pub fn run(update: bool) -> Result<()> {
    qemu::require()?;
    let context = Context::find(Choice::Tcg, None, false)?;
    let path = context.workspace.root.join("compare/instructions.toml");
    let version =
        process::output(Command::new(QEMU.program).arg("--version"), "asking QEMU for its version")?;
    let qemu = version.lines().next().unwrap_or_default().to_owned();
    if update {
        let text = HEADING.to_owned() + &toml::to_string(&Committed { qemu, figures: count(&context)? })?;
        return fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()));
    }
    let unreadable = || format!("cannot read {}: write it with {UPDATE}", path.display());
    let committed: Committed =
        toml::from_str(&fs::read_to_string(&path).with_context(unreadable)?).with_context(unreadable)?;
    let counted = count_against(&context, &committed.figures)?;
    print(&committed.figures, &counted)?;
    let faults = faults(&committed.figures, &counted);
    ensure!(
        faults.is_empty(),
        "{}\n{}If that is meant: {UPDATE}, and commit {}.",
        faults.join("\n"),
        other_qemu(&committed.qemu, &qemu),
        path.display()
    );
    Ok(())
}

/// What else may have changed the counts.
fn other_qemu(committed: &str, here: &str) -> String {
    if committed == here {
        return String::new();
    }
    format!(
        "The figures were counted by {committed}, these by {here}: requests count alike, boots need not.\n"
    )
}

/// Counts, again if something takes too many, and keeps the least of each: a busy host adds instructions, when the
/// guest has time to look at its clock in between, and takes none away.
fn count_against(context: &Context, committed: &Figures) -> Result<Figures> {
    let mut least = count(context)?;
    for _ in 1..COUNTS_MAX {
        if !takes_more(committed, &least) {
            break;
        }
        say!("more than is allowed: counted again, should the host have been busy")?;
        keep_least(&mut least, &count(context)?);
    }
    Ok(least)
}

/// Whether something takes more than is allowed.
fn takes_more(committed: &Figures, counted: &Figures) -> bool {
    let committed = by_name(committed);
    by_name(counted).iter().any(|(name, now)| {
        committed.get(name).is_some_and(|figure| now > figure && failure(name, *figure, *now).is_some())
    })
}

fn keep_least(least: &mut Figures, again: &Figures) {
    for (machine, counts) in least {
        for (name, count) in counts {
            let other = again.get(machine).and_then(|counts| counts.get(name));
            *count = other.map_or(*count, |other| *other.min(count));
        }
    }
}

fn count(context: &Context) -> Result<Figures> {
    let packages: Vec<&str> = COUNTED.iter().map(|(program, _)| program.package()).collect();
    let images = image::build(&context.workspace, &packages)?;
    let mut figures = Figures::new();
    for ((program, machines), image) in COUNTED.iter().zip(images) {
        for (name, machine) in *machines {
            let guest = Guest::boot(context, *program, image.path.clone(), *machine)?;
            figures.entry((*name).to_owned()).or_default().extend(count_in(guest, *program)?);
        }
    }
    Ok(figures)
}

/// What is counted of a program in a guest that it has just booted in.
fn count_in(mut guest: Guest, program: Program) -> Result<Counts> {
    let mut counts = Counts::new();
    if program == Program::Vote {
        counts.insert(Counted::Boot.name(), guest.count());
    }
    for workload in Workload::of(program) {
        counts.insert(workload.name().to_owned(), guest.per_unit(workload)?.round() as u64);
    }
    Ok(counts)
}

fn print(committed: &Figures, counted: &Figures) -> Result<()> {
    let committed = by_name(committed);
    for (name, now) in by_name(counted) {
        match committed.get(&name) {
            Some(figure) => {
                let percent = percent(*figure, now);
                say!("{name:<25} {figure:>12} committed {now:>12} now {percent:>+7.2}%")?;
            }
            None => say!("{name:<25} {:>12} committed {now:>12} now", "not")?,
        }
    }
    Ok(())
}

/// Each figure by its machine and its own name.
fn by_name(figures: &Figures) -> Counts {
    let of = |(machine, counts): (&String, &Counts)| -> Vec<(String, u64)> {
        counts.iter().map(|(name, count)| (format!("{machine}: {name}"), *count)).collect()
    };
    figures.iter().flat_map(of).collect()
}

/// What is wrong with the counts: each that is too far from the committed one, and what is only in one.
fn faults(committed: &Figures, counted: &Figures) -> Vec<String> {
    let (committed, counted) = (by_name(committed), by_name(counted));
    let names: BTreeSet<&String> = committed.keys().chain(counted.keys()).collect();
    let fault = |name: &String| match (committed.get(name), counted.get(name)) {
        (Some(committed), Some(now)) => failure(name, *committed, *now),
        (None, _) => Some(format!("{name} has no committed figure")),
        (_, None) => Some(format!("{name} is committed and not counted any more")),
    };
    names.into_iter().filter_map(fault).collect()
}

fn percent(committed: u64, now: u64) -> f64 {
    (now as f64 / committed.max(1) as f64 - 1.0) * 100.0
}

/// What is wrong with a count, if it is too far from the committed one. Fewer instructions are welcome,
/// but the figures have to stay true, or the next ones could grow unseen.
fn failure(name: &str, committed: u64, now: u64) -> Option<String> {
    if now.abs_diff(committed).saturating_mul(100) <= committed.saturating_mul(TOLERANCE_PERCENT) {
        return None;
    }
    let percent = percent(committed, now);
    let counts = format!("{name} takes {now} instructions, committed are {committed}");
    Some(if percent > 0.0 {
        format!("{counts}: {percent:.1}% more, {TOLERANCE_PERCENT}% are allowed")
    } else {
        format!("{counts}: {:.1}% fewer. Well done; let the figures say so", -percent)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_two_percent_is_well_and_beyond_is_not() {
        assert_eq!(failure("boot", 1000, 1020), None);
        assert_eq!(failure("boot", 1000, 980), None);
        let more = failure("q35: get-close", 1000, 1021).expect("too many");
        assert_eq!(
            more,
            "q35: get-close takes 1021 instructions, committed are 1000: 2.1% more, 2% are allowed"
        );
        assert!(failure("boot", 1000, 500).expect("too few").contains("50.0% fewer"));
        assert!(failure("boot", 0, 5).is_some());
    }

    #[test]
    fn a_count_above_the_budget_is_repeated_and_the_least_is_kept() {
        let figures = |get, post| -> Figures {
            [("q35".to_owned(), [("get".to_owned(), get), ("post".to_owned(), post)].into())].into()
        };
        let committed = figures(1000, 2000);
        assert!(takes_more(&committed, &figures(1021, 2000)));
        assert!(!takes_more(&committed, &figures(1020, 2000)));
        assert!(!takes_more(&committed, &figures(500, 2000)), "fewer stay fewer");
        let mut least = figures(1021, 2000);
        keep_least(&mut least, &figures(1010, 2050));
        assert_eq!(least, figures(1010, 2000));
    }

    #[test]
    fn another_qemu_is_named_when_counts_differ() {
        assert_eq!(other_qemu("QEMU 7", "QEMU 7"), "");
        assert!(other_qemu("QEMU 7", "QEMU 10").contains("by QEMU 7, these by QEMU 10"));
    }

    #[test]
    fn figures_survive_being_written() {
        let text = HEADING.to_owned() + "qemu = \"QEMU 7\"\n\n[q35]\nboot = 5\n";
        let committed: Committed = toml::from_str(&text).expect("figures");
        assert_eq!(committed.figures["q35"]["boot"], 5);
        assert_eq!(HEADING.to_owned() + &toml::to_string(&committed).expect("text"), text);
    }

    #[test]
    fn what_is_only_committed_or_only_counted_is_a_fault() {
        let figures = |machine: &str, name: &str, count: u64| -> Figures {
            [(machine.to_owned(), [(name.to_owned(), count)].into())].into()
        };
        assert!(faults(&figures("q35", "boot", 1000), &figures("q35", "boot", 1001)).is_empty());
        let found = faults(&figures("q35", "boot", 1000), &figures("q35", "start", 1000));
        let expected =
            ["q35: boot is committed and not counted any more", "q35: start has no committed figure"];
        assert_eq!(found, expected);
        assert_eq!(faults(&figures("q35", "boot", 1), &figures("microvm", "boot", 1)).len(), 2);
    }
}
