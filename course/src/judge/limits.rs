//! Other programs within limits of time, memory and output: whatever they do, the judge goes on.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};

use crate::judge::interrupt;

/// Bytes that each stream may have, all of which are kept.
pub const OUTPUT_BYTES_MAX: usize = 8 << 20;
/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(5);
/// How long its streams may stay open after its end: by what it has started and left.
const LINGER: Duration = Duration::from_millis(500);

/// What a program may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time until its end.
    pub time: Duration,
    /// Memory, if it is limited.
    pub memory_bytes: Option<u64>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, or by a signal.
    Exited(ExitStatus),
    /// Its time was over.
    TimedOut,
    /// It wrote more than [`OUTPUT_BYTES_MAX`].
    TooMuchOutput,
}

/// A program that has ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// How.
    pub end: End,
    /// What it wrote to its standard output.
    pub output: String,
    /// What it wrote to its error output.
    pub errors: String,
}

impl Ran {
    /// Whether it ended by itself and without an error.
    pub fn is_success(&self) -> bool {
        matches!(self.end, End::Exited(status) if status.success())
    }
}

/// Runs a command that has a process group of its own (`process::bound`) until it ends or passes a limit. Then the
/// whole group is ended.
///
/// # Errors
/// When it cannot be started.
pub fn run(command: &mut Command, limits: Limits) -> Result<Ran> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
    let mut running = Running::new(child)?;
    if let Some(bytes) = limits.memory_bytes {
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        // It fails only when the program has ended already.
        let _ = prlimit(Some(running.group), Resource::As, limit);
    }
    let output = Stream::read(running.child.stdout.take());
    let errors = Stream::read(running.child.stderr.take());
    let end = wait(&mut running.child, &[&output, &errors], limits.time)?;
    drop(running);
    Ok(Ran { end, output: output.text(), errors: errors.text() })
}

fn wait(child: &mut Child, streams: &[&Stream], time: Duration) -> Result<End> {
    let deadline = Instant::now() + time;
    loop {
        let ended = child.try_wait().context("the state of a program is not known")?;
        // Also when it has ended: nobody read on, and that has ended it.
        if streams.iter().any(|stream| stream.is_full()) {
            return Ok(End::TooMuchOutput);
        }
        if let Some(status) = ended {
            return Ok(End::Exited(status));
        }
        if Instant::now() >= deadline {
            return Ok(End::TimedOut);
        }
        thread::sleep(POLL);
    }
}

/// A process group that is ended when this value goes, or when the reader interrupts.
struct Running {
    child: Child,
    group: Pid,
}

impl Running {
    fn new(child: Child) -> Result<Self> {
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let group = group.context("a program has no number")?;
        interrupt::add(group);
        Ok(Self { child, group })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when nothing of it is left.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
        interrupt::remove(self.group);
    }
}

/// A stream that is read by a thread of its own.
struct Stream(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    has_ended: bool,
}

impl Stream {
    fn read(stream: Option<impl Read + Send + 'static>) -> Self {
        let shared = Arc::new(Mutex::new(Held::default()));
        let held = shared.clone();
        thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            if let Some(mut stream) = stream {
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = OUTPUT_BYTES_MAX.saturating_sub(held.bytes.len());
                    held.bytes.extend_from_slice(&buffer[..length.min(room)]);
                    if room == 0 {
                        break;
                    }
                }
            }
            held.lock().unwrap_or_else(PoisonError::into_inner).has_ended = true;
        });
        Self(shared)
    }

    fn is_full(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes.len() >= OUTPUT_BYTES_MAX
    }

    /// What was read until the end, or until nobody should write any more.
    fn text(&self) -> String {
        let deadline = Instant::now() + LINGER;
        loop {
            let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if read.has_ended || Instant::now() >= deadline {
                return String::from_utf8_lossy(&read.bytes).into_owned();
            }
            drop(read);
            thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};

    use super::*;

    fn shell(script: &str, ms: u64) -> (Ran, Duration) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).process_group(0);
        let begun = Instant::now();
        let ran = run(&mut command, Limits { time: Duration::from_millis(ms), memory_bytes: None });
        (ran.expect("it starts"), begun.elapsed())
    }

    /// Far less than what the scripts would take, far more than a busy machine needs.
    const SOON: Duration = Duration::from_secs(60);

    #[test]
    fn what_never_ends_is_ended_with_all_that_it_has_started() {
        let (ran, took) = shell("echo $$; sleep 600 & sleep 600", 200);
        assert_eq!(ran.end, End::TimedOut);
        assert!(took < SOON, "{took:?}");
        let group = ran.output.trim().parse().ok().and_then(Pid::from_raw).expect("its number");
        let is_gone = || rustix::process::test_kill_process_group(group).is_err();
        // Ended children of an ended shell are taken away by the system, in its time.
        assert!(
            (0..1000).any(|_| is_gone() || {
                thread::sleep(POLL);
                false
            }),
            "{group:?} still runs"
        );
    }

    #[test]
    fn output_without_end_is_bounded() {
        let (ran, took) = shell("yes", 60_000);
        assert_eq!(ran.end, End::TooMuchOutput);
        assert!(ran.output.len() <= OUTPUT_BYTES_MAX && took < SOON, "{took:?}");
    }

    #[test]
    fn what_ends_is_read_to_its_last_byte() {
        let (ran, _) = shell("echo one; echo two >&2; exit 3", 60_000);
        assert_eq!(ran.end, End::Exited(ExitStatus::from_raw(3 << 8)));
        assert_eq!((ran.output.as_str(), ran.errors.as_str()), ("one\n", "two\n"));
    }

    #[test]
    fn who_leaves_a_child_with_its_streams_does_not_keep_the_judge() {
        let (ran, took) = shell("setsid sleep 5 & echo left", 60_000);
        assert!(ran.is_success() && ran.output == "left\n" && took < SOON, "{ran:?}");
    }
}
