//! The hidden command `supervise`: the supervisor as a separate process in a separate process group, so that neither
//! a terminal's Ctrl-C nor its end reaches it. Only `up` starts it.

use std::env;
use std::io::{self, BufRead, Write};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::network::ports::Ports;
use crate::plan::{Instance, Plan};
use crate::state::event::{Event, LEAVE, Order};
use crate::state::left_overs;
use crate::state::run_dir::{Lock, RunDir};
use crate::supervisor::{Connections, Message, run};
use crate::supervisor::{disks, launch};
use image_build::tool::process;
use image_build::vm::disk_image::DiskLock;

/// How often the lock is tried for.
const LOCK_TRIES_MAX: u32 = 10;
/// Time between two tries.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);
/// Why everything is stopped when the supervisor is asked to end.
const ASKED: &str = "stopped by `cargo down`";
/// Why everything is stopped when the starter ends without letting the supervisor go.
const ALONE: &str = "interrupted";

/// Reads an order and carries it out, until everything is stopped. The calling thread has to be the main
/// one.
///
/// # Errors
/// When there is no order, or signals cannot be caught. Later errors are reported as events.
pub fn supervise() -> Result<()> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let Order { run_dir, targets, plan } =
        serde_json::from_str(&line).context("`supervise` is for `up` alone")?;
    let (outbox, inbox) = mpsc::channel();
    watch_signals(outbox.clone())?;
    watch_starter(outbox.clone());
    let mut tell = tell;
    let opened = RunDir::open(run_dir).map(|run_dir| run_dir.with_targets(targets));
    match opened.and_then(|run_dir| prepare(run_dir, &plan)) {
        Err(error) => tell(Event::Failed { message: format!("{error:#}"), log: Vec::new() }),
        Ok((run_dir, _locks)) => {
            run(&run_dir, plan, Connections { command: &command, inbox, outbox, tell: &mut tell });
        }
    }
    Ok(())
}

/// The folder to run in, and what nobody else may use until everything is stopped.
fn prepare(run_dir: RunDir, plan: &Plan) -> Result<(RunDir, (Lock, Vec<DiskLock>))> {
    // Where it is, its sockets have short paths: see `ports`.
    env::set_current_dir(run_dir.path()).context("the application's folder cannot be entered")?;
    let lock = lock(&run_dir)?;
    left_overs::clear(&run_dir)?;
    let disks = disks::claim(&plan.instances)?;
    Ok((run_dir, (lock, disks)))
}

/// Takes the lock. Other commands hold it for a moment, just to look whether it is free.
fn lock(run_dir: &RunDir) -> Result<Lock> {
    for _ in 0..LOCK_TRIES_MAX {
        if let Some(lock) = run_dir.try_lock()? {
            return Ok(lock);
        }
        thread::sleep(LOCK_INTERVAL);
    }
    bail!("another `cargo up` of this workspace is running: see `cargo ps`, or stop it with `cargo down`")
}

fn command(plan: &Plan, instance: &Instance, ports: &Ports) -> Result<std::process::Command> {
    process::bound(&launch::command(plan, instance, ports)?)
}

/// Writes an event. When the starter has gone, nobody needs it.
fn tell(event: Event) {
    if let Ok(mut line) = serde_json::to_string(&event) {
        line.push('\n');
        let _ = io::stdout().write_all(line.as_bytes());
    }
}

fn watch_signals(outbox: Sender<Message>) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signals cannot be caught")?;
    thread::spawn(move || signals.forever().try_for_each(|_| outbox.send(Message::Stop(ASKED))));
    Ok(())
}

/// The starter's end of the pipe closes when it ends, however it ends.
fn watch_starter(outbox: Sender<Message>) {
    thread::spawn(move || {
        let word = io::stdin().lock().lines().next();
        let is_let_go = matches!(&word, Some(Ok(word)) if word == LEAVE);
        outbox.send(if is_let_go { Message::Leave } else { Message::Stop(ALONE) })
    });
}
