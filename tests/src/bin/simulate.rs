//! Simulates the application under faults, for as many seeds as are asked for.
//!
//! What is simulated and what must hold is `tests::simulation`'s business.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tests::simulation::many::{Results, catch_all, check_all, threads};
use tests::simulation::{Failure, bugs::Bug, chronicle};

/// Where failing seeds leave their files unless told otherwise.
const OUTPUT_DIR: &str = "target/simulation";

/// Simulates the whole application under faults, each run decided by its seed and checked twice
#[derive(Debug, Parser)]
struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 200, conflicts_with = "seed")]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    first: u64,
    /// This seed alone; says what happened
    #[arg(long)]
    seed: Option<u64>,
    /// How many at a time, instead of one for each processor
    #[arg(long)]
    jobs: Option<usize>,
    /// With this deliberate bug, which must make seeds fail
    #[arg(long, value_parser = find_bug)]
    bug: Option<Bug>,
    /// Instead, find the first seed that catches each deliberate bug
    #[arg(long, conflicts_with_all = ["bug", "seed", "seeds"])]
    bugs: bool,
    /// Where a failing seed's frames (pcap) and events are written
    #[arg(long, default_value = OUTPUT_DIR)]
    output: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.bugs {
        return catch(options.jobs.unwrap_or_else(threads));
    }
    let (first, count) = options.seed.map_or((options.first, options.seeds), |seed| (seed, 1));
    if let Some(seed) = options.seed {
        print!("{}", chronicle(seed, options.bug));
    }
    let began = Instant::now();
    let tell = |done: u64| {
        if done.is_multiple_of(50) {
            println!("{done} of {count} seeds after {:.0?}", began.elapsed());
        }
    };
    let bug = options.bug;
    let results =
        check_all(first..first.saturating_add(count), bug, options.jobs.unwrap_or_else(threads), tell);
    report(&results, &options.output)
}

/// Prints a table of the deliberate bugs.
fn catch(jobs: usize) -> ExitCode {
    let caught = catch_all(jobs);
    for (bug, first) in &caught {
        let first =
            first.as_ref().map_or("not caught".into(), |(seed, violation)| format!("{seed} | {violation}"));
        println!("| `{}` | {} | {} | {first} |", bug.name(), bug.what(), bug.seeds_max());
    }
    if caught.iter().all(|(_, first)| first.is_some()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn find_bug(name: &str) -> Result<Bug, String> {
    let names: Vec<_> = Bug::ALL.iter().map(|bug| bug.name()).collect();
    Bug::find(name).ok_or_else(|| format!("there are {}", names.join(", ")))
}

fn report(results: &Results, output: &Path) -> ExitCode {
    print!("{}", results.counts);
    for failure in &results.failures {
        println!("{failure}");
        match write(failure, output) {
            Ok(path) => println!("frames and events: {}.pcap and .log", path.display()),
            Err(error) => println!("{} cannot be written: {error}", output.display()),
        }
    }
    if results.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write(failure: &Failure, output: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(output)?;
    let path = output.join(format!("seed-{}", failure.seed));
    fs::write(path.with_extension("pcap"), &failure.capture)?;
    fs::write(path.with_extension("log"), format!("{}{}\n", failure.chronicle, failure.violation))?;
    Ok(path)
}
