//! The check against regressions of what leaves a guest: KVM's own counters against committed figures.
//!
//! Under KVM each exit costs as much as thousands of instructions, and a machine that was emulated shows none of it. So
//! they are counted where KVM runs a guest; where this machine has no KVM, in a machine with an emulated one, which
//! counts alike. Such a machine is slower than QEMU's translator alone, so it gives no times.

mod counters;
mod vote;
mod voters;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use image_build::bed;
use image_build::tool::workspace::Workspace;
use image_build::vm::accelerator::Choice;
use image_build::vm::{probe, qemu};
use image_build::{note, say};

use crate::context::Context;
use crate::peer::Peer;
use crate::record::Measure;
use crate::substrate::{self, Substrate};
use vote::{BOOT, Vote};

/// Where they are counted and checked: substrates by identifier. Those of other VMMs are only told, where they are.
const SUBSTRATES: [&str; 3] = ["hermit-q35", "hermit-microvm", "linux-q35"];
/// The substrate of the store, which is not counted.
const STORES: &str = "native";
/// Hidden subcommand that counts where KVM is, and writes the figures in one line of JSON.
pub const COUNT_COMMAND: &str = "count-exits";
/// How far above the committed figure a boot may be, in percent. In a machine with an emulated KVM, whose time is that
/// of its instructions, three counts beside eight compilers differed by 0.3%.
const TOLERANCE_BOOT_PERCENT: f64 = 5.0;
/// The same for other figures: percent of it, and exits, whichever is more. Those counts differed by 0.2 exits at most.
const TOLERANCE_PERCENT: f64 = 10.0;
const TOLERANCE_EXITS: f64 = 1.0;
/// What the file of figures begins with.
const HEADING: &str = "\
# Exits of the vote service's machine: for a boot with its first answer, for one request of 1 or of 16 at once, and
# in a second of rest. CI allows a boot 5% more, others 10% or 1 more, whichever is more.
# After a change that is meant: `cargo compare exits --update`.
";
/// How to replace the figures.
const UPDATE: &str = "`cargo compare exits --update`";

/// Exits by what caused them.
type Counts = BTreeMap<String, f64>;
/// Counts by substrate.
type Figures = BTreeMap<String, Counts>;

/// `cargo compare exits`: counts, and compares with the committed figures or replaces them.
///
/// # Errors
/// When there are more exits than is allowed, or they cannot be counted.
pub fn run(update: bool) -> Result<()> {
    qemu::require()?;
    let context = Context::find(Choice::Auto, None, false)?;
    for id in SUBSTRATES.into_iter().chain([STORES]) {
        substrate::find(&[], id)?.prepare(&context)?;
    }
    let path = path(&context.workspace);
    if update {
        let mut counted = count_where_kvm_is(&context, &[])?;
        counted.retain(|id, _| !substrate::is_optional(id));
        let text = HEADING.to_owned() + &toml::to_string(&counted)?;
        return fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()));
    }
    let committed = committed(&context.workspace)?;
    let counted = count_where_kvm_is(&context, &[])?;
    print(&committed, &counted)?;
    let faults = faults(&committed, &counted);
    ensure!(
        faults.is_empty(),
        "{}\nIf that is meant: {UPDATE}, and commit {}.",
        faults.join("\n"),
        path.display()
    );
    Ok(())
}

fn path(workspace: &Workspace) -> PathBuf {
    workspace.root.join("compare/exits.toml")
}

fn committed(workspace: &Workspace) -> Result<Figures> {
    let path = path(workspace);
    let unreadable = || format!("cannot read {}: write it with {UPDATE}", path.display());
    toml::from_str(&fs::read_to_string(&path).with_context(unreadable)?).with_context(unreadable)
}

/// Counts on these substrates, or on all; in a machine with an emulated KVM where this one has none.
fn count_where_kvm_is(context: &Context, only: &[String]) -> Result<Figures> {
    let Some(obstacle) = probe::probe(&context.workspace)?.kvm_obstacle else {
        return count(only, context.peers.clone());
    };
    note!(
        "no KVM here ({obstacle}): exits are counted in a machine with an emulated one. They are as many as under a \
         real one; times would say nothing, and are not taken"
    );
    let own = env::current_exe().context("the path of this program is not known")?;
    let own = own.to_str().context("the path of this program is not UTF-8")?;
    let mut figures = None;
    let mut program = [&[own.to_owned(), COUNT_COMMAND.to_owned()], only].concat();
    for peer in context.peers.iter().filter(|peer| only.contains(&peer.name)) {
        program.push(format!("--peer={}", peer.file.display()));
    }
    bed::count_with_lines(&context.workspace, &program, |line| match serde_json::from_str(line) {
        Ok(found) => figures = Some(found),
        Err(_) => note!("{line}"),
    })?;
    figures.context("the machine with an emulated KVM has given no figures")
}

/// Counts on this machine, and writes the figures for [`run`] outside of it.
///
/// # Errors
/// When KVM does not work here, or a machine does not.
pub fn count_here(only: &[String], peers: &[PathBuf]) -> Result<()> {
    say!("{}", serde_json::to_string(&count(only, substrate::read_peers(peers)?)?)?)?;
    Ok(())
}

/// Counts on this machine, and prints the figures beside the committed ones: all of a comparison that a machine with
/// an emulated KVM can give.
///
/// # Errors
/// When KVM does not work here, or a machine does not.
pub fn print_here(only: &[String], peers: Vec<Peer>) -> Result<()> {
    let named = if only.is_empty() { &[][..] } else { &peers[..] };
    let only = [only, &named.iter().map(|peer| peer.name.clone()).collect::<Vec<_>>()].concat();
    print(&committed(&Workspace::find()?)?, &count(&only, peers)?)
}

/// Gets what a count needs besides its substrate: the store, and where this machine has no KVM, one with an emulated.
///
/// # Errors
/// What is missing, and how to mend it.
pub fn prepare(context: &Context) -> Result<()> {
    substrate::find(&[], STORES)?.prepare(context)?;
    match probe::probe(&context.workspace)?.kvm_obstacle {
        Some(_) => bed::prepare(&context.workspace),
        None => Ok(()),
    }
}

/// What leaves the guest of one substrate, by what causes it.
///
/// # Errors
/// When it cannot be counted.
pub fn count_one(context: &Context, id: &str) -> Result<Vec<(Measure, f64)>> {
    let figures = count_where_kvm_is(context, &[id.to_owned()])?;
    let counts = figures.get(id).with_context(|| format!("nothing was counted on {id}"))?;
    let with_measure = |(name, count): (&String, &f64)| Some((vote::measure(name)?, *count));
    Ok(counts.iter().filter_map(with_measure).collect())
}

fn count(only: &[String], peers: Vec<Peer>) -> Result<Figures> {
    let context = Context { peers, ..Context::find(Choice::Kvm, None, false)? };
    let stores = substrate::find(&[], STORES)?.open(&context)?;
    let is_wanted = |id: &str| only.is_empty() || only.iter().any(|wanted| wanted == id);
    let mut figures = Figures::new();
    for id in SUBSTRATES.into_iter().filter(|id| is_wanted(id)) {
        figures
            .insert(id.to_owned(), count_on(&context, &*stores, id).with_context(|| format!("{id} fails"))?);
    }
    let optional = substrate::optional().map(|candidate| candidate.id);
    let peers = context.peers.iter().map(|peer| peer.name.as_str());
    for id in optional.chain(peers).filter(|id| is_wanted(id)) {
        match count_on(&context, &*stores, id) {
            Ok(counts) => drop(figures.insert(id.to_owned(), counts)),
            Err(error) => note!("{id}: not counted: {error:#}"),
        }
    }
    Ok(figures)
}

fn count_on(context: &Context, stores: &dyn Substrate, id: &str) -> Result<Counts> {
    let machine = substrate::find(&context.peers, id)?.open(context)?;
    let directory = context.artifacts("exits")?.join(id);
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let counts = Vote::boot(&*machine, stores, &directory)?.count()?;
    note!("{id}: counted");
    Ok(counts.into_iter().map(|(name, count)| (name, rounded(count))).collect())
}

/// To a tenth.
fn rounded(count: f64) -> f64 {
    (count * 10.0).round() / 10.0
}

fn print(committed: &Figures, counted: &Figures) -> Result<()> {
    say!("{:<30} {:>10} {:>10} {:>10}", "exits", "committed", "allowed", "now")?;
    for (id, counts) in counted {
        for (name, now) in counts {
            let known = committed.get(id).and_then(|counts| counts.get(name));
            let [figure, allowed] = match known {
                Some(figure) => [*figure, allowed(name, *figure)].map(|figure| format!("{figure:.1}")),
                None => ["none", "none"].map(str::to_owned),
            };
            say!("{:<30} {figure:>10} {allowed:>10} {now:>10.1}", format!("{id}: {name}"))?;
        }
    }
    Ok(())
}

fn allowed(name: &str, committed: f64) -> f64 {
    let (percent, exits) =
        if name == BOOT { (TOLERANCE_BOOT_PERCENT, 0.0) } else { (TOLERANCE_PERCENT, TOLERANCE_EXITS) };
    rounded(committed + (committed * percent / 100.0).max(exits))
}

/// What is wrong with the counts, a line for each that is above what is allowed or is only in one of the two. Linux's
/// are there to compare with, and nobody's to mend; other VMMs are not everywhere. Fewer are welcome, and are
/// told for the file's sake only.
fn faults(committed: &Figures, counted: &Figures) -> Vec<String> {
    let mut faults = Vec::new();
    let is_checked = |id: &str| substrate::is_own(id) && !substrate::is_optional(id);
    for (id, counts) in counted.iter().filter(|(id, _)| is_checked(id)) {
        for (name, now) in counts {
            match committed.get(id).and_then(|counts| counts.get(name)) {
                None => faults.push(format!("{id}: {name} has no committed figure")),
                Some(figure) if *now > allowed(name, *figure) => {
                    let allowed = allowed(name, *figure);
                    faults.push(format!("{id}: {name} causes {now:.1} exits, {allowed:.1} are allowed"));
                }
                Some(_) => {}
            }
        }
    }
    for (id, counts) in committed {
        let is_counted = |name: &String| counted.get(id).is_some_and(|counts| counts.contains_key(name));
        let gone = counts.keys().filter(|name| !is_counted(name));
        faults.extend(gone.map(|name| format!("{id}: {name} is committed and not counted any more")));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(id: &str, name: &str, count: f64) -> Figures {
        [(id.to_owned(), [(name.to_owned(), count)].into())].into()
    }

    #[test]
    fn a_fault_names_figure_count_and_what_is_allowed() {
        let committed = figures("hermit-q35", "get-close-1", 8.0);
        assert!(faults(&committed, &figures("hermit-q35", "get-close-1", 9.0)).is_empty());
        assert!(faults(&committed, &figures("hermit-q35", "get-close-1", 2.0)).is_empty());
        let found = faults(&committed, &figures("hermit-q35", "get-close-1", 9.1));
        assert_eq!(found, ["hermit-q35: get-close-1 causes 9.1 exits, 9.0 are allowed"]);
        let boot = figures("hermit-q35", "boot", 800.0);
        assert!(faults(&boot, &figures("hermit-q35", "boot", 840.0)).is_empty());
        assert_eq!(faults(&boot, &figures("hermit-q35", "boot", 841.0)).len(), 1);
    }

    #[test]
    fn what_is_only_committed_or_only_counted_is_a_fault() {
        let found = faults(&figures("hermit-q35", "boot", 1.0), &figures("hermit-q35", "get", 1.0));
        let expected = [
            "hermit-q35: get has no committed figure",
            "hermit-q35: boot is committed and not counted any more",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn linux_and_other_vmms_are_compared_with_and_not_checked() {
        assert!(faults(&Figures::new(), &figures("hermit-uhyve", "boot", 99.0)).is_empty());
        assert!(faults(&figures("linux-q35", "boot", 1.0), &figures("linux-q35", "boot", 99.0)).is_empty());
    }
}
