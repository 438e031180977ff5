//! kubectl, with a deadline for each command.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::command::{CommandOutput, run};

use crate::requirements::Programs;

/// How long a command takes that waits for nothing.
const LIMIT: Duration = Duration::from_secs(60);
/// A program that does not end by a signal is killed after this time.
const KILL_AFTER: &str = "--kill-after=5";

/// kubectl with the rights of an administrator.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    timeout: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    pub fn new(programs: &Programs, kubeconfig: &Path, state: &Path) -> Self {
        Self {
            program: programs.path("kubectl").to_owned(),
            timeout: programs.path("timeout").to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            cache: state.join("kubectl-cache"),
        }
    }

    /// Runs a command that may fail.
    pub fn attempt(&self, limit: Duration, arguments: &[&str]) -> CommandOutput {
        let mut command = Command::new(&self.timeout);
        command.arg(KILL_AFTER).arg(limit.as_secs().to_string()).arg(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--cache-dir").arg(&self.cache);
        run(command.args(arguments))
    }

    /// What a command prints that works within this time.
    ///
    /// # Errors
    /// When it does not, with what it said.
    pub fn run_within(&self, limit: Duration, arguments: &[&str]) -> Result<String> {
        let outcome = self.attempt(limit, arguments);
        let command = arguments.join(" ");
        ensure!(
            outcome.success,
            "kubectl {command} failed, or took more than {limit:?}: {}{}",
            outcome.stdout.trim(),
            outcome.stderr.trim()
        );
        Ok(outcome.stdout)
    }

    /// What a command prints that waits for nothing.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_within(LIMIT, arguments)
    }

    /// What `get` tells of some objects.
    ///
    /// # Errors
    /// When it fails.
    pub fn get(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let text = self.run(&[&["get", "--output", "json"], arguments].concat())?;
        let list: Value = serde_json::from_str(&text).context("kubectl prints JSON")?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }
}
