//! A step that boots a work, and looks at its serial line, its answers and its end.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use image_build::vm::guest::Verdict;
use image_build::vm::guest_failure::Watch;

use crate::exercise::format::{Boot, Ends};
use crate::judge::bench::Bench;
use crate::judge::machine::{self, Heard, Plan, Started};
use crate::judge::request;
use crate::judge::verdict::Fault;

/// How long a guest that has reported a fault may take to end: some leave the machine idle for ever.
const FAULT_GRACE: Duration = Duration::from_secs(2);
/// How long a guest that is to run on must still run when everything else was seen.
const RUNS_FOR: Duration = Duration::from_secs(1);
/// How often a silent guest is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long what a guest has said may take to be read after its end.
const LINGER: Duration = Duration::from_millis(300);

/// Boots the work, and compares.
///
/// # Errors
/// When it is not the work that keeps it from being booted.
pub fn judge(bench: &Bench<'_>, step: &Boot) -> Result<Option<Fault>> {
    let built = match step.bare {
        true => machine::build_bare(bench)?,
        false => machine::build(bench, step.profile)?.map(|image| image.path),
    };
    let image = match built {
        Ok(image) => image,
        Err(fault) => return Ok(Some(fault)),
    };
    let plan = Plan {
        image,
        memory_mib: step.memory_mib,
        environment: &step.environment,
        requests: &step.requests,
        counted: None,
    };
    let (sender, heard) = mpsc::channel();
    let started = machine::start(bench, &plan, &sender)?;
    let deadline = Instant::now() + Duration::from_secs(step.limit_s);
    ask(step, &started, deadline, sender);
    Watching { step, started, heard, deadline, seen: Seen::default() }.fault()
}

/// Asks the guest, one request after the other, in a thread of its own.
fn ask(step: &Boot, started: &Started, deadline: Instant, heard: Sender<Heard>) {
    let (requests, ports) = (step.requests.clone(), started.ports.clone());
    thread::spawn(move || {
        for request in &requests {
            let Some(address) = ports.get(&request.port) else { continue };
            let asked = request::ask(*address, request, deadline);
            let is_right = asked.is_ok();
            if heard.send(Heard::Asked(asked)).is_err() || !is_right {
                return;
            }
        }
    });
}

/// What was seen of a guest.
#[derive(Debug, Default)]
struct Seen {
    lines: usize,
    last: String,
    /// How many of the lines that it must have were there.
    found: usize,
    answered: usize,
    watch: Watch,
    faulty_since: Option<Instant>,
    all_since: Option<Instant>,
    errors: String,
}

struct Watching<'a> {
    step: &'a Boot,
    started: Started,
    heard: Receiver<Heard>,
    deadline: Instant,
    seen: Seen,
}

impl Watching<'_> {
    fn fault(mut self) -> Result<Option<Fault>> {
        loop {
            if let Some(fault) = self.hear(POLL) {
                return Ok(Some(fault));
            }
            if let Some(verdict) = self.started.guest.verdict()? {
                return self.ended(verdict);
            }
            let now = Instant::now();
            if self.seen.faulty_since.is_some_and(|since| now >= since + FAULT_GRACE) {
                return self.ended(Verdict::TimedOut);
            }
            if self.has_all() && self.step.ends == Ends::Runs {
                let since = *self.seen.all_since.get_or_insert(now);
                if now >= since + RUNS_FOR {
                    return Ok(None);
                }
            }
            if now >= self.deadline {
                return Ok(Some(self.too_late()));
            }
        }
    }

    /// Takes what is heard within some time.
    fn hear(&mut self, time: Duration) -> Option<Fault> {
        let until = Instant::now() + time;
        loop {
            let heard = match self.heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(heard) => heard,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            };
            let fault = match heard {
                Heard::Line(line) => self.line(line),
                Heard::Flood => Some(Fault::new("a serial line with less than 1 MiB", "more")),
                Heard::Errors(text) => {
                    self.seen.errors = text;
                    None
                }
                Heard::Asked(Ok(())) => {
                    self.seen.answered += 1;
                    None
                }
                Heard::Asked(Err(fault)) => Some(fault),
            };
            if fault.is_some() {
                return fault;
            }
        }
    }

    fn line(&mut self, line: String) -> Option<Fault> {
        let seen = &mut self.seen;
        seen.lines += 1;
        if let Some(pattern) = self.step.serial_lacks.iter().find(|pattern| pattern.is_in(&line)) {
            return Some(Fault::new(
                format!("no line with `{}` on the serial line", pattern.text()),
                format!("`{line}`"),
            ));
        }
        if self.step.serial_has.get(seen.found).is_some_and(|pattern| pattern.is_in(&line)) {
            seen.found += 1;
        }
        if seen.watch.line(line.as_bytes()) && seen.faulty_since.is_none() {
            seen.faulty_since = Some(Instant::now());
        }
        if !line.trim().is_empty() {
            seen.last = line;
        }
        None
    }

    fn has_all(&self) -> bool {
        self.seen.found == self.step.serial_has.len() && self.seen.answered == self.step.requests.len()
    }

    fn ended(mut self, verdict: Verdict) -> Result<Option<Fault>> {
        if let Some(fault) = self.hear(LINGER) {
            return Ok(Some(fault));
        }
        if self.seen.lines == 0 && verdict != Verdict::Success {
            let words = self.seen.errors.lines().next_back().unwrap_or_default();
            if !words.is_empty() && self.step.bare {
                return Ok(Some(Fault::new("a file that QEMU starts", format!("`{words}`"))));
            }
            if !words.is_empty() {
                bail!("QEMU does not start the guest: {words}");
            }
        }
        if let Some(fault) = self.wrong_end(verdict) {
            return Ok(Some(fault));
        }
        if let Some((expected, came)) = self.missing_line() {
            return Ok(Some(Fault::new(expected, came)));
        }
        let unanswered = || Fault::new("an answer to every request", "the guest's end before that");
        Ok((!self.has_all()).then(unanswered))
    }

    /// What is wrong with an end.
    fn wrong_end(&self, verdict: Verdict) -> Option<Fault> {
        let is_right = match self.step.ends {
            Ends::Success => verdict == Verdict::Success,
            // A guest that has reported a fault and stays is as good as ended.
            Ends::Failure => matches!(verdict, Verdict::Failure) || self.seen.watch.first_fault().is_some(),
            Ends::Runs => false,
        };
        let came = match self.seen.watch.first_fault() {
            Some(fault) => fault.to_owned(),
            None if verdict == Verdict::Silent => {
                "a machine that was reset or switched off without a word, as after a triple fault".to_owned()
            }
            None => format!("a guest of which is known: {verdict}"),
        };
        (!is_right).then(|| Fault::new(self.wanted_end(), came))
    }

    fn wanted_end(&self) -> &'static str {
        match self.step.ends {
            Ends::Success => "a guest that ends without an error",
            Ends::Failure => "a guest that ends with an error",
            Ends::Runs => "a guest that runs on",
        }
    }

    /// What is expected and not there, and what came instead.
    fn missing_line(&self) -> Option<(String, String)> {
        let pattern = self.step.serial_has.get(self.seen.found)?;
        let came = match self.seen.lines {
            0 => "no line at all".to_owned(),
            lines => format!("`{}` as the last of {lines}", self.seen.last),
        };
        Some((format!("a line with `{}` on the serial line", pattern.text()), came))
    }

    /// The guest's time is over, and it has not ended.
    fn too_late(&self) -> Fault {
        let limit_s = self.step.limit_s;
        if let Some((expected, came)) = self.missing_line() {
            return Fault::new(expected, format!("{came}, and a guest that still runs after {limit_s} s"));
        }
        if !self.has_all() {
            return Fault::new(format!("all answers within {limit_s} s"), "fewer");
        }
        Fault::new(format!("{} within {limit_s} s", self.wanted_end()), "no end of it")
    }
}
