//! A running guest: it ends with the process that started it, it is watched, and its end is classified.
//!
//! `qemu` decides which guest to start. Nothing is restarted here.

use std::fmt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::tool::process;

/// Status of QEMU when the guest writes 1 to the exit port: the kernel's `exit(0)`.
const STATUS_SUCCESS: i32 = 3;
/// How often a guest that is given a time is looked at.
const POLL: Duration = Duration::from_millis(5);

/// How a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The program ended itself without an error.
    Success,
    /// The program or the kernel ended with an error.
    Failure,
    /// The machine was switched off or reset with no word about success, as after a triple fault.
    Silent,
    /// QEMU itself ended with this status.
    Emulator(i32),
    /// QEMU was killed by this signal.
    Signal(i32),
    /// The guest was stopped because its time was over.
    TimedOut,
}

impl Verdict {
    /// The verdict that a status of QEMU stands for.
    pub fn of(status: ExitStatus) -> Self {
        match (status.code(), signal(status)) {
            (Some(STATUS_SUCCESS), _) => Self::Success,
            // QEMU ends with 1 both for the kernel's failing exit and for a command line that it
            // refuses; either is a failure, and QEMU says on its error output what it refuses.
            (Some(1), _) => Self::Failure,
            (Some(0), _) => Self::Silent,
            (Some(code), _) => Self::Emulator(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("it ended without an error"),
            Self::Failure => f.write_str("it ended with an error"),
            Self::Silent => {
                f.write_str("the machine switched off without a message, as after a triple fault")
            }
            Self::Emulator(code) => write!(f, "QEMU ended with status {code}"),
            Self::Signal(signal) => write!(f, "QEMU was killed by signal {signal}"),
            Self::TimedOut => f.write_str("it did not end in time"),
        }
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    status.signal()
}

/// A QEMU that is killed when this value goes, or when this process ends in any way.
#[derive(Debug)]
pub struct Guest {
    child: Child,
}

impl Guest {
    /// Starts QEMU with this standard output and error output. (Streams that are set on the command
    /// itself do not count.) Its input is empty, so that it leaves the terminal alone, and it has a
    /// process group of its own, so that a Ctrl-C reaches only its starter.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &Command, output: Stdio, errors: Stdio) -> Result<Self> {
        let mut command = process::bound(command)?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().context("QEMU cannot be started")?;
        Ok(Self { child })
    }

    /// The process, for its streams and its number.
    pub fn process(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How the guest ended, if it has.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn verdict(&mut self) -> Result<Option<Verdict>> {
        Ok(self.child.try_wait().context("the state of QEMU is not known")?.map(Verdict::of))
    }

    /// Waits until the guest has ended or `timeout` is over; then it is stopped.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn wait_for(&mut self, timeout: Duration) -> Result<Verdict> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(verdict) = self.verdict()? {
                return Ok(verdict);
            }
            if Instant::now() >= deadline {
                self.stop();
                return Ok(Verdict::TimedOut);
            }
            thread::sleep(POLL);
        }
    }

    /// Stops the guest at once and waits until its process is gone.
    pub fn stop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a guest without output until it ends, at most for `timeout`.
///
/// # Errors
/// When it cannot be started.
pub fn run_for(command: &Command, timeout: Duration) -> Result<Verdict> {
    Guest::start(command, Stdio::null(), Stdio::null())?.wait_for(timeout)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn only_the_exit_port_says_success() {
        let verdict = |code: i32| Verdict::of(ExitStatus::from_raw(code << 8));
        assert_eq!(verdict(3), Verdict::Success);
        assert_eq!(verdict(0), Verdict::Silent);
        assert_eq!(verdict(1), Verdict::Failure);
        assert_eq!(verdict(2), Verdict::Emulator(2));
        assert_eq!(Verdict::of(ExitStatus::from_raw(9)), Verdict::Signal(9));
    }
}
