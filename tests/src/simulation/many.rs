//! Many seeds, on all processors.
//!
//! Prints nothing; whoever asks is told of each seed as it ends.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::bugs::Bug;
use super::counts::Counts;
use super::{Failure, check, fails};

/// Most failures that are kept; a broken application breaks nearly every seed.
pub const FAILURES_MAX: usize = 10;

/// What came of the seeds.
#[derive(Debug, Default)]
pub struct Results {
    /// Of the seeds that passed.
    pub counts: Counts,
    /// The seeds that did not.
    pub failures: Vec<Failure>,
}

/// Checks seeds on so many threads, until [`FAILURES_MAX`] have failed. `tell` hears how many are done.
pub fn check_all(seeds: Range<u64>, bug: Option<Bug>, threads: usize, tell: impl Fn(u64) + Sync) -> Results {
    let next = AtomicU64::new(seeds.start);
    let results = Mutex::new(Results::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let result = check(seed, bug);
            let mut results = results.lock().expect("no thread panics while it holds this");
            match result {
                Ok(counts) => results.counts += &counts,
                Err(failure) => results.failures.push(*failure),
            }
            if results.failures.len() >= FAILURES_MAX {
                next.store(seeds.end, Ordering::Relaxed);
            }
            tell(results.counts.runs + results.failures.len() as u64);
        }
    };
    run(threads, work);
    results.into_inner().expect("no thread panics while it holds this")
}

/// A deliberate bug, and the first seed that catches it, with what it found.
pub type Caught = (Bug, Option<(u64, String)>);

/// Looks for the first seed that catches each deliberate bug, on so many threads.
pub fn catch_all(threads: usize) -> Vec<Caught> {
    let left = Mutex::new(Bug::ALL.iter().copied().enumerate());
    let caught = Mutex::new(vec![None; Bug::ALL.len()]);
    let work = || {
        loop {
            let Some((index, bug)) = left.lock().expect("taking one does not panic").next() else { return };
            let first = (0..bug.seeds_max()).find_map(|seed| Some((seed, fails(seed, bug)?)));
            caught.lock().expect("storing one does not panic")[index] = Some((bug, first));
        }
    };
    run(threads, work);
    caught.into_inner().expect("as above").into_iter().flatten().collect()
}

fn run(threads: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(&work)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// As many threads as there are processors.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
