//! `cargo down`: stops the application, even if its supervisor has crashed. It ends only processes that the state
//! file identifies by more than their numbers.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::state::left_overs::stop;
use crate::state::run_dir::RunDir;
use image_build::tool::progress::Patience;

/// How long a supervisor that has the lock may take to write its first state.
const STATE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often that is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Stops the application and says what was stopped.
///
/// # Errors
/// When something cannot be stopped or the state file not be removed.
pub fn down(run_dir: &RunDir) -> Result<()> {
    match run_dir.read_state() {
        Ok(None) if !starts_right_now(run_dir)? => {
            say!("nothing runs")?;
            return Ok(());
        }
        Ok(_) => {}
        Err(error) => note!("{error:#}; removing it"),
    }
    let patience = Patience::start("stopping: what is under way is finished first");
    let stopped = match run_dir.read_state() {
        Ok(Some(state)) => stop(&state)?,
        _ => Vec::new(),
    };
    run_dir.remove_state()?;
    drop(patience);
    match stopped.as_slice() {
        [] => say!("cleared what an earlier run had left; nothing was running")?,
        stopped => say!("stopped {}", stopped.join(", "))?,
    }
    Ok(())
}

/// Whether a supervisor has just taken the lock; then its state is waited for.
fn starts_right_now(run_dir: &RunDir) -> Result<bool> {
    let end = Instant::now() + STATE_TIMEOUT;
    while run_dir.try_lock()?.is_none() {
        if matches!(run_dir.read_state(), Ok(Some(_))) {
            return Ok(true);
        }
        if Instant::now() >= end {
            bail!(
                "`cargo up` is starting or stopping in {}: try again in a moment",
                run_dir.path().display()
            );
        }
        thread::sleep(POLL);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::plan::draft::tests::one_service;
    use crate::state::State;
    use crate::state::identity::Identity;
    use crate::state::left_overs;
    use crate::state::run_dir::tests::{instance, temporary};

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().expect("sleep runs")
    }

    fn state(supervisor: &Child, machine: &Child) -> State {
        let identity = |child: &Child| Identity::of(child.id()).expect("it runs");
        let mut state = State::new(identity(supervisor), one_service(1, 1));
        state.instances.push(instance("web", "web-1", identity(machine)));
        state
    }

    #[test]
    fn machines_left_behind_by_a_crash_are_stopped() {
        let (_folder, run_dir) = temporary();
        let (mut supervisor, mut machine) = (sleeper(), sleeper());
        let state = state(&supervisor, &machine);
        supervisor.kill().expect("it runs");
        supervisor.wait().expect("its status");
        run_dir.write_state(&state).expect("room");
        let pids = crate::commands::ps::look::tests::pids(&run_dir);
        assert_eq!(pids, [Some(machine.id().cast_signed())]);
        down(&run_dir).expect("stopped");
        machine.wait().expect("its status");
        assert!(run_dir.read_state().expect("readable").is_none());
        down(&run_dir).expect("nothing runs");
    }

    #[test]
    fn a_state_whose_processes_have_all_ended_is_cleared() {
        let (_folder, run_dir) = temporary();
        let (mut supervisor, mut machine) = (sleeper(), sleeper());
        let state = state(&supervisor, &machine);
        for child in [&mut supervisor, &mut machine] {
            child.kill().expect("it runs");
            child.wait().expect("its status");
        }
        run_dir.write_state(&state).expect("room");
        assert_eq!(stop(&state).expect("nothing to stop"), Vec::<String>::new());
        left_overs::clear(&run_dir).expect("cleared");
        assert!(run_dir.read_state().expect("readable").is_none());
    }

    #[test]
    fn a_state_file_that_is_not_understood_is_removed() {
        let (_folder, run_dir) = temporary();
        std::fs::write(run_dir.path().join("state.json"), "{").expect("written");
        down(&run_dir).expect("cleared");
        assert!(run_dir.read_state().expect("readable").is_none());
    }
}
