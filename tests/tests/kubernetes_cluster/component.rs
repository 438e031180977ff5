//! A program of the cluster: started, with its words in a file of its own, and ended by its process id.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// How much of a log is told.
const LINES: usize = 15;

/// One that was started. It is killed when this value goes.
pub struct Component {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Component {
    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &'static str, command: &mut Command, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("{} cannot be made", log.display()))?;
        let errors = file.try_clone().context("a file can be opened twice")?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().with_context(|| format!("{name} cannot be started: {command:?}"))?;
        eprintln!("started {name}");
        Ok(Self { name, child, log })
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// With its last words, when it has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) =
            self.child.try_wait().with_context(|| format!("{} cannot be asked for", self.name))?
        {
            bail!("{} has ended with {status}:\n{}", self.name, self.last_lines());
        }
        Ok(())
    }

    /// The end of what it has said.
    pub fn last_lines(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        format!("--- {} ({})\n{}", self.name, self.log.display(), last.join("\n"))
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
