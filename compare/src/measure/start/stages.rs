//! The stages of a start, by what the service says in its log while it gets up.
//!
//! Does not change what is said: a kernel that keeps silent has no stage of its own.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::substrate::Instance;

/// The machine's clock begins: QEMU is ready, the guest's first instruction runs.
const SWITCHED_ON: &str = "machine switched on";
/// A kernel's first words.
const KERNEL: &str = "kernel speaks";
/// What starts containers says that this one is started.
const ENGINE: &str = "engine is done";
/// The service says that it is there.
const SERVICE: &str = "service speaks";
/// The vote page has been received.
const ANSWER: &str = "first 200";
/// What a service says when it is there: as a unikernel, as a process, and the original's server.
const SERVICE_WORDS: [&str; 3] = [" is up ", "running as a Linux process", "Listening at:"];
/// Pause between looks at the log: a serial line writes each byte alone, and looking at each would hold up
/// the machine.
const PAUSE: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A look at an instance's log while it starts.
pub struct Watch {
    begun: Instant,
    source: Source,
}

enum Source {
    /// The log grows while the service speaks: a thread looks at it until it is told to stop.
    Live { thread: JoinHandle<Reader>, stop: Arc<AtomicBool> },
    /// An engine keeps the log and gives it later; it was done with the start by then.
    Kept(Duration),
}

impl Watch {
    /// Begins, right after the start.
    pub fn begin(instance: &Instance) -> Self {
        let begun = instance.begun;
        let Ok(file) = File::open(&instance.log) else {
            return Self { begun, source: Source::Kept(begun.elapsed()) };
        };
        let (thread, stop) = Reader::new(begun, file).follow();
        Self { begun, source: Source::Live { thread, stop } }
    }

    /// The stages in the order in which they were reached, of an instance that answered after `answer`.
    /// The instance is stopped.
    pub fn end(self, instance: Instance, answer: Duration) -> Vec<(String, f64)> {
        let mut stages = match self.source {
            Source::Live { thread, stop } => {
                stop.store(true, Ordering::Relaxed);
                thread.join().map(|reader| reader.stages).unwrap_or_default()
            }
            Source::Kept(done) => {
                let wall = SystemTime::now().checked_sub(self.begun.elapsed());
                let log = instance.log.clone();
                // Only now is the log whole.
                drop(instance);
                let spoke = wall.and_then(|wall| spoke_after(&log, wall));
                [Some((ENGINE, done)), spoke.map(|spoke| (SERVICE, spoke))].into_iter().flatten().collect()
            }
        };
        // A clock of milliseconds, or a look at the log that came late.
        stages.iter_mut().for_each(|(_, time)| *time = (*time).min(answer));
        stages.sort_by_key(|(_, time)| *time);
        stages.push((ANSWER, answer));
        stages.into_iter().map(|(name, time)| (name.to_owned(), milliseconds(time))).collect()
    }
}

/// Reads a log that grows.
struct Reader {
    begun: Instant,
    file: File,
    unread: Vec<u8>,
    first_byte: Option<Duration>,
    stages: Vec<(&'static str, Duration)>,
}

impl Reader {
    fn new(begun: Instant, file: File) -> Self {
        Self { begun, file, unread: Vec::new(), first_byte: None, stages: Vec::new() }
    }

    /// Reads in a thread until the service has spoken, or nobody waits for it any more.
    fn follow(mut self) -> (JoinHandle<Self>, Arc<AtomicBool>) {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            // What was said before the stop is read.
            while !self.look() && !stopped.load(Ordering::Relaxed) {
                thread::sleep(PAUSE);
            }
            self.look();
            self
        });
        (thread, stop)
    }

    /// Takes what is new; whether the service has spoken.
    fn look(&mut self) -> bool {
        let had = self.unread.len();
        // A log that cannot be read has no stages.
        let _ = self.file.read_to_end(&mut self.unread);
        let now = self.begun.elapsed();
        self.take(self.unread.len() > had, now)
    }

    fn take(&mut self, grew: bool, now: Duration) -> bool {
        if grew {
            self.first_byte.get_or_insert(now);
        }
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            self.line(&String::from_utf8_lossy(&line), now);
        }
        self.stages.iter().any(|(name, _)| *name == SERVICE)
    }

    fn line(&mut self, line: &str, now: Duration) {
        if is_service(line) && !self.stages.iter().any(|(name, _)| *name == SERVICE) {
            let uptime = uptime(line).and_then(|uptime| now.checked_sub(uptime));
            self.stages.extend(uptime.map(|at| (SWITCHED_ON, at)));
            self.stages.push((SERVICE, now));
        } else if self.stages.is_empty() && is_kernel(line) {
            self.stages.push((KERNEL, self.first_byte.unwrap_or(now)));
        }
    }
}

fn is_service(line: &str) -> bool {
    SERVICE_WORDS.iter().any(|words| line.contains(words))
}

/// Whether a line is Linux's, such as `[    0.004000] ...`.
fn is_kernel(line: &str) -> bool {
    let seconds = line.strip_prefix('[').and_then(|line| line.split_once(']'));
    seconds.is_some_and(|(seconds, _)| seconds.trim().parse::<f64>().is_ok())
}

/// The machine's age by the line `... is up N ms after power-on`.
fn uptime(line: &str) -> Option<Duration> {
    let (_, after) = line.split_once(" is up ")?;
    Some(Duration::from_millis(after.split_once(" ms after power-on")?.0.parse().ok()?))
}

/// How long after `begun` the service spoke, by the time at the beginning of its line, which is this
/// host's.
fn spoke_after(log: &Path, begun: SystemTime) -> Option<Duration> {
    let text = fs::read_to_string(log).ok()?;
    let line = text.lines().find(|line| is_service(line))?;
    Some(after(time_of_day(line)?, begun.duration_since(UNIX_EPOCH).ok()?))
}

/// The time of day of a line such as `2026-11-24T01:24:48.153Z INFO ...`.
fn time_of_day(line: &str) -> Option<Duration> {
    let mut parts = line.split_once('T')?.1.split_once('Z')?.0.split(':');
    let (hours, minutes): (u64, u64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let seconds = Duration::try_from_secs_f64(parts.next()?.parse().ok()?).ok()?;
    Some(Duration::from_secs((hours * 60 + minutes) * 60) + seconds)
}

/// From a time since 1970 to the next time of day; none to one that is just over, as milliseconds cut off
/// make it.
fn after(time_of_day: Duration, since: Duration) -> Duration {
    let of_day = Duration::from_secs(since.as_secs() % DAY.as_secs())
        + Duration::from_nanos(since.subsec_nanos().into());
    let ahead = (time_of_day + DAY).saturating_sub(of_day);
    let ahead = if ahead >= DAY { ahead - DAY } else { ahead };
    if ahead > DAY / 2 { Duration::ZERO } else { ahead }
}

/// A time in milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const UP: &str = "2026-11-24T01:12:16.021Z INFO  vote vote 0.1.0 is up 54 ms after power-on\r\n";
    const PROCESS: &str = "2026-11-24T01:12:22.043Z INFO  vote running as a Linux process, pid 1\n";
    const LIMIT: Duration = Duration::from_secs(10);

    /// The stages after some texts, each with the millisecond in which it came.
    fn stages(texts: &[(u64, &str)]) -> Vec<(&'static str, Duration)> {
        let mut reader = Reader::new(Instant::now(), tempfile::tempfile().expect("a file"));
        for (ms, text) in texts {
            reader.unread.extend_from_slice(text.as_bytes());
            reader.take(true, Duration::from_millis(*ms));
        }
        reader.stages
    }

    #[test]
    fn a_unikernel_tells_when_it_was_switched_on() {
        let ms = Duration::from_millis;
        let (first, rest) = UP.split_at(30);
        assert_eq!(stages(&[(70, first), (80, rest)]), [(SWITCHED_ON, ms(26)), (SERVICE, ms(80))]);
        assert_eq!(stages(&[(20, UP)]), [(SERVICE, ms(20))], "not before it was started");
    }

    #[test]
    fn the_kernels_first_line_is_a_stage_only_on_virtual_machines() {
        let ms = Duration::from_millis;
        let kernel = [(300, "[    0.0"), (310, "00000] Linux version 6.1\n"), (400, "[    0.1] more\n")];
        let all: Vec<(u64, &str)> = kernel.into_iter().chain([(1500, PROCESS)]).collect();
        assert_eq!(stages(&all), [(KERNEL, ms(300)), (SERVICE, ms(1500))]);
        assert_eq!(stages(&[(1500, PROCESS), (1600, PROCESS)]), [(SERVICE, ms(1500))]);
        assert_eq!(stages(&[(5, "2026-11-24T01:12:22.043Z WARN  vote no store\n")]), []);
    }

    #[test]
    fn a_log_is_followed_as_it_grows_and_stops_on_request() {
        let mut log = tempfile::NamedTempFile::new().expect("a file");
        for speaks in [true, false] {
            let mut reader = Reader::new(Instant::now(), File::open(log.path()).expect("it is there"));
            std::io::Seek::seek(&mut reader.file, std::io::SeekFrom::End(0)).expect("seekable");
            let begun = reader.begun;
            let (thread, stop) = reader.follow();
            if speaks {
                log.write_all(PROCESS.as_bytes()).expect("writable");
                while !thread.is_finished() {
                    assert!(begun.elapsed() < LIMIT, "the line was not seen");
                    thread::yield_now();
                }
            }
            stop.store(true, Ordering::Relaxed);
            let stages = thread.join().expect("it ends").stages;
            assert_eq!(stages.len(), usize::from(speaks));
        }
    }

    #[test]
    fn the_time_of_a_line_counts_from_the_start_also_over_midnight() {
        let of_day = time_of_day(PROCESS).expect("a time");
        assert_eq!(of_day, Duration::from_millis(((60 + 12) * 60 + 22) * 1000 + 43));
        assert_eq!(time_of_day("[INFO] Listening at: http://127.0.0.1:80"), None);
        let days = 20_000 * DAY;
        let ms = Duration::from_millis;
        assert_eq!(after(of_day, days + of_day - ms(90)), ms(90));
        assert_eq!(after(of_day, days + of_day + Duration::from_micros(400)), Duration::ZERO);
        assert_eq!(after(ms(40), days + DAY - ms(60)), ms(100));
    }
}
