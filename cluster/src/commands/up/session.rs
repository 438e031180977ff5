//! The user's view of a starting and running application, and the effect of Ctrl-C. It decides nothing about
//! machines.

use std::collections::BTreeSet;
use std::io;
use std::process::{self, ExitCode};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use crate::commands::logs::view::{LogView, Shape};
use crate::commands::up::supervisor_process::{Heard, SupervisorProcess};
use crate::plan::Plan;
use crate::state::event::Event;
use crate::state::left_overs;
use crate::state::run_dir::RunDir;
use crate::terminal::interrupt::{Interrupt, Interrupts, STATUS_SIGNAL};
use crate::terminal::progress::Progress;
use crate::terminal::style::Style;
use crate::terminal::summary::summary;
use image_build::tool::output;

/// How often logs are looked at for new lines.
const LOG_INTERVAL: Duration = Duration::from_millis(100);
/// How long the supervisor is given to stop everything.
const STOP_TIMEOUT: Duration = Duration::from_secs(25);
/// How long a Ctrl-C may take to be heard here after it has ended the reader of what is printed.
const INTERRUPT_TIMEOUT: Duration = Duration::from_millis(300);

/// The process that the user started, while its application runs.
pub struct UpSession<'a> {
    run_dir: &'a RunDir,
    instances: Vec<String>,
    supervisor: SupervisorProcess,
    heard: Receiver<Heard>,
    style: Style,
}

/// How a start went.
enum Started {
    /// Everything is healthy.
    Up {
        /// Time since the first start, in milliseconds.
        after_ms: u64,
    },
    /// The user wants no more of it.
    Interrupted(Interrupt),
}

/// Why there is no supervisor. A Ctrl-C in the very moment of its start reaches it as well, and then ends this process.
fn never_started(heard: &Receiver<Heard>, error: anyhow::Error) -> anyhow::Error {
    if let Ok(Heard::Interrupt(Interrupt(signal))) = heard.recv_timeout(INTERRUPT_TIMEOUT) {
        note!("\ninterrupted: everything is stopped");
        process::exit(STATUS_SIGNAL + signal);
    }
    error
}

impl<'a> UpSession<'a> {
    /// Has the application started.
    pub fn start(run_dir: &'a RunDir, plan: Plan, interrupts: &Interrupts) -> Result<Self> {
        let instances = plan.instances.iter().map(|instance| instance.name.clone()).collect();
        let (sender, heard) = mpsc::channel();
        let interrupted = sender.clone();
        // Nobody listens any more when this process is about to end anyway.
        interrupts.listen(move |interrupt| drop(interrupted.send(Heard::Interrupt(interrupt))));
        let supervisor = SupervisorProcess::start(run_dir, plan, sender);
        let supervisor = supervisor.map_err(|error| never_started(&heard, error))?;
        Ok(Self { run_dir, instances, supervisor, heard, style: Style::of_output() })
    }

    /// Shows how the application comes up, and then what it says; in detached mode it ends in between.
    pub fn watch(mut self, detach: bool) -> Result<ExitCode> {
        let after_ms = match self.watch_start()? {
            Started::Interrupted(interrupt) => {
                return self.stop_after(interrupt, "interrupted: everything is stopped");
            }
            Started::Up { after_ms } => after_ms,
        };
        let shown = self.print_summary(after_ms);
        if !detach {
            return match shown {
                Ok(()) => self.watch_logs(),
                Err(error) => self.leave_unseen(error),
            };
        }
        // What runs does not depend on who reads what is said of it.
        self.leave()?;
        shown?;
        say!("\n`cargo logs -f` shows what it says, `cargo ps` how it is, `cargo down` stops it.")?;
        Ok(ExitCode::SUCCESS)
    }

    /// Returns when everything is healthy, or the user has interrupted.
    fn watch_start(&mut self) -> Result<Started> {
        let mut progress = Progress::new(&self.instances, output::is_screen(&io::stderr()));
        loop {
            // The sender for signals lives as long as the process, so the channel never closes.
            match self.heard.recv()? {
                Heard::Event(Event::Up { after_ms }) => return Ok(Started::Up { after_ms }),
                Heard::Event(event) => match event {
                    Event::Failed { message, log } => return Err(failure(&message, &log)),
                    Event::Trouble { message } => note!("warning: {message}"),
                    event => progress.show(&event),
                },
                Heard::Gone => return Err(self.supervisor_crashed()),
                Heard::Interrupt(interrupt) => return Ok(Started::Interrupted(interrupt)),
            }
        }
    }

    fn print_summary(&self, after_ms: u64) -> Result<()> {
        if let Some(state) = self.run_dir.read_state()? {
            output::print(&summary(&state, Some(after_ms), self.style))?;
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        self.supervisor.leave()?;
        loop {
            match self.heard.recv()? {
                Heard::Event(Event::Left) => return Ok(()),
                Heard::Event(Event::Ended { instance, how }) => note!("{instance} has ended: {how}"),
                Heard::Event(Event::Stopped) => bail!("everything was stopped during the start"),
                Heard::Gone => return Err(self.supervisor_crashed()),
                Heard::Event(_) | Heard::Interrupt(_) => {}
            }
        }
    }

    /// Ends this process, whose output nobody takes any more, and leaves the application as it is: unless it was
    /// Ctrl-C that ended the reader, as in `cargo up | tee FILE`.
    fn leave_unseen(mut self, error: anyhow::Error) -> Result<ExitCode> {
        let end = Instant::now() + INTERRUPT_TIMEOUT;
        while let Ok(heard) = self.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if matches!(heard, Heard::Interrupt(_)) {
                return Ok(self.stop_as_asked());
            }
        }
        self.leave()?;
        Err(error)
    }

    /// Streams logs until the application ends or the user has had enough.
    fn watch_logs(mut self) -> Result<ExitCode> {
        if let Err(error) = say!("\nCtrl-C stops everything.\n") {
            return self.leave_unseen(error.into());
        }
        let mut view = LogView::new(self.run_dir, &self.instances, Shape::Text(self.style));
        let mut ended = BTreeSet::new();
        loop {
            let heard = self.heard.recv_timeout(LOG_INTERVAL);
            let shown = view.print_new(usize::MAX);
            match heard {
                Ok(Heard::Event(Event::Ended { instance, how })) => {
                    note!("{instance} has ended: {how}");
                    ended.insert(instance);
                }
                Ok(Heard::Event(Event::Stopped)) if ended.len() == self.instances.len() => {
                    bail!("all instances have ended: see `cargo logs`")
                }
                Ok(Heard::Event(Event::Stopped)) => {
                    say!("stopped by `cargo down`")?;
                    return Ok(ExitCode::SUCCESS);
                }
                Ok(Heard::Event(Event::Failed { message, log })) => return Err(failure(&message, &log)),
                Ok(Heard::Gone) => return Err(self.supervisor_crashed()),
                Ok(Heard::Interrupt(_)) => return Ok(self.stop_as_asked()),
                Ok(Heard::Event(event)) => {
                    if let Event::Started { instance } = &event {
                        ended.remove(instance);
                    }
                    if let Some(news) = news(&event) {
                        note!("{news}");
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.supervisor_crashed()),
            }
            if let Err(error) = shown {
                return self.leave_unseen(error);
            }
        }
    }

    fn stop_as_asked(&mut self) -> ExitCode {
        self.stop();
        note!("\neverything is stopped");
        ExitCode::SUCCESS
    }

    fn stop_after(mut self, Interrupt(signal): Interrupt, message: &str) -> Result<ExitCode> {
        self.stop();
        note!("\n{message}");
        Ok(ExitCode::from(u8::try_from(STATUS_SIGNAL + signal).unwrap_or(u8::MAX)))
    }

    /// Has everything stopped and waits for that. A further interrupt does it the hard way.
    fn stop(&mut self) {
        self.supervisor.stop();
        let end = Instant::now() + STOP_TIMEOUT;
        loop {
            match self.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Heard::Gone) => return,
                Ok(Heard::Event(_)) => {}
                Ok(Heard::Interrupt(_)) | Err(_) => return self.kill(),
            }
        }
    }

    /// Ends everything at once, and leaves no record of it.
    fn kill(&mut self) {
        self.supervisor.kill();
        if let Err(error) = left_overs::clear(self.run_dir) {
            note!("{error:#}: `cargo down` cleans up");
        }
    }

    fn supervisor_crashed(&mut self) -> anyhow::Error {
        self.supervisor.kill();
        let path = self.run_dir.path().join("supervisor.err");
        anyhow!(
            "the supervisor has ended unexpectedly, with all machines: see {}; `cargo down` cleans up",
            path.display()
        )
    }
}

/// The message about an event, in addition to the logs: the progress of a restart.
fn news(event: &Event) -> Option<String> {
    match event {
        Event::Restarting { instance, after_ms, attempt } => {
            let seconds = *after_ms as f64 / 1000.0;
            Some(format!("{instance} is started again in {seconds:.2} s (attempt {attempt})"))
        }
        Event::Trouble { message } => Some(format!("warning: {message}")),
        Event::Healthy { instance, after_ms } => {
            Some(format!("{instance} is healthy after {:.2} s", *after_ms as f64 / 1000.0))
        }
        _ => None,
    }
}

fn failure(message: &str, log: &[String]) -> anyhow::Error {
    let mut text = message.to_owned();
    if !log.is_empty() {
        text += "\nits last lines:";
        for line in log {
            text += &format!("\n  {line}");
        }
    }
    anyhow!(text)
}
