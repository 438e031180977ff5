//! A vote service whose guest and whose network take turns: one is held while the other speaks.
//!
//! What reaches the guest reaches it at once, while it rests, and what it says is answered when it rests
//! again. So a count does not depend on which of the host's threads comes first. In 20 runs on a quiet
//! host and 20 beside two busy loops on two cores, boots were equal and requests within 0.13%.
//! This is not how the network behaves under a load; see `measure::instructions` for that.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use image_build::vm::accelerator::Accelerator;
use image_build::vm::machine::{Launch, Machine, Network};
use image_build::vm::qemu;
use image_build::vm::qmp::{COUNTED, COUNTED_MHZ, Monitor};
use tempfile::TempDir;

use super::peer::{self, Peer};
use crate::child::{self, Child};
use crate::context::Context;
use crate::record::Method;
use crate::statistics::undisturbed;
use crate::trace::{self, Trace};

/// Connections at the same time.
const CONNECTIONS: usize = 16;
/// Batches of requests, after some that warm the service up.
const BATCHES: usize = 12;
pub(super) const WARM_UP: usize = 3;
/// Batches whose instructions are traced: each is a line of a file.
const BATCHES_TRACED: usize = 2;
/// How long one turn of the guest may take, its boot included.
pub(super) const TURN_LIMIT: Duration = Duration::from_secs(60);
/// Turns until everything must be said.
pub(super) const TURNS_MAX: usize = 64;
/// Times that QEMU looks at everything it waits for between two looks at a guest that may rest.
const ROUNDS: usize = 3;
/// How long it may run in one go before it is looked at.
const RUN: Duration = Duration::from_millis(15);
/// Half a second after a packet a guest looks at its timers. So long it rests before each batch, or that look would be
/// part of those that come while the host is busy.
const PAUSE: Duration = Duration::from_millis(600);
/// How often in a row it must be found at rest. Being held in between, it cannot but have come to the end
/// of what it was at, and its card to the end of what it sends.
const RESTS: u32 = 2;
/// Frames for the guest are kept until this much of its time has passed, then given to it at once.
const GATHERED: &str = "filter-buffer,id=gather,netdev=net0,queue=tx,interval=100";
/// The guest's frames leave it after so much of its time, not when a thread of QEMU gets to it.
const SENT_BY_TIMER: [&str; 4] =
    ["-global", "virtio-net-device.tx=timer", "-global", "virtio-net-device.x-txtimer=2000"];

/// A counted vote service that rests.
pub struct Guest {
    pub(super) monitor: Monitor,
    pub(super) peer: Peer,
    pub(super) count: u64,
    /// QEMU's own log.
    pub(super) log: PathBuf,
    /// What the guest says.
    pub(super) serial: PathBuf,
    pub(super) child: Child,
    pub(super) directory: TempDir,
}

impl Guest {
    /// Boots the vote service in `image` on `machine`, until it has found the store and waits for
    /// requests.
    ///
    /// # Errors
    /// When it does not get there; with its log.
    pub fn boot(context: &Context, image: PathBuf, machine: Machine) -> Result<Self> {
        let mut guest = Self::prepare(context, "vote", image, machine, &settings(peer::STORE_PORT))?;
        let found = guest.find_the_store();
        found
            .with_context(|| format!("the counted vote service fails\n{}", child::log_tail(&guest.serial)))?;
        Ok(guest)
    }

    /// A machine with `image` that has not executed anything yet.
    pub(super) fn prepare(
        context: &Context,
        name: &str,
        image: PathBuf,
        machine: Machine,
        settings: &[(String, String)],
    ) -> Result<Self> {
        let serial = context.artifacts("instructions")?.join(format!("{name}.log"));
        // The path of a socket may have some hundred bytes; an artifact's may have more.
        let directory = tempfile::tempdir().context("no directory for the monitor's socket")?;
        let monitor = directory.path().join("qmp");
        let (socket, own, other) = peer::cable()?;
        let mut launch = Launch::new(name, image, machine, Accelerator::Tcg { mhz: COUNTED_MHZ });
        launch.network = Network::Datagrams { own: other, peer: own };
        launch.command_line.environment.extend(settings.iter().cloned());
        launch.extra.extend(COUNTED.iter().chain(&SENT_BY_TIMER).map(Into::into));
        let qmp = format!("unix:{},server=on,wait=off", monitor.display());
        if machine == Machine::Microvm {
            launch.extra.extend(["-global", "virtio-mmio.ioeventfd=off"].map(Into::into));
        }
        launch.extra.extend(["-object", GATHERED, "-S", "-qmp", &qmp, "-D"].map(Into::into));
        let log = directory.path().join("qemu.log");
        launch.extra.push(log.clone().into());
        let child = Child::start(context, qemu::command(&launch)?, &serial)?;
        let opened = || Ok((Monitor::open(&monitor)?, Peer::new(socket)?));
        let opened: Result<(Monitor, Peer)> = opened();
        let (monitor, peer) =
            opened.with_context(|| format!("the counted {name} fails\n{}", child::log_tail(&serial)))?;
        Ok(Self { monitor, peer, count: 0, log, serial, child, directory })
    }

    /// Instructions that the guest has executed.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Instructions for one request, of those that are sent on 16 connections at once.
    ///
    /// # Errors
    /// When one is answered wrongly, or the guest does not come to rest.
    pub fn per_request(&mut self, method: Method, keep_alive: bool) -> Result<f64> {
        let request = request(method, keep_alive);
        self.warm_up(&request, keep_alive)?;
        let counts: Result<Vec<f64>> = (0..BATCHES).map(|_| self.batch(&request, keep_alive)).collect();
        self.hang_up()?;
        // A busy host adds to a count, when the guest has time to look at its clock in between.
        Ok(undisturbed(counts?))
    }

    /// Which instructions it executes for such requests, and how many there are of these.
    ///
    /// # Errors
    /// As [`per_request`](Self::per_request), and when QEMU does not tell the instructions.
    pub fn trace(&mut self, method: Method, keep_alive: bool) -> Result<(Trace, usize)> {
        let request = request(method, keep_alive);
        self.warm_up(&request, keep_alive)?;
        self.monitor.log_instructions(true)?;
        for _ in 0..BATCHES_TRACED {
            self.batch(&request, keep_alive)?;
        }
        self.monitor.log_instructions(false)?;
        self.hang_up()?;
        Ok((trace::take(&self.log)?, BATCHES_TRACED * CONNECTIONS))
    }

    fn warm_up(&mut self, request: &[u8], keep_alive: bool) -> Result<()> {
        if keep_alive {
            self.peer.open(CONNECTIONS, &[], true)?;
            self.settle()?;
        }
        (0..WARM_UP).try_for_each(|_| self.batch(request, keep_alive).map(drop))
    }

    /// A request on each of 16 connections at once; instructions for one.
    fn batch(&mut self, request: &[u8], keep_alive: bool) -> Result<f64> {
        self.pause()?;
        let before = self.count;
        if keep_alive {
            self.peer.ask(request);
        } else {
            self.peer.open(CONNECTIONS, request, false)?;
        }
        self.settle()?;
        self.peer.check()?;
        if !keep_alive {
            self.peer.close();
        }
        Ok((self.count - before) as f64 / CONNECTIONS as f64)
    }

    pub(super) fn pause(&mut self) -> Result<()> {
        self.monitor.release()?;
        std::thread::sleep(PAUSE);
        self.monitor.hold()?;
        self.turn(0)?;
        self.settle()
    }

    pub(super) fn hang_up(&mut self) -> Result<()> {
        self.peer.close();
        self.settle()
    }

    pub(super) fn find_the_store(&mut self) -> Result<()> {
        let begun = Instant::now();
        while self.peer.store_commands() == 0 {
            ensure!(begun.elapsed() < TURN_LIMIT, "it does not look for its store");
            // It may rest during its boot, for a device.
            self.turn(0)?;
            self.settle()?;
        }
        Ok(())
    }

    /// Lets peer and guest speak in turns until neither has anything to say.
    pub(super) fn settle(&mut self) -> Result<()> {
        for _ in 0..TURNS_MAX {
            let frames = self.peer.speak()?;
            if frames == 0 {
                return Ok(());
            }
            self.turn(frames)?;
        }
        bail!("the guest and its peer have not come to an end after {TURNS_MAX} turns")
    }

    /// Lets the guest run until it rests, having read so many frames that wait for it.
    pub(super) fn turn(&mut self, frames: usize) -> Result<()> {
        // One frame is read each time that QEMU looks at its sockets.
        self.monitor.rounds(frames + ROUNDS)?;
        let begun = Instant::now();
        let (mut last, mut times) = (None, 0);
        while times < RESTS {
            ensure!(begun.elapsed() < TURN_LIMIT, "the guest does not come to rest");
            self.monitor.release()?;
            let now = self.rests(frames > 0)?;
            self.monitor.hold()?;
            times = match now {
                Some(_) if now == last => times + 1,
                Some(_) => 1,
                None => 0,
            };
            last = now;
        }
        self.count = last.unwrap_or(self.count);
        Ok(())
    }

    /// The count, if the guest rests and says nothing; if it must have done something, then more than
    /// what it had executed before.
    fn rests(&mut self, must_work: bool) -> Result<Option<u64>> {
        std::thread::sleep(RUN);
        let first = self.monitor.look()?;
        self.monitor.rounds(ROUNDS)?;
        let second = self.monitor.look()?;
        let has_worked = !must_work || first.is_some_and(|count| count > self.count);
        let is_silent = self.peer.listen()? == 0;
        Ok(first.filter(|_| first == second && has_worked && is_silent))
    }
}

/// Those of a guest whose store is at this port of its peer.
pub(super) fn settings(store_port: u16) -> [(String, String); 4] {
    let address = format!("{}/{}", peer::GUEST, peer::PREFIX_BITS);
    let store = format!("redis://{}:{}", peer::ADDRESS, store_port);
    [
        ("IP".to_owned(), address),
        ("GATEWAY".to_owned(), peer::ADDRESS.to_string()),
        ("REDIS_URL".to_owned(), store),
        ("LOG".to_owned(), "warn".to_owned()),
    ]
}

/// The bytes of a request.
pub(super) fn request(method: Method, keep_alive: bool) -> Vec<u8> {
    let connection = if keep_alive { "" } else { "Connection: close\r\n" };
    let text = match method {
        Method::Get => format!("GET / HTTP/1.1\r\nHost: vote\r\n{connection}\r\n"),
        Method::Post => format!(
            "POST / HTTP/1.1\r\nHost: vote\r\n{connection}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 6\r\n\r\nvote=a"
        ),
    };
    text.into_bytes()
}
