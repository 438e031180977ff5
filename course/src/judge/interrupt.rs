//! Ctrl-C while the judge works: what runs for it ends with it, and all that this has started.

use std::collections::BTreeSet;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Status of a program that a signal has ended, less the signal's number; what shells use.
const STATUS_SIGNAL: i32 = 128;

/// The process groups that run.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Begins to catch signals that end this process.
///
/// # Errors
/// When they cannot be caught.
pub fn catch() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signals cannot be caught")?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end(signal);
        }
    });
    Ok(())
}

fn end(signal: i32) -> ! {
    // It stays locked, so that no other group begins.
    let groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    for group in groups.iter().filter_map(|number| Pid::from_raw(*number)) {
        // It fails only when nothing of it is left.
        let _ = kill_process_group(group, Signal::KILL);
    }
    note!("\ninterrupted: the work is as it was");
    process::exit(STATUS_SIGNAL + signal)
}

/// A process group has begun.
pub(super) fn add(group: Pid) {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner).insert(group.as_raw_nonzero().get());
}

/// It has ended.
pub(super) fn remove(group: Pid) {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner).remove(&group.as_raw_nonzero().get());
}
