//! Child processes that end with this one, their logs, and what the kernel says of them.
//!
//! Knows nothing of substrates.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use image_build::process;

use crate::context::Context;
use crate::substrate::Running;

/// Bytes of a log that are quoted when something failed.
const LOG_TAIL_BYTES: usize = 2000;
/// How often a child that is given a time is looked at.
const POLL: Duration = Duration::from_millis(2);
/// Clock ticks a second in /proc (sysconf(_SC_CLK_TCK) on Linux).
const TICKS_PER_SECOND: f64 = 100.0;

/// A process that is killed when this value goes, or when this program ends in any way.
#[derive(Debug)]
pub struct Child(Process);

impl Child {
    /// Starts `command` with its output and errors in the file `log`, made anew.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(context: &Context, command: &Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = file.try_clone().context("cannot write a log twice")?;
        // In a contained run all processes end with the first one; else the kernel is told of each.
        let mut command = if context.contained { copy(command) } else { process::bound(command)? };
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let program = command.get_program().to_string_lossy().into_owned();
        Ok(Self(command.spawn().with_context(|| format!("{program} cannot be started"))?))
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// Waits until it has ended by itself; whether without an error.
    ///
    /// # Errors
    /// When it does not end within `limit`; then it is killed.
    pub fn wait(&mut self, limit: Duration) -> Result<bool> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().context("a child's state is not known")? {
                return Ok(status.success());
            }
            if begun.elapsed() > limit {
                self.stop();
                bail!("it did not end within {} s", limit.as_secs());
            }
            std::thread::sleep(POLL);
        }
    }

    fn stop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running for Child {
    fn ended(&mut self) -> Option<String> {
        self.0.try_wait().ok().flatten().map(|status| status.to_string())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The same command. (`Command` cannot be cloned.)
fn copy(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        copy.current_dir(directory);
    }
    copy
}

/// The end of a log, or why there is none.
pub fn log_tail(log: &Path) -> String {
    match fs::read(log) {
        Ok(bytes) => {
            let start = bytes.len().saturating_sub(LOG_TAIL_BYTES);
            String::from_utf8_lossy(&bytes[start..]).trim().to_owned()
        }
        Err(error) => format!("(no log at {}: {error})", log.display()),
    }
}

/// Memory in MiB that a process holds, shared pages by their share (Pss of proc_pid_smaps(5)).
///
/// # Errors
/// When the process is gone or may not be looked at.
pub fn memory_mib(pid: i32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss in smaps_rollup")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("Pss is no number")?;
    Ok(kib / 1024.0)
}

/// Processor time of a process so far, in seconds (proc_pid_stat(5), fields 14 and 15).
///
/// # Errors
/// When the process is gone.
pub fn processor_seconds(pid: i32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index).context("stat is short")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}
