//! One running machine and its threads: one copies its output to its log, one waits for its end, one checks its
//! health. The supervisor decides what follows.

use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::log::file::{LOG_BYTES_MAX, LogWriter, Said, now_ms};
use crate::network::ports::{Ports, reachable};
use crate::plan::Instance;
use crate::state::access::Access;
use crate::state::debugger::Debugger;
use crate::state::identity::{Handle, Identity};
use crate::state::run_dir::RunDir;
use crate::state::{HealthAddress, InstanceState};
use crate::supervisor::message::{Ending, Message, Source, elapsed_ms};
use crate::supervisor::probe;
use crate::supervisor::probe::ProbeResult;
use crate::supervisor::stop_request::StopRequests;
use image_build::vm::guest::Verdict;
use image_build::vm::guest_failure::Watch;
use image_build::vm::serial_line::SerialLine;
use image_build::vm::vmm::Vmm;

/// Least time between two questions for health.
const QUESTION_INTERVAL: Duration = Duration::from_millis(50);
/// How long the first question waits for an answer. QEMU takes connections for a guest that is not there
/// yet, so a longer wait would be mistaken for the guest's time to boot.
const ANSWER_TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// How long later questions wait at most: on a busy machine a healthy guest may take a while.
const ANSWER_TIMEOUT_MAX: Duration = Duration::from_secs(2);
/// Time between two questions to a machine that was healthy.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// A machine that was healthy and has given no answer for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(8);
/// How long a machine that has reported a fault may take to end itself.
const FAULT_GRACE: Duration = Duration::from_millis(500);
/// How long a log may take to end after its machine has.
const LOG_END_TIMEOUT: Duration = Duration::from_millis(500);

/// How a machine is told to stop.
#[derive(Debug)]
enum Stop {
    SerialLine(SerialLine),
    Requests(StopRequests),
}

/// A machine that has been started.
#[derive(Debug)]
pub struct RunningInstance {
    /// Which start of which instance it is.
    pub source: Source,
    /// Handle of the VMM's process, for signals and waiting.
    pub handle: Handle,
    /// The number of that.
    pub pid: i32,
    stop: Stop,
    /// When it has to be healthy.
    pub deadline: Instant,
    /// What its health check said last.
    pub problem: String,
    started: Instant,
    is_healthy: bool,
    has_ended: bool,
    /// Why it was ended for want of health or answers, if it was.
    overdue: Option<String>,
    /// Ends the questions for health.
    enough: Arc<AtomicBool>,
    /// The first line of its output that says it cannot go on.
    fault: Arc<Mutex<Watch>>,
    /// Closes when the log is complete.
    log_end: Receiver<()>,
}

/// What is needed to start a machine.
pub struct Starting<'a> {
    /// Which start of which instance it is.
    pub source: Source,
    /// What it is to be.
    pub instance: &'a Instance,
    /// What makes it.
    pub vmm: Vmm,
    /// The secret of requests to stop, where the VMM takes no orders.
    pub secret: Option<String>,
    /// The host's ports.
    pub ports: &'a Ports,
    /// Where its log goes.
    pub run_dir: &'a RunDir,
}

impl Starting<'_> {
    /// Starts the machine and the threads around it.
    pub fn start(
        self,
        mut command: Command,
        outbox: Sender<Message>,
    ) -> Result<(RunningInstance, InstanceState)> {
        let Self { source, instance, vmm, .. } = self;
        let name = &instance.name;
        let health = self.health().with_context(|| format!("{name} has no port for its health check"))?;
        let log = LogWriter::new(self.run_dir.log_path(name), LOG_BYTES_MAX);
        let (output, input) = io::pipe()?;
        if command.get_current_dir().is_none() {
            // A socket's path is short there.
            command.current_dir(self.run_dir.path());
        }
        command.stdin(Stdio::piped()).stdout(input.try_clone()?).stderr(input);
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        // The command holds the pipe's other end, and the log would never end.
        drop(command);
        let process = Identity::of(child.id())?;
        let serial = SerialLine::new(child.stdin.take());
        let handle = Handle::of_child(&child)?;
        let fault = Arc::new(Mutex::new(Watch::default()));
        let log_end = copy_log(
            log,
            output,
            serial.clone(),
            Faults { source, watch: Arc::clone(&fault), outbox: outbox.clone() },
        );
        wait_for_end(vmm, child, source, outbox.clone());
        let enough = Arc::new(AtomicBool::new(false));
        let debugger = Debugger::of(name, process.pid);
        ask_for_health(Questions {
            source,
            health: health.clone(),
            debugger,
            enough: Arc::clone(&enough),
            outbox,
        });
        let stop = match &self.secret {
            None => Stop::SerialLine(serial),
            Some(secret) => Stop::Requests(StopRequests::new(health.clone(), secret.clone())),
        };
        let running = RunningInstance {
            source,
            handle,
            pid: process.pid,
            stop,
            deadline: started + Duration::from_secs(instance.health.timeout_s),
            problem: "no answer yet".to_owned(),
            started,
            is_healthy: false,
            has_ended: false,
            overdue: None,
            enough,
            fault,
            log_end,
        };
        Ok((running, self.state(process, health)))
    }

    fn health(&self) -> Option<HealthAddress> {
        let address = self.ports.access(&self.instance.name, self.instance.health.port)?;
        Some(HealthAddress { address, path: self.instance.health.path.clone() })
    }

    fn state(&self, process: Identity, health: HealthAddress) -> InstanceState {
        let Instance { endpoint: (scheme, port), .. } = self.instance;
        let shared = self.ports.shared_address(&self.instance.service, *port);
        let shared = shared.map(|address| Access::Tcp(reachable(address)));
        let access = shared.or_else(|| self.ports.access(&self.instance.name, *port));
        InstanceState {
            service: self.instance.service.clone(),
            instance: self.instance.name.clone(),
            process,
            endpoint: access.as_ref().unwrap_or(&health.address).url(scheme),
            published: self.instance.is_published(),
            health,
            started_ms: now_ms(),
            healthy_after_ms: None,
            ended: None,
            restarts: self.source.start,
            restarting: false,
        }
    }
}

impl RunningInstance {
    /// Whether it has been healthy.
    pub fn is_healthy(&self) -> bool {
        self.is_healthy
    }

    /// Whether its process has ended.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Tells the machine to stop: the first time to announce it, the second time to drain.
    pub fn order_stop(&mut self) {
        match &mut self.stop {
            Stop::SerialLine(line) => line.order_stop(),
            Stop::Requests(requests) => requests.send(),
        }
    }

    /// Prepares for an order that is given when its ports let nobody in any more.
    pub fn prepare_stop(&mut self) {
        if let Stop::Requests(requests) = &mut self.stop {
            requests.connect();
        }
    }

    /// Whether its health is still waited for.
    pub fn is_awaited(&self) -> bool {
        !self.is_healthy && !self.has_ended && !self.enough.load(Ordering::Relaxed)
    }

    /// Ends it, because it has not become healthy in time.
    pub fn give_up_waiting(&mut self, now: Instant) {
        let seconds = (now - self.started).as_secs();
        self.give_up(format!("it was not healthy within {seconds} s ({})", self.problem));
    }

    /// Ends it, for this fault of it. Its end is a failure, like any other.
    pub fn give_up(&mut self, fault: String) {
        self.enough.store(true, Ordering::Relaxed);
        self.overdue = Some(fault);
        self.handle.kill();
    }

    /// Notes that it is healthy; gives the time since its start, in milliseconds.
    pub fn note_healthy(&mut self) -> u64 {
        self.is_healthy = true;
        elapsed_ms(self.started)
    }

    /// Notes that its process has ended; says why, as far as it is known.
    pub fn note_ended(&mut self, ending: &Ending) -> String {
        self.finish();
        if let Some(fault) = self.fault() {
            return fault;
        }
        let watch = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match watch.last_words().filter(|_| !ending.is_explained) {
            Some(words) => format!("{}: {words}", ending.how),
            None => ending.how.clone(),
        }
    }

    /// The fault that it has reported, if any.
    pub fn fault(&self) -> Option<String> {
        let watch = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        watch.first_fault().map(str::to_owned).or_else(|| self.overdue.clone())
    }

    /// Waits, a little, until the log of the ended process is complete.
    pub fn finish(&mut self) {
        self.has_ended = true;
        self.enough.store(true, Ordering::Relaxed);
        // Nothing is ever sent: either the log's end closes the channel, or it takes too long.
        let _ = self.log_end.recv_timeout(LOG_END_TIMEOUT);
    }
}

fn copy_log(mut log: LogWriter, output: io::PipeReader, serial: SerialLine, faults: Faults) -> Receiver<()> {
    let (end, log_end) = mpsc::channel();
    thread::spawn(move || {
        let hear = |said: Said<'_>| match said {
            Said::Line(line) => faults.look(line),
            Said::Question => serial.tell_time(),
        };
        // A log that cannot be copied any further ends here; the machine goes on.
        let _ = log.copy(output, hear);
        drop(end);
    });
    log_end
}

/// Whether a machine has said that it cannot go on.
struct Faults {
    source: Source,
    watch: Arc<Mutex<Watch>>,
    outbox: Sender<Message>,
}

impl Faults {
    fn look(&self, line: &str) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = watch.first_fault().is_none();
        if watch.line(line.as_bytes()) && is_first {
            end_soon(self.source, self.outbox.clone());
        }
    }
}

/// Some faults leave a machine idling for ever. Others end it by themselves, after some more words.
fn end_soon(source: Source, outbox: Sender<Message>) {
    thread::spawn(move || {
        thread::sleep(FAULT_GRACE);
        let _ = outbox.send(Message::Faulty(source));
    });
}

fn wait_for_end(vmm: Vmm, mut child: Child, source: Source, outbox: Sender<Message>) {
    thread::spawn(move || {
        let ending = match child.wait().map(|status| Verdict::of(vmm, status)) {
            Ok(verdict) => Ending {
                how: verdict.to_string(),
                // Nobody has ordered it to end.
                has_failed: verdict != Verdict::Success,
                is_explained: matches!(verdict, Verdict::Success | Verdict::Signal(..)),
            },
            Err(error) => {
                let how = format!("its end is not known: {error}");
                Ending { how, has_failed: true, is_explained: true }
            }
        };
        // Nobody listens any more when everything is being stopped.
        let _ = outbox.send(Message::Ended(source, ending));
    });
}

/// The questions for a machine's health, as long as it runs.
struct Questions {
    source: Source,
    health: HealthAddress,
    debugger: Debugger,
    /// Ends them.
    enough: Arc<AtomicBool>,
    outbox: Sender<Message>,
}

fn ask_for_health(questions: Questions) {
    thread::spawn(move || {
        questions.until_healthy();
        questions.until_silent();
    });
}

impl Questions {
    fn is_over(&self) -> bool {
        self.enough.load(Ordering::Relaxed)
    }

    /// Asks until the machine is healthy.
    fn until_healthy(&self) {
        let started = Instant::now();
        let mut last = String::new();
        while !self.is_over() {
            let asked = Instant::now();
            let timeout = (started.elapsed() / 4).clamp(ANSWER_TIMEOUT_MIN, ANSWER_TIMEOUT_MAX);
            let problem = match probe::ask(&self.health, timeout) {
                ProbeResult::Healthy => {
                    let _ = self.outbox.send(Message::Healthy(self.source));
                    return;
                }
                ProbeResult::Not(problem) | ProbeResult::None(problem) => problem,
            };
            if problem != last {
                last.clone_from(&problem);
                let _ = self.outbox.send(Message::Problem(self.source, problem));
            }
            thread::sleep(QUESTION_INTERVAL.saturating_sub(asked.elapsed()));
        }
    }

    /// Asks a machine that was healthy until it gives no answer at all any more. One that says what it lacks does not
    /// hang, and one that a debugger holds is not to answer.
    fn until_silent(&self) {
        let mut heard = Instant::now();
        let mut was_ready = true;
        while !self.is_over() {
            thread::sleep(if heard.elapsed() < CHECK_INTERVAL { CHECK_INTERVAL } else { QUESTION_INTERVAL });
            // A question that was lost is followed by one that takes what is left of the time.
            let left = SILENCE_MAX.saturating_sub(heard.elapsed());
            let timeout =
                if left > SILENCE_MAX / 2 { ANSWER_TIMEOUT_MAX } else { left.max(ANSWER_TIMEOUT_MIN) };
            let answer = probe::ask(&self.health, timeout);
            if !matches!(answer, ProbeResult::None(_)) {
                heard = Instant::now();
                let is_ready = answer == ProbeResult::Healthy;
                if std::mem::replace(&mut was_ready, is_ready) != is_ready {
                    let _ = self.outbox.send(Message::Readiness(self.source, is_ready));
                }
            } else if heard.elapsed() >= SILENCE_MAX {
                if self.debugger.is_there() {
                    heard = Instant::now();
                    continue;
                }
                let _ = self.outbox.send(Message::Hung(self.source, SILENCE_MAX));
                return;
            }
        }
    }
}
