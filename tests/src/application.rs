//! The application as `cargo up` starts it, on ports of its own, stopped when it is dropped.
//!
//! Uses only the commands that users have.

use std::path::PathBuf;
use std::time::Duration;

use cluster::state::InstanceState;
use cluster::state::run_dir::RunDir;
use image_build::tool::workspace::Workspace;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::client::{self, wait_for};
use crate::command::{CommandOutput, cargo, free_port, run};

/// A machine that was killed is replaced within this time, on a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// `cargo up --detach` with these further options, as a project of this name.
///
/// # Panics
/// When it fails; with what it printed.
pub fn up(project: &str, options: &[&str]) -> Application {
    let started = Application::up(project, options);
    started.unwrap_or_else(|outcome| panic!("cargo up failed: {}{}", outcome.stdout, outcome.stderr))
}

/// A running application.
pub struct Application {
    project: String,
    /// Where its record is kept, if not where the user's are.
    state: Option<PathBuf>,
    /// Port of the vote page.
    pub vote_port: u16,
    /// Port of the result page.
    pub result_port: u16,
}

impl Application {
    /// `cargo up --detach` with these further options, as a project of this name.
    ///
    /// # Errors
    /// What the command printed, when it failed.
    pub fn up(project: &str, options: &[&str]) -> Result<Self, CommandOutput> {
        Self::up_in(None, project, options)
    }

    /// The same, with its record in a folder of its own.
    ///
    /// # Errors
    /// What the command printed, when it failed.
    pub fn up_in(state: Option<PathBuf>, project: &str, options: &[&str]) -> Result<Self, CommandOutput> {
        let (vote_port, result_port) = (free_port(), free_port());
        let application = Self { project: project.to_owned(), state, vote_port, result_port };
        let publish = [format!("vote={vote_port}"), format!("result={result_port}")];
        let mut arguments = vec!["up", "--detach", "--publish", &publish[0], "--publish", &publish[1]];
        arguments.extend(options);
        let outcome = application.command(&arguments);
        if outcome.success { Ok(application) } else { Err(outcome) }
    }

    /// One that runs already as this project, stopped when this is dropped.
    pub fn adopt(project: &str, vote_port: u16, result_port: u16) -> Self {
        Self { project: project.to_owned(), state: None, vote_port, result_port }
    }

    /// Another command about this application.
    pub fn command(&self, arguments: &[&str]) -> CommandOutput {
        let mut command = cargo(arguments);
        command.env("VOTING_APP_PROJECT", &self.project);
        run(command.envs(self.state.as_ref().map(|folder| ("XDG_STATE_HOME", folder))))
    }

    /// Address of the vote page.
    pub fn vote_url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.vote_port)
    }

    /// Address of something on the result page's server.
    pub fn result_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.result_port)
    }

    /// The list of `cargo ps --json`.
    ///
    /// # Panics
    /// When it is no list.
    pub fn instances(&self) -> Vec<Value> {
        let outcome = self.command(&["ps", "--json"]);
        let list = serde_json::from_str::<Value>(&outcome.stdout);
        list.ok().and_then(|list| list.as_array().cloned()).unwrap_or_else(|| panic!("no list: {outcome:?}"))
    }

    /// What `cargo ps --json` says of an instance.
    ///
    /// # Panics
    /// When it is not there.
    pub fn instance(&self, name: &str) -> Value {
        let all = self.instances();
        all.into_iter().find(|row| row["instance"] == name).unwrap_or_else(|| panic!("{name} is not there"))
    }

    /// How long after its start each instance was healthy, as the record has it.
    ///
    /// # Panics
    /// When there is no record.
    pub fn times_to_healthy(&self) -> Vec<(String, Duration)> {
        let workspace = Workspace::find().expect("this is a workspace");
        let folder = workspace.runs().expect("a home").join(&self.project);
        let state = RunDir::open(folder).and_then(|run_dir| run_dir.read_state()).expect("readable");
        let instances = state.expect("it is up").instances;
        let time = |instance: InstanceState| {
            instance.healthy_after_ms.map(|ms| (instance.instance, Duration::from_millis(ms)))
        };
        instances.into_iter().filter_map(time).collect()
    }

    /// Kills an instance's machine and waits until another one is healthy in its place.
    ///
    /// # Panics
    /// When none is in time.
    pub fn kill(&self, name: &str) {
        let before = self.instance(name);
        let pid = before["pid"].as_i64().and_then(|pid| Pid::from_raw(pid as i32)).expect("a process");
        kill_process(pid, Signal::KILL).expect("it runs");
        let back = |now: &Value| now["health"] == "healthy" && now["pid"] != before["pid"];
        let after = wait_for(BACK_WITHIN, || Some(self.instance(name)).filter(back));
        let after = after.unwrap_or_else(|| panic!("{name} is not back: {}", self.instance(name)));
        assert_eq!(after["endpoint"], before["endpoint"]);
        assert_eq!(after["restarts"], before["restarts"].as_u64().expect("a count") + 1);
    }

    /// Votes for a and for b as `/api/scores` has them now, if it answers.
    pub fn scores(&self) -> Option<(u64, u64)> {
        client::scores(&self.result_url(""))
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.command(&["down"]);
    }
}
