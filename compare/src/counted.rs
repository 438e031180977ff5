//! A vote service whose guest instructions are counted under a load, on any substrate that counts.
//!
//! Times nothing: a counted guest is slow, and its clock goes with its instructions.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::client;
use crate::compose;
use crate::qmp::{self, Monitor};
use crate::record::{Counted, Method};
use crate::substrate::{Instance, Order, Port, Program, Substrate};

/// How long a counted guest may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to come to rest after a request.
const REST_LIMIT: Duration = Duration::from_secs(20);

/// A counted vote service, and a store beside it that is not counted, unless both are in one image.
pub struct CountedVote {
    /// The vote service.
    pub vote: Instance,
    /// Where it listens.
    pub host: SocketAddrV4,
    /// Its machine's monitor.
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
        let quiet = ("LOG".to_owned(), "warn".to_owned());
        let order = |program, name: &str| {
            let (name, settings) = (name.to_owned(), vec![quiet.clone()]);
            Order { program, name, settings, memory_mib: None, directory, counted: None }
        };
        // What has one vote service only is one image, and its store is in it.
        let has_own_store = substrate.votes_max() == 1;
        let store = if has_own_store {
            None
        } else {
            let store = substrate.start(&order(Program::Store, "store"))?;
            Some(compose::ready(store, Program::Store)?)
        };
        // The path of a socket may have some hundred bytes; a run's directory may have more.
        let sockets = tempfile::tempdir().context("no directory for the monitor's socket")?;
        let socket = sockets.path().join("qmp");
        let mut order = order(Program::Vote, "vote");
        if let Some(store) = &store {
            let url = format!("redis://{}", store.endpoint(Port::Store)?.peer);
            order.settings.push(("REDIS_URL".to_owned(), url));
        }
        order.counted = Some(socket.clone());
        let mut vote = substrate.vote(&order)?;
        let host = vote.endpoint(Port::Vote)?.host;
        let mut monitor = Monitor::open(&socket).with_context(|| crate::child::log_tail(&vote.log))?;
        // Nobody asks the guest anything before it rests, or the questions would count.
        let boot = monitor.instructions_of_boot(START_LIMIT)?;
        client::first_ok(&mut vote, host, "/readyz", START_LIMIT)?;
        compose::deepen_backlogs(&vote);
        monitor.instructions_at_rest(REST_LIMIT)?;
        let log = socket.with_extension("log");
        Ok(Self { vote, host, monitor, boot, has_own_store, log, _store: store, _directory: sockets })
    }

    /// What `load` gives, with the instructions that the guest has executed for it.
    ///
    /// # Errors
    /// When the load fails, or the guest does not come to rest.
    pub fn count<T>(&mut self, load: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
        let before = self.monitor.instructions_at_rest(REST_LIMIT)?;
        let outcome = load()?;
        Ok((outcome, self.monitor.instructions_at_rest(REST_LIMIT)? - before))
    }

    /// What `load` gives, with the accesses to emulated devices that the guest has made for it.
    ///
    /// # Errors
    /// As [`count`](Self::count), and when QEMU does not report accesses.
    pub fn count_accesses<T>(&mut self, load: impl FnOnce() -> Result<T>) -> Result<(T, usize)> {
        self.monitor.instructions_at_rest(REST_LIMIT)?;
        let before = fs::metadata(&self.log).context("QEMU has no log")?.len();
        self.monitor.log_accesses(true)?;
        let outcome = load()?;
        self.monitor.instructions_at_rest(REST_LIMIT)?;
        self.monitor.log_accesses(false)?;
        let mut log = BufReader::new(File::open(&self.log).context("cannot read QEMU's log")?);
        log.seek(SeekFrom::Start(before)).context("QEMU's log became shorter")?;
        let accesses = log.lines().map_while(Result::ok).filter(|line| qmp::is_access_of_guest(line)).count();
        ensure!(accesses > 0, "QEMU logs no accesses to devices: is it built without trace backend `log`?");
        Ok((outcome, accesses))
    }
}

/// Kind of request and whether its connection is kept, of what is counted; none for the boot.
pub fn kind(counted: Counted) -> Option<(Method, bool)> {
    match counted {
        Counted::Boot => None,
        Counted::GetClose => Some((Method::Get, false)),
        Counted::GetKeepAlive => Some((Method::Get, true)),
        Counted::PostClose => Some((Method::Post, false)),
        Counted::PostKeepAlive => Some((Method::Post, true)),
    }
}

/// Everything that is counted.
pub const ALL: [Counted; 5] =
    [Counted::Boot, Counted::GetClose, Counted::GetKeepAlive, Counted::PostClose, Counted::PostKeepAlive];
