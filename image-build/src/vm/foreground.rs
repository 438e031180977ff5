//! A machine in the foreground: what it says goes to who started it, and a signal stops it as it would stop a process.

use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::vm::backlog;
use crate::vm::command;
use crate::vm::guest::{Guest, Verdict};
use crate::vm::guest_failure::Watch;
use crate::vm::machine::{Launch, Network};
use crate::vm::serial_line::{QUESTION, SerialLine};
use crate::vm::vmm::Feature;

/// How long a guest that has reported a fault may take to end itself.
const FAULT_GRACE: Duration = Duration::from_secs(2);
/// How often the state of the VMM is looked at while the serial line is silent.
const POLL: Duration = Duration::from_millis(50);
/// How long `/readyz` says that the service stops before it drains; as a process of it does (`kernel_app::shutdown`).
const NOTICE: Duration = Duration::from_millis(500);
/// How long a guest may take to drain and end: more than it gives itself.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// Status of a program that was ended by Ctrl-C, as shells give it.
const STATUS_INTERRUPTED: u8 = 130;
/// Longest line that is waited for; a longer one is shown in parts.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// What the threads that wait report.
enum Event {
    Line(Vec<u8>),
    SerialClosed,
    Signal,
}

/// Runs a machine until it ends, and gives the status that stands for its end. Each of its lines goes to `hear`.
///
/// The first signal tells it to stop and drain, where its VMM has a serial line that hears; a second one skips the
/// notice, and a third one ends the machine.
///
/// # Errors
/// When it cannot be started, or `hear` fails: then it is ended.
pub fn run(launch: &Launch, mut hear: impl FnMut(&[u8]) -> Result<()>) -> Result<ExitCode> {
    let command = command::command(launch)?;
    let (sender, events) = mpsc::channel();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signals cannot be caught")?;
    let signal_sender = sender.clone();
    thread::spawn(move || signals.forever().try_for_each(|_| signal_sender.send(Event::Signal)));
    let mut guest = Guest::start(launch.vmm, &command, [Stdio::piped(), Stdio::piped(), Stdio::inherit()])?;
    let output = guest.process().stdout.take().context("it has no output")?;
    let mut stop = Stop::new(launch, SerialLine::new(guest.process().stdin.take()));
    thread::spawn(move || read_lines(BufReader::new(output), &sender));

    let mut watch = Watch::default();
    let mut fault_deadline = None;
    let mut speaks = false;
    loop {
        match events.recv_timeout(POLL) {
            Ok(Event::Line(line)) if line == QUESTION => stop.serial.tell_time(),
            Ok(Event::Line(line)) => {
                // The guest runs, so QEMU listens.
                if !std::mem::replace(&mut speaks, true) && matches!(launch.network, Network::User { .. }) {
                    deepen_backlog(&mut guest);
                }
                // As any program that nobody listens to any more, the guest ends with its output.
                hear(&line)?;
                if watch.line(&line) && fault_deadline.is_none() {
                    fault_deadline = Some(Instant::now() + FAULT_GRACE);
                }
            }
            Ok(Event::Signal) => stop.order(Instant::now()),
            Ok(Event::SerialClosed) | Err(RecvTimeoutError::Disconnected) => {
                return Ok(report(&launch.name, guest.wait_for(FAULT_GRACE)?, &watch));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = Instant::now();
        if fault_deadline.is_some_and(|deadline| now >= deadline) {
            guest.stop();
            return Ok(report(&launch.name, Verdict::TimedOut, &watch));
        }
        if stop.is_over(now) {
            guest.stop();
            return Ok(ExitCode::from(STATUS_INTERRUPTED));
        }
    }
}

/// How far a machine is from its end.
struct Stop {
    serial: SerialLine,
    /// Whether it hears orders.
    hears: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Runs,
    /// It has announced its end, and drains then.
    Announced(Instant),
    /// It drains, and is ended then.
    Drains(Instant),
    Over,
}

impl Stop {
    fn new(launch: &Launch, serial: SerialLine) -> Self {
        Self { serial, hears: launch.vmm.lacks(Feature::SerialInput).is_none(), phase: Phase::Runs }
    }

    /// The next step to its end.
    fn order(&mut self, now: Instant) {
        self.phase = match self.phase {
            Phase::Runs if self.hears => Phase::Announced(now + NOTICE),
            Phase::Announced(_) => Phase::Drains(now + DRAIN_MAX),
            Phase::Runs | Phase::Drains(_) | Phase::Over => Phase::Over,
        };
        if self.phase != Phase::Over {
            self.serial.order_stop();
        }
    }

    /// Whether it is to be ended now.
    fn is_over(&mut self, now: Instant) -> bool {
        match self.phase {
            Phase::Announced(until) | Phase::Drains(until) if until <= now => self.order(now),
            _ => {}
        }
        self.phase == Phase::Over
    }
}

/// Without it the guest serves all the same, only bursts of connections may have to wait.
fn deepen_backlog(guest: &mut Guest) {
    if let Err(error) = backlog::deepen(guest.process().id().cast_signed()) {
        note!("note: bursts of connections may have to wait: {error:#}");
    }
}

fn read_lines(mut serial: impl BufRead, events: &Sender<Event>) {
    let mut line = Vec::new();
    while let Ok(available) = serial.fill_buf() {
        let end = available.iter().position(|byte| *byte == b'\n').map_or(available.len(), |at| at + 1);
        line.extend_from_slice(&available[..end]);
        let (empty, complete) = (available.is_empty(), line.ends_with(b"\n") || line.len() >= LINE_BYTES_MAX);
        serial.consume(end);
        if (complete || empty)
            && !line.is_empty()
            && events.send(Event::Line(std::mem::take(&mut line))).is_err()
        {
            return;
        }
        if empty {
            break;
        }
    }
    let _ = events.send(Event::SerialClosed);
}

/// Where a VMM does not tell how a program ended, its silence about faults does.
fn is_well(verdict: Verdict, watch: &Watch) -> bool {
    match verdict {
        Verdict::Success => true,
        Verdict::Untold(_) => watch.first_fault().is_none(),
        _ => false,
    }
}

fn report(name: &str, verdict: Verdict, watch: &Watch) -> ExitCode {
    if is_well(verdict, watch) {
        return ExitCode::SUCCESS;
    }
    match watch.first_fault() {
        Some(fault) => note!("error: {name} failed: {fault}"),
        None => note!("error: {name} failed: {verdict}"),
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::vmm::Vmm;

    fn stop(hears: bool) -> Stop {
        Stop { serial: SerialLine::new(None), hears, phase: Phase::Runs }
    }

    #[test]
    fn a_signal_gives_notice_then_time_to_drain() {
        let begun = Instant::now();
        let mut stop = stop(true);
        assert!(!stop.is_over(begun + Duration::from_secs(60)), "it runs");
        stop.order(begun);
        assert!(!stop.is_over(begun));
        assert_eq!(stop.phase, Phase::Announced(begun + NOTICE));
        assert!(!stop.is_over(begun + NOTICE));
        assert_eq!(stop.phase, Phase::Drains(begun + NOTICE + DRAIN_MAX));
        assert!(stop.is_over(begun + NOTICE + DRAIN_MAX));
    }

    #[test]
    fn a_third_signal_ends_it_and_the_first_one_if_it_hears_none() {
        let now = Instant::now();
        let mut impatient = stop(true);
        (0..2).for_each(|_| impatient.order(now));
        assert!(!impatient.is_over(now));
        impatient.order(now);
        assert!(impatient.is_over(now));
        let mut deaf = stop(false);
        deaf.order(now);
        assert!(deaf.is_over(now));
    }

    #[test]
    fn a_program_whose_end_is_not_told_has_failed_if_it_said_so() {
        let mut watch = Watch::default();
        assert!(is_well(Verdict::Success, &watch) && is_well(Verdict::Untold(Vmm::Firecracker), &watch));
        assert!(
            !is_well(Verdict::Silent, &watch) && !is_well(Verdict::Emulator(Vmm::Firecracker, 1), &watch)
        );
        watch.line(b"PANIC: no card");
        assert!(!is_well(Verdict::Untold(Vmm::Firecracker), &watch));
    }
}
