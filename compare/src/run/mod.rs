//! A run from its beginning to its report: preparing, measuring in a contained child, reporting.
//!
//! The child can be killed at any moment: each sample is on disk before the next one is taken, and
//! everything that it started ends with it.

mod machine;
mod measuring;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use image_build::bed;
use image_build::note;
use image_build::tool::workspace::Workspace;
use image_build::vm::accelerator::Choice;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::containment;
use crate::context::Context;
use crate::peer::Peer;
use crate::record::{Execution, Run};
use crate::report;
use crate::results::{Results, SCHEMA, SubstrateRecord};
use crate::run_dir::RunDir;
use crate::substrate::{self, Candidate};
use crate::{exit_check, load, plan};

pub use measuring::measure;

/// Rounds of a full run and of a quick one.
const ROUNDS: (u32, u32) = (3, 2);
/// How often a measuring child and the signals are looked at.
const POLL: Duration = Duration::from_millis(20);
/// Status of a program that a signal has ended, less the signal's number; what shells use.
const STATUS_SIGNAL: u8 = 128;

/// Why there are no times in a machine whose KVM is emulated.
const TIMELESS: &str =
    "KVM is emulated here, so times would say nothing and are not taken; what leaves a guest is counted";

/// What a run is asked for.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The short run: fewer rounds and loads, less than five minutes
    #[arg(long)]
    pub quick: bool,
    /// How often each measurement is repeated (3; 2 with --quick)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
    /// Measure only these substrates, such as hermit-q35,linux-q35
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    pub only: Vec<String>,
    /// Also measure a kernel that FILE describes, such as compare/peers/debian-q35.toml; several times for several
    #[arg(long = "peer", value_name = "FILE")]
    pub peers: Vec<PathBuf>,
    /// Continue a run: the latest, or the one in DIRECTORY
    #[arg(long, value_name = "DIRECTORY", num_args = 0..=1, conflicts_with_all = ["quick", "rounds", "only", "peers"])]
    pub resume: Option<Option<PathBuf>>,
    /// Say what changed since this results.json
    #[arg(long, value_name = "OLD.JSON")]
    pub baseline: Option<PathBuf>,
    /// Where measuring the original application is wanted: a checkout of it
    #[arg(long, value_name = "PATH")]
    pub original: Option<PathBuf>,
    /// What runs the guests
    #[arg(long, value_enum, default_value_t)]
    pub accel: Choice,
}

/// `cargo compare`.
///
/// # Errors
/// What cannot be done, and how to mend it.
pub fn run(options: &Options) -> Result<ExitCode> {
    let peers = substrate::read_peers(&options.peers)?;
    if bed::is_inside() {
        note!("{TIMELESS}");
        exit_check::print_here(&options.only, peers)?;
        return Ok(ExitCode::SUCCESS);
    }
    let baseline = options.baseline.as_deref().map(read_results).transpose()?;
    let contained = containment::is_possible() && !substrate::has_foreign_engine(&options.only);
    let found = Context::find(options.accel, options.original.clone(), contained)?;
    let context = Context { peers, ..found };
    substrate::remove_leftovers(&context);
    let directory = match &options.resume {
        Some(Some(directory)) => directory.clone(),
        Some(None) => RunDir::latest(&context.root()?)?,
        None => begin(&context, options)?,
    };
    if options.resume.is_some() {
        prepare_again(&context, &RunDir::open(&directory)?.run)?;
    }
    let end = measure_in_child(&directory, &context, options)?;
    substrate::remove_leftovers(&context);
    let results = summarize(&directory)?;
    report::write(&directory, &results, baseline.as_ref())?;
    match end {
        End::Finished => {
            let failed = own_failures(&results.substrates);
            ensure!(failed.is_empty(), "measurements of unikernels failed: {}", failed.join("; "));
            Ok(ExitCode::SUCCESS)
        }
        End::Failed => bail!("the measuring program failed; continue with `cargo compare --resume`"),
        End::Interrupted(signal) => {
            note!("interrupted: continue with `cargo compare --resume`");
            Ok(ExitCode::from(STATUS_SIGNAL.saturating_add(signal)))
        }
    }
}

/// `cargo compare report`.
///
/// # Errors
/// When there is no such run, or its report cannot be written.
pub fn report(directory: Option<PathBuf>, baseline: Option<&Path>) -> Result<()> {
    let baseline = baseline.map(read_results).transpose()?;
    let directory = match directory {
        Some(directory) => directory,
        None => RunDir::latest(&Workspace::find()?.target.join("compare"))?,
    };
    report::write(&directory, &summarize(&directory)?, baseline.as_ref())
}

fn read_results(path: &Path) -> Result<Results> {
    let unreadable = || format!("cannot read {} as the results of `cargo compare`", path.display());
    let value: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(path).with_context(unreadable)?).with_context(unreadable)?;
    let schema = value["schema"].as_u64().with_context(unreadable)?;
    ensure!(
        schema == u64::from(SCHEMA),
        "{} has schema {schema}; this program reads {SCHEMA}: measure it anew",
        path.display()
    );
    serde_json::from_value(value).with_context(unreadable)
}

/// Prepares the substrates that are asked for and makes a run of them.
fn begin(context: &Context, options: &Options) -> Result<PathBuf> {
    let chosen = chosen(&context.peers, &options.only)?;
    if !options.only.is_empty() {
        chosen.iter().try_for_each(|candidate| {
            candidate.check(context).with_context(|| format!("{} cannot be measured here", candidate.id))
        })?;
    }
    prepare_shared(context, options.quick, &chosen)?;
    let substrates = chosen.iter().map(|candidate| (candidate.id.to_owned(), missing(context, candidate)));
    let run = Run {
        begun: machine::now()?,
        commit: machine::commit(&context.workspace),
        quick: options.quick,
        rounds: options.rounds.unwrap_or(if options.quick { ROUNDS.1 } else { ROUNDS.0 }),
        substrates: substrates.collect(),
        peers: context.peers.clone(),
        machine: machine::describe(context)?,
    };
    let missing = |(id, missing): &(String, Option<String>)| Some(format!("{id}: {}", missing.as_ref()?));
    let missing: Vec<String> = run.substrates.iter().filter_map(missing).collect();
    ensure!(missing.len() < run.substrates.len(), "nothing can be measured here: {}", missing.join("; "));
    Ok(RunDir::create(&context.root()?, run)?.path)
}

/// What `--only` names, or all; and the peers, since who gives one wants it measured.
fn chosen<'a>(peers: &'a [Peer], only: &[String]) -> Result<Vec<Candidate<'a>>> {
    only.iter().try_for_each(|id| substrate::find(peers, id).map(drop))?;
    let wanted = |candidate: &Candidate| {
        let is_peer = || peers.iter().any(|peer| peer.name == candidate.id);
        only.is_empty() || only.iter().any(|id| id == candidate.id) || is_peer()
    };
    Ok(substrate::all(peers).filter(wanted).collect())
}

/// Why a substrate cannot be measured here, if so.
fn missing(context: &Context, candidate: &Candidate) -> Option<String> {
    let ready = candidate.check(context).and_then(|()| candidate.prepare(context));
    let reason = ready.err().map(|error| format!("{error:#}"));
    match &reason {
        Some(reason) => note!("{}: not measured: {reason}", candidate.title),
        None => note!("{}: ready", candidate.title),
    }
    reason
}

/// What several substrates need: the load's programs, and what exits are counted with, which a short run leaves out.
fn prepare_shared(context: &Context, quick: bool, candidates: &[Candidate]) -> Result<()> {
    load::prepare(context, quick)?;
    if !quick && candidates.iter().any(Candidate::counts_exits) {
        exit_check::prepare(context)?;
    }
    Ok(())
}

fn prepare_again(context: &Context, run: &Run) -> Result<()> {
    let is_part = |candidate: &Candidate| {
        run.substrates.iter().any(|(id, missing)| id == candidate.id && missing.is_none())
    };
    let candidates: Vec<Candidate> = substrate::all(&run.peers).filter(is_part).collect();
    prepare_shared(context, run.quick, &candidates)?;
    candidates.iter().try_for_each(|candidate| {
        candidate.check(context)?;
        candidate.prepare(context)
    })
}

/// What failed of this project's own, each in a line: that is a fault of it, whereas others may be what they are, and
/// not every machine has every VMM.
fn own_failures(substrates: &[SubstrateRecord]) -> Vec<String> {
    let failures = |substrate: &SubstrateRecord| -> Vec<String> {
        let missing = substrate.missing.as_ref().filter(|_| !substrate::is_optional(&substrate.id));
        let all = missing.into_iter().chain(&substrate.failures);
        all.map(|failure| format!("{}: {}", substrate.id, failure.lines().next().unwrap_or_default()))
            .collect()
    };
    substrates.iter().filter(|substrate| substrate::is_own(&substrate.id)).flat_map(failures).collect()
}

/// How measuring ended.
enum End {
    Finished,
    Failed,
    Interrupted(u8),
}

fn measure_in_child(directory: &Path, context: &Context, options: &Options) -> Result<End> {
    let accel = options.accel.to_possible_value().context("an accelerator without a name")?;
    let mut arguments = vec!["--accel".to_owned(), accel.get_name().to_owned()];
    if let Some(original) = &options.original {
        arguments.extend(["--original".to_owned(), original.display().to_string()]);
    }
    let caught = Arc::new(AtomicUsize::new(0));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let number = signal.unsigned_abs() as usize;
        signal_hook::flag::register_usize(signal, Arc::clone(&caught), number)
            .context("signals cannot be caught")?;
    }
    let mut child = containment::measure(directory, context.contained, &arguments)?;
    wait(&mut child, &caught)
}

fn wait(child: &mut Child, caught: &AtomicUsize) -> Result<End> {
    loop {
        if let Some(status) = child.try_wait().context("the measuring program's state is not known")? {
            return Ok(match status.signal() {
                None if status.success() => End::Finished,
                _ => End::Failed,
            });
        }
        let signal = caught.load(Ordering::Relaxed);
        if signal != 0 {
            child.kill().context("the measuring program cannot be ended")?;
            child.wait().context("the measuring program does not end")?;
            return Ok(End::Interrupted(u8::try_from(signal).unwrap_or(0)));
        }
        std::thread::sleep(POLL);
    }
}

/// The results of what a run has measured so far.
fn summarize(directory: &Path) -> Result<Results> {
    let run_dir = RunDir::open(directory)?;
    let (samples, failures) = run_dir.samples()?;
    let complete = plan::remaining(&run_dir)?.is_empty();
    let emulated = run_dir.run.machine.accelerator == "tcg";
    let execution = |id: &str| {
        let candidate = substrate::find(&run_dir.run.peers, id);
        candidate.map_or(Execution::Native, |candidate| candidate.execution(emulated))
    };
    Ok(Results::new(&run_dir.run, complete, execution, &samples, &failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_of_our_own_substrates_fail_the_run() {
        let substrate = |id: &str, missing: Option<&str>, failures: &[&str]| SubstrateRecord {
            id: id.to_owned(),
            title: String::new(),
            execution: Execution::Native,
            missing: missing.map(str::to_owned),
            failures: failures.iter().map(|failure| (*failure).to_owned()).collect(),
        };
        let none = [
            substrate("docker-host", Some("no daemon"), &[]),
            substrate("linux-q35", None, &["it does not start"]),
            substrate("hermit-q35", None, &[]),
            substrate("hermit-uhyve", Some("not installed"), &[]),
        ];
        assert!(own_failures(&none).is_empty());
        let some = [
            substrate("hermit-q35", None, &["the guest does not come to rest\nits log"]),
            substrate("native", Some("not built"), &[]),
            substrate("hermit-uhyve", None, &["it does not start"]),
        ];
        let expected = [
            "hermit-q35: the guest does not come to rest",
            "native: not built",
            "hermit-uhyve: it does not start",
        ];
        assert_eq!(own_failures(&some), expected);
    }
}
