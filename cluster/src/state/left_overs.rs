//! Processes that an earlier run has left behind, stopped by the identities in its state file.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::state::identity::Handle;
use crate::state::model::State;
use crate::state::run_dir::RunDir;

/// How long the supervisor is given to stop everything in order.
const SUPERVISOR_TIMEOUT: Duration = Duration::from_secs(25);
/// How long a machine left behind is given to end.
const MACHINE_TIMEOUT: Duration = Duration::from_secs(2);

/// Stops whatever an earlier run has left. The caller has the lock, so there is no supervisor any more.
///
/// # Errors
/// When something cannot be stopped or the state file not be removed.
pub fn clear(run_dir: &RunDir) -> Result<()> {
    if let Ok(Some(state)) = run_dir.read_state() {
        stop(&state)?;
    }
    run_dir.remove_state()
}

/// Stops all processes of a state; gives the names of the instances that were running.
pub fn stop(state: &State) -> Result<Vec<String>> {
    let running: Vec<(&str, Handle)> = state
        .instances
        .iter()
        .filter_map(|instance| Some((instance.instance.as_str(), instance.process.open()?)))
        .collect();
    if let Some(supervisor) = state.supervisor.open() {
        supervisor.terminate();
        if !supervisor.ended_within(SUPERVISOR_TIMEOUT) {
            supervisor.kill();
        }
    }
    for (_, handle) in &running {
        if !handle.ended_within(Duration::ZERO) {
            handle.stop(MACHINE_TIMEOUT);
        }
    }
    for (name, handle) in &running {
        if !handle.ended_within(MACHINE_TIMEOUT) {
            bail!("{name} does not end: end its process by hand, see `cargo ps`");
        }
    }
    Ok(running.into_iter().map(|(name, _)| name.to_owned()).collect())
}
