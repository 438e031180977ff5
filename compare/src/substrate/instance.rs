//! One program that is started: what is asked for, and what runs then.
//!
//! How it is started is each substrate's business.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::child::{self, Child, Running};
use crate::client;
use crate::context::Context;

/// Pause between questions to an instance that does not answer yet.
const PAUSE: Duration = Duration::from_millis(1);

/// A program of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    Vote,
    Result,
    /// What moves votes from the queue to the results.
    Worker,
    /// The queue and the results.
    Store,
    /// The four of them in one.
    VotingApp,
}

/// A port of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    Vote,
    Result,
    /// The worker's health.
    Worker,
    /// The store's clients.
    Store,
    /// The store's health.
    StoreHealth,
}

impl Program {
    /// Name of the package and of its executable.
    pub fn package(self) -> &'static str {
        match self {
            Self::Vote => "vote-service",
            Self::Result => "result-service",
            Self::Worker => "worker",
            Self::Store => "store-service",
            Self::VotingApp => "voting-app",
        }
    }

    /// The programs that are services of their own.
    pub const SERVICES: [Self; 4] = [Self::Vote, Self::Result, Self::Worker, Self::Store];

    /// Its ports: the setting that moves each, and where it is by default.
    pub fn ports(self) -> &'static [(Port, &'static str, u16)] {
        match self {
            Self::Vote => &[(Port::Vote, "PORT", 8080)],
            Self::Result => &[(Port::Result, "PORT", 8081)],
            Self::Worker => &[(Port::Worker, "PORT", 8082)],
            Self::Store => &[(Port::Store, "PORT", 6379), (Port::StoreHealth, "HEALTH_PORT", 8083)],
            Self::VotingApp => &[
                (Port::Vote, "PORT", 8080),
                (Port::Result, "RESULT_PORT", 8081),
                (Port::Worker, "WORKER_PORT", 8082),
            ],
        }
    }

    /// The port that says whether it is ready.
    pub fn health_port(self) -> Port {
        match self {
            Self::Vote | Self::VotingApp => Port::Vote,
            Self::Result => Port::Result,
            Self::Worker => Port::Worker,
            Self::Store => Port::StoreHealth,
        }
    }
}

/// What is to be started.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    pub program: Program,
    /// Name of the instance, unique among those that run at the same time: letters, digits and `-`.
    pub name: String,
    /// Settings by name, without ports.
    pub settings: Vec<(String, String)>,
    /// Memory of the machine or container in MiB; the substrate's usual amount without.
    pub memory_mib: Option<u32>,
    /// Where its log goes, in a file of the instance's name.
    pub directory: &'a Path,
    /// For a virtual machine: count instructions, with QEMU's monitor (QMP) at this socket, and QEMU's log
    /// at the same path with the ending `log`.
    pub counted: Option<PathBuf>,
}

impl<'a> Order<'a> {
    /// An instance with settings of its own, its name being its log's.
    pub fn new(program: Program, name: &str, settings: &[(&str, &str)], directory: &'a Path) -> Self {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (name, settings) = (name.to_owned(), settings.collect());
        Self { program, name, settings, memory_mib: None, directory, counted: None }
    }

    /// Starts it as a process of this host.
    ///
    /// # Errors
    /// When `command` cannot be started.
    pub fn start(
        &self,
        context: &Context,
        command: Command,
        endpoints: BTreeMap<Port, Endpoint>,
    ) -> Result<Instance> {
        let log = self.log();
        let begun = Instant::now();
        let child = Child::start(context, command, &log)?;
        Ok(Instance {
            begun,
            endpoints,
            processes: vec![child.pid()],
            guest_memory_mib: None,
            log,
            running: Box::new(child),
        })
    }

    pub fn log(&self) -> PathBuf {
        self.directory.join(format!("{}.log", self.name))
    }
}

/// Where a port is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// By clients on this host.
    pub host: SocketAddrV4,
    /// By other instances on the same substrate.
    pub peer: SocketAddrV4,
}

/// A started program. It ends when this value goes.
pub struct Instance {
    pub begun: Instant,
    pub endpoints: BTreeMap<Port, Endpoint>,
    /// The host's processes that belong to it alone.
    pub processes: Vec<i32>,
    /// Memory of the virtual machine that they are, if they are one.
    pub guest_memory_mib: Option<u32>,
    pub log: PathBuf,
    pub running: Box<dyn Running>,
}

impl Instance {
    /// Where one of its ports is.
    ///
    /// # Errors
    /// When it has no such port.
    pub fn endpoint(&self, port: Port) -> Result<Endpoint> {
        self.endpoints.get(&port).copied().with_context(|| format!("{self} has no port {port:?}"))
    }

    /// The address of a store for other instances, as a setting has it.
    ///
    /// # Errors
    /// When it is no store.
    pub fn redis_url(&self) -> Result<String> {
        Ok(format!("redis://{}", self.endpoint(Port::Store)?.peer))
    }

    /// Fails when it has ended, with the end of its log.
    ///
    /// # Errors
    /// How it ended and what it said.
    pub fn check(&mut self) -> Result<()> {
        match self.running.ended() {
            None => Ok(()),
            Some(how) => bail!("{self} ended: {how}\n{}", child::log_tail(&self.log)),
        }
    }

    /// Asks until `path` of a port is answered with 200; the time since the start began.
    ///
    /// # Errors
    /// When it ends, or does not answer so within `limit`.
    pub fn first_ok(&mut self, port: Port, path: &str, limit: Duration) -> Result<Duration> {
        let host = self.endpoint(port)?.host;
        let begun = self.begun;
        self.await_answer(limit, path, || client::answers_ok(host, path, begun.elapsed()))
    }

    /// Asks until `question`, named `what`, is answered; the time since the start began.
    ///
    /// # Errors
    /// When it ends, or does not answer within `limit`.
    pub fn await_answer(
        &mut self,
        limit: Duration,
        what: &str,
        question: impl Fn() -> bool,
    ) -> Result<Duration> {
        loop {
            let answered = question();
            let elapsed = self.begun.elapsed();
            if answered {
                return Ok(elapsed);
            }
            self.check()?;
            if elapsed > limit {
                let log = child::log_tail(&self.log);
                bail!("{self} did not answer {what} within {} s\n{log}", limit.as_secs());
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.log.file_stem().unwrap_or_default().to_string_lossy())
    }
}
