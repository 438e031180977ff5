//! A running guest: it ends with the process that started it, it is watched, and its end is classified.
//!
//! `command` decides which guest to start. Nothing is restarted here.

use std::fmt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::tool::process;
use crate::vm::vmm::{Feature, Vmm};

/// Status of a Rust program, as uhyve is, that has panicked.
const STATUS_PANIC: i32 = 101;
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
    /// The machine was switched off, and this VMM does not tell how the program ended.
    Untold(Vmm),
    /// The VMM itself ended with this status.
    Emulator(Vmm, i32),
    /// The VMM was killed by this signal.
    Signal(Vmm, i32),
    /// The guest was stopped because its time was over.
    TimedOut,
}

impl Verdict {
    /// The verdict that a status of a VMM stands for.
    pub fn of(vmm: Vmm, status: ExitStatus) -> Self {
        let Some(code) = status.code() else { return Self::Signal(vmm, signal(status).unwrap_or(0)) };
        match (vmm, code) {
            (Vmm::Qemu, STATUS_SUCCESS) | (Vmm::Uhyve, 0) => Self::Success,
            // QEMU ends with 1 both for the kernel's failing exit and for a command line that it
            // refuses; either is a failure, and QEMU says on its error output what it refuses.
            (Vmm::Qemu, 1) => Self::Failure,
            (Vmm::Qemu, 0) => Self::Silent,
            (Vmm::Uhyve, code) if code != STATUS_PANIC => Self::Failure,
            (_, 0) if vmm.lacks(Feature::ExitStatus).is_some() => Self::Untold(vmm),
            (_, code) => Self::Emulator(vmm, code),
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
            Self::Untold(vmm) => {
                write!(f, "the machine switched off, and {} does not tell why", vmm.label())
            }
            Self::Emulator(vmm, code) => write!(f, "{} ended with status {code}", vmm.label()),
            Self::Signal(vmm, signal) => write!(f, "{} was killed by signal {signal}", vmm.label()),
            Self::TimedOut => f.write_str("it did not end in time"),
        }
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    status.signal()
}

/// A VMM that is killed when this value goes, or when this process ends in any way.
#[derive(Debug)]
pub struct Guest {
    vmm: Vmm,
    child: Child,
}

impl Guest {
    /// Starts a VMM with this standard input, output and error output. (Streams that are set on the command itself do
    /// not count.) It has a process group of its own, so that a Ctrl-C reaches only its starter.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(vmm: Vmm, command: &Command, [input, output, errors]: [Stdio; 3]) -> Result<Self> {
        let mut command = process::bound(command)?;
        command.stdin(input).stdout(output).stderr(errors);
        let child = command.spawn().with_context(|| format!("{} cannot be started", vmm.label()))?;
        Ok(Self { vmm, child })
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
        let status = self.child.try_wait();
        let status = status.with_context(|| format!("the state of {} is not known", self.vmm.label()))?;
        Ok(status.map(|status| Verdict::of(self.vmm, status)))
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
pub fn run_for(vmm: Vmm, command: &Command, timeout: Duration) -> Result<Verdict> {
    Guest::start(vmm, command, [Stdio::null(), Stdio::null(), Stdio::null()])?.wait_for(timeout)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn only_what_a_vmm_tells_of_the_guest_says_success() {
        let verdict = |vmm, code: i32| Verdict::of(vmm, ExitStatus::from_raw(code << 8));
        assert_eq!(verdict(Vmm::Qemu, 3), Verdict::Success);
        assert_eq!(verdict(Vmm::Qemu, 0), Verdict::Silent);
        assert_eq!(verdict(Vmm::Qemu, 1), Verdict::Failure);
        assert_eq!(verdict(Vmm::Qemu, 2), Verdict::Emulator(Vmm::Qemu, 2));
        assert_eq!(verdict(Vmm::Uhyve, 0), Verdict::Success);
        assert_eq!(verdict(Vmm::Uhyve, 1), Verdict::Failure);
        assert_eq!(verdict(Vmm::Uhyve, 101), Verdict::Emulator(Vmm::Uhyve, 101));
        for vmm in [Vmm::Firecracker, Vmm::CloudHypervisor] {
            assert_eq!(verdict(vmm, 0), Verdict::Untold(vmm));
            assert_eq!(verdict(vmm, 1), Verdict::Emulator(vmm, 1));
        }
        let killed = Verdict::of(Vmm::Firecracker, ExitStatus::from_raw(9));
        assert_eq!(killed, Verdict::Signal(Vmm::Firecracker, 9));
        assert_eq!(killed.to_string(), "Firecracker was killed by signal 9");
    }
}
