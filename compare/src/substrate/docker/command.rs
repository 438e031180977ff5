//! The `docker` command, run within a limit of time.
//!
//! Does not know what it is asked to do.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Longest that a command may take: a daemon that hangs must not hang the run.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `command` to its end; what it wrote, without the end of its last line.
///
/// Its output must fit a pipe (64 KiB). Its standard input is the caller's to choose.
///
/// # Errors
/// When it cannot be started, fails, or does not end in time; then it is killed.
pub fn output(command: &mut Command, purpose: &str) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{purpose}: {program} cannot be started"))?;
    if !ends_within(&child, LIMIT)? {
        // Fails only when it has ended just now.
        let _ = child.kill();
        let _ = child.wait();
        bail!("{purpose} took more than {} s: Docker's daemon hangs", LIMIT.as_secs());
    }
    let output = child.wait_with_output().with_context(|| format!("{purpose}: no output"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{purpose} failed ({}): {}", output.status, errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn ends_within(child: &Child, limit: Duration) -> Result<bool> {
    let pid = Pid::from_raw(child.id().cast_signed()).context("0 is no process")?;
    let process = pidfd_open(pid, PidfdFlags::empty()).context("a child cannot be watched")?;
    has_ended(rustix::fd::AsFd::as_fd(&process), limit)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_what_was_meant_and_what_was_said() {
        let error = output(Command::new("sh").args(["-c", "echo no space >&2; exit 3"]), "building");
        let error = error.expect_err("it fails").to_string();
        assert_eq!(error, "building failed (exit status: 3): no space");
        assert_eq!(output(Command::new("echo").arg("fine"), "asking").expect("it works"), "fine");
    }

    #[test]
    fn a_process_that_goes_on_is_told_from_one_that_has_ended() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat");
        assert!(!ends_within(&child, Duration::from_millis(10)).expect("an answer"));
        drop(child.stdin.take());
        assert!(ends_within(&child, LIMIT).expect("an answer"));
        child.wait().expect("its status");
    }
}
