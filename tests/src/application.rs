//! The application as `cargo up` starts it, on ports of its own, stopped when it is dropped.
//!
//! Uses only the commands that users have.

use std::path::PathBuf;

use serde_json::Value;

use crate::client::{Response, curl};
use crate::command::{CommandOutput, cargo, free_port, run};

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

    /// Votes for a and for b as `/api/scores` has them now, if it answers.
    pub fn scores(&self) -> Option<(u64, u64)> {
        let Response { status: 200, body, .. } = curl(&self.result_url("/api/scores"), &[]) else {
            return None;
        };
        let scores: Value = serde_json::from_str(&body).ok()?;
        Some((scores["a"].as_u64()?, scores["b"].as_u64()?))
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.command(&["down"]);
    }
}
