//! A vote service whose guest instructions are counted under a load, on any substrate that counts.
//!
//! Times nothing: a counted guest is slow, and its clock goes with its instructions.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use image_build::vm::qmp::{self, Monitor};
use tempfile::TempDir;

use crate::child::log_tail;
use crate::substrate::{Instance, Order, Port, Program, Substrate, deepen_backlogs, ready};

/// How long a counted guest may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to come to rest after a request.
const REST_LIMIT: Duration = Duration::from_secs(20);

/// A counted vote service, and a store beside it that is not counted, unless both are in one image.
pub struct CountedVote {
    _vote: Instance,
    pub host: SocketAddrV4,
    pub monitor: Monitor,
    /// Instructions from power-on until it waited for requests.
    pub boot: u64,
    /// Whether its store, worker and result page are in the same guest, and counted with it.
    pub has_own_store: bool,
    /// QEMU's own log.
    log: PathBuf,
    _store: Option<Instance>,
    _directory: TempDir,
}

impl CountedVote {
    /// Starts both, logs in `directory`.
    ///
    /// # Errors
    /// When one does not start, or QEMU does not count.
    pub fn start(substrate: &dyn Substrate, directory: &Path) -> Result<Self> {
        let order = |program, name, store: Option<&str>| {
            let settings = [("LOG", "warn"), ("REDIS_URL", store.unwrap_or_default())];
            let count = if store.is_some() { 2 } else { 1 };
            Order::new(program, name, &settings[..count], directory)
        };
        // What has one vote service only is one image, and its store is in it.
        let has_own_store = substrate.votes_max() == 1;
        let start = || ready(substrate.start(&order(Program::Store, "store", None))?, Program::Store);
        let store = (!has_own_store).then(start).transpose()?;
        // The path of a socket may have some hundred bytes; a run's directory may have more.
        let sockets = tempfile::tempdir().context("no directory for the monitor's socket")?;
        let socket = sockets.path().join("qmp");
        let url = store.as_ref().map(Instance::redis_url).transpose()?;
        let order = order(Program::Vote, "vote", url.as_deref());
        let mut vote = substrate.vote(&Order { counted: Some(socket.clone()), ..order })?;
        let host = vote.endpoint(Port::Vote)?.host;
        let mut monitor = Monitor::open(&socket).with_context(|| log_tail(&vote.log))?;
        // Nobody asks the guest anything before it rests, or the questions would count.
        let boot = monitor.instructions_of_boot(START_LIMIT)?;
        vote.first_ok(Port::Vote, "/readyz", START_LIMIT)?;
        deepen_backlogs(&vote);
        monitor.instructions_at_rest(REST_LIMIT)?;
        let log = socket.with_extension("log");
        Ok(Self { _vote: vote, host, monitor, boot, has_own_store, log, _store: store, _directory: sockets })
    }

    /// What `load` gives, with the instructions that the guest has executed for it.
    ///
    /// # Errors
    /// When the load fails, or the guest does not come to rest.
    pub fn count<T>(&mut self, load: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
        let before = self.monitor.instructions_at_rest(REST_LIMIT)?;
        let result = load()?;
        Ok((result, self.monitor.instructions_at_rest(REST_LIMIT)? - before))
    }

    /// What `load` gives, with the accesses to emulated devices that the guest has made for it.
    ///
    /// # Errors
    /// As [`count`](Self::count), and when QEMU does not report accesses.
    pub fn count_accesses<T>(&mut self, load: impl FnOnce() -> Result<T>) -> Result<(T, usize)> {
        self.monitor.instructions_at_rest(REST_LIMIT)?;
        let before = fs::metadata(&self.log).context("QEMU has no log")?.len();
        self.monitor.log_accesses(true)?;
        let result = load()?;
        self.monitor.instructions_at_rest(REST_LIMIT)?;
        self.monitor.log_accesses(false)?;
        let mut log = BufReader::new(File::open(&self.log).context("cannot read QEMU's log")?);
        log.seek(SeekFrom::Start(before)).context("QEMU's log became shorter")?;
        let accesses = log.lines().map_while(Result::ok).filter(|line| qmp::is_access_of_guest(line)).count();
        ensure!(accesses > 0, "QEMU logs no accesses to devices: is it built without trace backend `log`?");
        Ok((result, accesses))
    }
}
