//! The supervisor as seen by the process that starts it: a pipe to it, a pipe from it, and its end. `session` shows
//! the events to people.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use anyhow::{Context, Result};

use crate::plan::Plan;
use crate::state::event::{Event, LEAVE, Order};
use crate::state::run_dir::RunDir;
use crate::terminal::interrupt::Interrupt;
use image_build::tool::process;

/// This program, even when its file has been replaced since it started.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// The hidden command.
pub const SUPERVISE: &str = "supervise";

/// What is heard while the application starts and runs.
#[derive(Debug)]
pub enum Heard {
    /// Something has happened.
    Event(Event),
    /// The supervisor has ended, or broken its pipe, which comes to the same.
    Gone,
    /// The user wants an end.
    Interrupt(Interrupt),
}

/// A supervisor that has been started.
#[derive(Debug)]
pub struct SupervisorProcess {
    child: Child,
    /// Closing it makes the supervisor stop everything, unless it was told to leave.
    orders: Option<ChildStdin>,
}

/// This program by its path, for process lists, as long as its file is there.
fn own_program() -> PathBuf {
    let path = env::current_exe().ok().filter(|path| path.exists());
    path.unwrap_or_else(|| OWN_PROGRAM.into())
}

impl SupervisorProcess {
    /// Starts a supervisor and gives it the plan; what it tells goes to `heard`.
    pub fn start(run_dir: &RunDir, plan: Plan, heard: Sender<Heard>) -> Result<Self> {
        let complaints = run_dir.path().join("supervisor.err");
        let complaints =
            File::create(&complaints).with_context(|| format!("cannot write {}", complaints.display()))?;
        let mut command = Command::new(own_program());
        command.arg(SUPERVISE).env(process::TOOL_VARIABLE, OWN_PROGRAM);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(complaints);
        // Ctrl-C is this process' to act on, also while the other one has not come to catching signals.
        command.process_group(0);
        let mut child = command.spawn().context("the supervisor cannot be started")?;
        let order = Order {
            run_dir: run_dir.path().to_owned(),
            targets: run_dir.targets().map(Path::to_owned),
            plan,
        };
        let mut orders = child.stdin.take().context("the supervisor has no input")?;
        let events = child.stdout.take().context("the supervisor has no output")?;
        writeln!(orders, "{}", serde_json::to_string(&order)?).context("the supervisor does not listen")?;
        thread::spawn(move || {
            for line in BufReader::new(events).lines() {
                let event = line.ok().and_then(|line| serde_json::from_str(&line).ok());
                let Some(event) = event else { break };
                let _ = heard.send(Heard::Event(event));
            }
            let _ = heard.send(Heard::Gone);
        });
        Ok(Self { child, orders: Some(orders) })
    }

    /// Lets it go on alone.
    pub fn leave(&mut self) -> Result<()> {
        let orders = self.orders.as_mut().context("the supervisor is stopping")?;
        writeln!(orders, "{LEAVE}").context("the supervisor does not listen")
    }

    /// Makes it stop everything.
    pub fn stop(&mut self) {
        self.orders = None;
    }

    /// Ends it at once; the kernel then ends all machines.
    pub fn kill(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
