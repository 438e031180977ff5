//! A service whose guest and whose network take turns: one is held while the other speaks.
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

use super::new_votes::NewVotes;
use super::peer::{self, Peer};
use super::workload::Workload;
use crate::child::{self, Child, Running as _};
use crate::context::Context;
use crate::statistics::undisturbed;
use crate::substrate::Program;
use crate::trace::{self, Trace};

/// What a guest that rests may execute between two looks: those at its timers.
const RESTING_INSTRUCTIONS_MAX: u64 = 50_000;
/// How often it is looked at until it must rest.
const LOOKS_MAX: usize = 100;
/// Time between two looks at a machine that may have ended.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How long one turn of the guest may take, its boot included.
const TURN_LIMIT: Duration = Duration::from_secs(60);
/// Turns until everything must be said; a worker takes five for 64 votes.
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

/// A counted service that rests.
pub struct Guest {
    pub(super) monitor: Monitor,
    pub(super) peer: Peer,
    pub(super) count: u64,
    votes: NewVotes,
    /// QEMU's own log.
    pub(super) log: PathBuf,
    /// What the guest says.
    pub(super) serial: PathBuf,
    pub(super) child: Child,
    pub(super) directory: TempDir,
}

impl Guest {
    /// Boots `program` in `image` on `machine`, until it has found the store, if it needs one, and waits for requests.
    ///
    /// # Errors
    /// When it does not get there; with its log.
    pub fn boot(context: &Context, program: Program, image: PathBuf, machine: Machine) -> Result<Self> {
        let name = program.package();
        let mut guest = Self::prepare(context, name, image, machine, &settings(peer::STORE_PORT))?;
        let ready = match program {
            Program::Store => guest.come_to_rest(),
            _ => guest.find_the_store(),
        };
        ready.with_context(|| format!("the counted {name} fails\n{}", child::log_tail(&guest.serial)))?;
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
        Ok(Self { monitor, peer, count: 0, votes: NewVotes::default(), log, serial, child, directory })
    }

    /// Instructions that the guest has executed.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Instructions for one of the requests or votes of a workload.
    ///
    /// # Errors
    /// When one is answered wrongly, or the guest does not come to rest.
    pub fn per_unit(&mut self, workload: Workload) -> Result<f64> {
        self.warm_up(workload)?;
        let counts: Result<Vec<f64>> =
            (0..workload.batches().counted).map(|_| self.batch(workload)).collect();
        self.hang_up()?;
        // A host adds to a count when the guest has time to look at its clock in between: a look is 2% of a batch.
        Ok(undisturbed(counts?, 4))
    }

    /// Which instructions it executes for a workload, and for how many requests or votes.
    ///
    /// # Errors
    /// As [`per_unit`](Self::per_unit), and when QEMU does not tell the instructions.
    pub fn trace(&mut self, workload: Workload) -> Result<(Trace, usize)> {
        let batches = workload.batches();
        self.warm_up(workload)?;
        self.monitor.log_instructions(true)?;
        for _ in 0..batches.traced {
            self.batch(workload)?;
        }
        self.monitor.log_instructions(false)?;
        self.hang_up()?;
        Ok((trace::take(&self.log)?, batches.traced * batches.units))
    }

    fn warm_up(&mut self, workload: Workload) -> Result<()> {
        if let Some((port, connections)) = workload.kept_connections() {
            self.peer.open(port, connections, &[], true)?;
            self.settle()?;
        }
        (0..workload.batches().warm_up).try_for_each(|_| self.batch(workload).map(drop))
    }

    /// A batch of requests or votes at once; instructions for one.
    fn batch(&mut self, workload: Workload) -> Result<f64> {
        self.pause()?;
        let before = self.count;
        workload.begin(&mut self.peer, &mut self.votes)?;
        self.settle()?;
        workload.end(&mut self.peer)?;
        Ok((self.count - before) as f64 / workload.batches().units as f64)
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
        while self.peer.store_requests() == 0 {
            ensure!(begun.elapsed() < TURN_LIMIT, "it does not look for its store");
            // It may rest during its boot, for a device.
            self.turn(0)?;
            self.settle()?;
        }
        Ok(())
    }

    /// Lets the guest run until it rests.
    fn come_to_rest(&mut self) -> Result<()> {
        ensure!(self.rests_or_ends()?, "the machine has ended");
        Ok(())
    }

    /// Lets the guest run until it rests or has ended; whether it rests.
    pub(super) fn rests_or_ends(&mut self) -> Result<bool> {
        let begun = Instant::now();
        for _ in 0..LOOKS_MAX {
            ensure!(begun.elapsed() < TURN_LIMIT, "it neither rests nor ends");
            let before = self.count;
            if let Err(error) = self.turn(0).and_then(|()| self.settle()) {
                // QEMU is gone with the machine.
                std::thread::sleep(LOOK_PAUSE);
                return if self.child.ended().is_some() { Ok(false) } else { Err(error) };
            }
            if before > 0 && self.count - before <= RESTING_INSTRUCTIONS_MAX {
                return Ok(true);
            }
        }
        ensure!(self.count > 0, "it executes nothing");
        Ok(true)
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
