//! Identities of processes that outlive the process that recorded them: they contain more than the process number,
//! and allow signals and waits without a race. It starts no process, and does not decide when to end one.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process, told apart from a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process number; the kernel may reuse it.
    pub pid: i32,
    /// When it started, in clock ticks since the machine's boot.
    start_ticks: u64,
    /// Which boot of the machine that was.
    boot: String,
}

/// A process that was there when the handle was opened; the handle never means another one.
#[derive(Debug)]
pub struct Handle(OwnedFd);

impl Identity {
    /// The process that has this number now.
    ///
    /// # Errors
    /// When there is none. One that has ended, but whose status nobody has asked for yet, still counts.
    pub fn of(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).map_err(io::Error::other)?;
        let start_ticks = Stat::read(pid)?.start_ticks;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        Ok(Self { pid, start_ticks, boot })
    }

    /// The process itself, when it still runs.
    pub fn open(&self) -> Option<Handle> {
        // The number is looked at after the handle is opened: when both agree, the handle is the one meant.
        let handle = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        let now = Self::of(self.pid.unsigned_abs()).ok()?;
        (now == *self && !Stat::read(self.pid).ok()?.has_ended).then_some(Handle(handle))
    }

    /// Whether the process still runs.
    pub fn runs(&self) -> bool {
        self.open().is_some()
    }

    /// Time that it has had on processors; none when it has ended.
    pub fn cpu_time(&self) -> Duration {
        let ticks = Stat::read(self.pid).map_or(0, |stat| stat.cpu_ticks);
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Memory of the host that it occupies, in bytes; 0 when it has ended.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }
}

impl Handle {
    /// A process that this one has started and not yet asked for its status.
    ///
    /// # Errors
    /// When the system has no handle left.
    pub fn of_child(child: &Child) -> io::Result<Self> {
        Ok(Self(pidfd_open(Pid::from_child(child), PidfdFlags::empty())?))
    }

    /// Asks the process to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends the process.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends a signal. A process that has ended already is what all callers want, so that is no error.
    fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.0, signal);
    }

    /// Waits until the process has ended, for at most `timeout`; tells whether it has.
    pub fn ended_within(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(left) = Timespec::try_from(left) else { return false };
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&left)) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.is_ok_and(|ready| ready > 0),
            }
        }
    }

    /// Asks the process to end, and ends it when it has not within `grace`.
    pub fn stop(&self, grace: Duration) {
        self.terminate();
        if !self.ended_within(grace) {
            self.kill();
        }
    }
}

/// What is needed of a process' stat line; see proc(5).
struct Stat {
    parent: i32,
    start_ticks: u64,
    cpu_ticks: u64,
    has_ended: bool,
}

impl Stat {
    fn read(pid: i32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn parse(text: &str) -> Option<Self> {
        // The name before the fields may hold blanks and parentheses, hence the last parenthesis.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self {
            has_ended: matches!(*fields.first()?, "Z" | "X"),
            parent: fields.get(1)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
            cpu_ticks: fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?,
        })
    }
}

/// The processes that this one has started, directly or not, nearest first.
pub fn descendants() -> Vec<Identity> {
    let all: Vec<(i32, i32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| Some((pid, Stat::read(pid).ok()?.parent)))
        .collect();
    let mut found = Vec::new();
    let mut parents = vec![std::process::id().cast_signed()];
    while let Some(parent) = parents.pop() {
        for (pid, _) in all.iter().filter(|(_, its_parent)| *its_parent == parent) {
            found.extend(Identity::of(pid.unsigned_abs()));
            parents.push(*pid);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().expect("sleep runs")
    }

    #[test]
    fn a_running_process_is_found_and_stopped() {
        let mut child = sleeper();
        let identity = Identity::of(child.id()).expect("it runs");
        assert!(identity.runs());
        assert!(identity.resident_bytes() > 0);
        assert!(descendants().contains(&identity));
        let handle = identity.open().expect("it runs");
        assert!(!handle.ended_within(Duration::from_millis(1)));
        handle.stop(Duration::from_secs(10));
        assert!(handle.ended_within(Duration::from_secs(10)));
        assert!(!identity.runs(), "a process that nobody has waited for yet has ended all the same");
        child.wait().expect("its status");
        assert!(!identity.runs());
        assert_eq!(identity.resident_bytes(), 0);
    }

    #[test]
    fn a_stranger_with_the_same_number_is_left_alone() {
        let mut child = sleeper();
        let identity = Identity::of(child.id()).expect("it runs");
        let earlier = Identity { start_ticks: identity.start_ticks - 1, ..identity.clone() };
        assert!(earlier.open().is_none());
        let other_boot = Identity { boot: "another".to_owned(), ..identity };
        assert!(other_boot.open().is_none());
        assert!(child.try_wait().expect("its status").is_none(), "it still runs");
        child.kill().expect("it runs");
        child.wait().expect("its status");
    }

    #[test]
    fn a_process_that_ignores_the_request_is_ended() {
        let mut child = Command::new("sh")
            .args(["-c", "trap '' TERM; echo; while :; do sleep 600; done"])
            .process_group(0)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut line = [0];
        io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut line).expect("the trap is set");
        let group = Pid::from_child(&child);
        let handle = Identity::of(child.id()).expect("it runs").open().expect("it runs");
        handle.stop(Duration::from_millis(20));
        assert!(handle.ended_within(Duration::from_secs(10)));
        child.wait().expect("its status");
        rustix::process::kill_process_group(group, Signal::KILL).expect("its sleep runs");
    }
}
