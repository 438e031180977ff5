//! Child processes that end with this one, their logs, and what the kernel says of them.
//!
//! Knows nothing of what they run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use image_build::tool::process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process_group, pidfd_open, waitpgid};

use crate::context::Context;

/// Bytes of a log that are quoted when something failed.
const LOG_TAIL_BYTES: usize = 2000;
/// Clock ticks a second in /proc (sysconf(_SC_CLK_TCK) on Linux).
const TICKS_PER_SECOND: f64 = 100.0;

/// Something that ends when it is dropped.
pub trait Running {
    /// How it ended by itself, if it has.
    fn ended(&mut self) -> Option<String>;
}

/// A process that is killed when this value goes, with what it has started, or when this program ends in
/// any way.
#[derive(Debug)]
pub struct Child(Process);

impl Child {
    /// Starts `command` with its output and errors in the file `log`, made anew.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(context: &Context, command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = file.try_clone().context("cannot write a log twice")?;
        // In a contained run all processes end with the first one; else the kernel is told of each.
        let mut command = if context.contained { command } else { process::bound(&command)? };
        // A group of its own, so that its children can be ended with it.
        command.stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
        let program = command.get_program().to_string_lossy().into_owned();
        Ok(Self(command.spawn().with_context(|| format!("{program} cannot be started"))?))
    }

    /// Its number, for the kernel's files about it.
    pub fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// Waits until it has ended by itself; whether without an error.
    ///
    /// # Errors
    /// When it does not end within `limit`; then it is killed.
    pub fn wait(&mut self, limit: Duration) -> Result<bool> {
        if !ends_within(&self.0, limit)? {
            self.stop();
            bail!("it did not end within {} s", limit.as_secs());
        }
        Ok(self.0.wait().context("a child's state is not known")?.success())
    }

    /// Ends it and all of its group. What fails here only fails because it has ended already.
    fn stop(&mut self) {
        let group = Pid::from_child(&self.0);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
        // In a contained run its children are now this process's, which is the first one there.
        while waitpgid(group, WaitOptions::empty()).is_ok() {}
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

/// Runs `command` to its end; what it wrote, without the end of its last line.
///
/// Its output must fit a pipe (64 KiB). Its standard input is the caller's to choose.
///
/// # Errors
/// When it cannot be started, fails, or does not end within `limit`; then it is killed.
pub fn output_within(command: &mut Command, limit: Duration, purpose: &str) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("{purpose}: {program} cannot be started"))?;
    if !ends_within(&child, limit)? {
        // Fails only when it has ended just now.
        let _ = child.kill();
        let _ = child.wait();
        bail!("{purpose} took more than {} s", limit.as_secs());
    }
    let output = child.wait_with_output().with_context(|| format!("{purpose}: no output"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{purpose} failed ({}): {}", output.status, errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn ends_within(child: &Process, limit: Duration) -> Result<bool> {
    let process =
        pidfd_open(Pid::from_child(child), PidfdFlags::empty()).context("a child cannot be watched")?;
    has_ended(process.as_fd(), limit)
}

/// Whether the process behind a descriptor (pidfd_open(2)) ends within `limit`.
///
/// # Errors
/// When the system cannot say.
pub fn has_ended(process: BorrowedFd<'_>, limit: Duration) -> Result<bool> {
    let limit = Timespec::try_from(limit).context("a limit is too long")?;
    let mut descriptors = [PollFd::from_borrowed_fd(process, PollFlags::IN)];
    let ready =
        retry_on_intr(|| poll(&mut descriptors, Some(&limit))).context("a process cannot be watched")?;
    Ok(ready > 0)
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

/// Processes and all that have come from them and are still there, each once: a container's supervisor
/// is its program's parent, and both may be named.
pub fn families(pids: &[i32]) -> BTreeSet<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for number in numbers {
        // What ends while it is looked at is no longer there.
        if let Ok(parent) = parent(number) {
            children.entry(parent).or_default().push(number);
        }
    }
    let mut all = BTreeSet::new();
    let mut next = pids.to_vec();
    while let Some(pid) = next.pop() {
        all.insert(pid);
        next.extend(children.remove(&pid).unwrap_or_default());
    }
    all
}

/// The sum of a figure over processes, which must be there, and all that have come from them, which may
/// end meanwhile.
fn sum(pids: &[i32], figure: impl Fn(i32) -> Result<f64>) -> Result<f64> {
    let mut sum = 0.0;
    for pid in families(pids) {
        match figure(pid) {
            Ok(part) => sum += part,
            Err(error) if pids.contains(&pid) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(sum)
}

/// Memory in MiB that processes and all that have come from them hold, shared pages by their share (Pss
/// of proc_pid_smaps(5)).
///
/// # Errors
/// When one of them is gone or may not be looked at.
pub fn memory_mib(pids: &[i32]) -> Result<f64> {
    sum(pids, memory_of_one_mib)
}

fn memory_of_one_mib(pid: i32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss in smaps_rollup")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("Pss is no number")?;
    Ok(kib / 1024.0)
}

/// Processor time of processes and all that have come from them so far, in seconds.
///
/// # Errors
/// When one of them is gone.
pub fn processor_seconds(pids: &[i32]) -> Result<f64> {
    sum(pids, |pid| match scheduled_seconds(pid) {
        Some(seconds) => Ok(seconds),
        None => Ok(stat(pid, &STAT_TIMES)? / TICKS_PER_SECOND),
    })
}

/// Processor time of a process's threads to the nanosecond: what is idle runs for less than a tick at a
/// time. (First field of schedstat; see the kernel's scheduler/sched-stats.rst.)
fn scheduled_seconds(pid: i32) -> Option<f64> {
    let mut nanoseconds = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        nanoseconds += text.split(' ').next()?.parse::<f64>().ok()?;
    }
    (nanoseconds > 0.0).then_some(nanoseconds / 1e9)
}

/// Fields of proc_pid_stat(5), counted from the state, which follows the name: the parent; the time in
/// the process and in the kernel, its own and that of children that have ended.
const STAT_PARENT: usize = 1;
const STAT_TIMES: [usize; 4] = [11, 12, 13, 14];

/// The process that has started another one, or has taken it over.
///
/// # Errors
/// When that one is gone.
pub fn parent(pid: i32) -> Result<i32> {
    stat(pid, &[STAT_PARENT]).map(|parent| parent as i32)
}

/// The sum of some fields of a process's state.
fn stat(pid: i32, fields: &[usize]) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let all: Vec<&str> = text.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let field = |index: &usize| -> Result<f64> {
        let text = all.get(*index).with_context(|| format!("{path} is short"))?;
        text.parse().with_context(|| format!("{path}: {text} is no number"))
    };
    fields.iter().map(field).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_failure_names_the_purpose_and_the_output() {
        let run = |command: &mut Command| output_within(command, Duration::from_secs(60), "building");
        let error = run(Command::new("sh").args(["-c", "echo no space >&2; exit 3"])).expect_err("it fails");
        assert_eq!(error.to_string(), "building failed (exit status: 3): no space");
        assert_eq!(run(Command::new("echo").arg("fine")).expect("it works"), "fine");
    }

    #[test]
    fn running_and_ended_processes_are_told_apart() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat");
        assert!(!ends_within(&child, Duration::from_millis(10)).expect("an answer"));
        drop(child.stdin.take());
        assert!(ends_within(&child, Duration::from_secs(60)).expect("an answer"));
        child.wait().expect("its status");
    }

    #[test]
    fn a_process_has_the_parent_that_the_system_says() {
        let own = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        assert_eq!(parent(std::process::id().cast_signed()).ok(), own);
    }

    #[test]
    fn the_children_of_a_child_belong_to_it_and_end_with_it() {
        // Not through `start`, which needs a clone and its accelerator.
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & sleep 600 & echo begun; wait"]);
        let process = command.process_group(0).stdout(Stdio::piped()).spawn().expect("sh");
        let mut child = Child(process);
        let mut begun = [0; 6];
        let output = child.0.stdout.as_mut().expect("it is piped");
        std::io::Read::read_exact(output, &mut begun).expect("it begins");

        let all: Vec<i32> = families(&[child.pid()]).into_iter().collect();
        assert_eq!(all.len(), 3, "{all:?}");
        assert_eq!(families(&all).len(), 3, "each is there once");
        let parts: f64 = all.iter().map(|pid| memory_of_one_mib(*pid).expect("it is there")).sum();
        let sum = memory_mib(&all).expect("it is there");
        let one = memory_of_one_mib(child.pid()).expect("it is there");
        assert!(sum > one && sum < 2.0 * parts, "{sum} of {parts}");
        assert!(processor_seconds(&all).expect("it is there") > 0.0);

        drop(child);
        let limit = Instant::now() + Duration::from_secs(10);
        // Whoever inherits them need not look after them: what is left may be a zombie.
        let is_there = |pid: &i32| {
            fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
        };
        while all.iter().any(is_there) && Instant::now() < limit {
            std::thread::yield_now();
        }
        assert!(!all.iter().any(is_there), "{all:?} are still there");
    }
}
