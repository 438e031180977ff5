//! The whole application on one substrate: its four programs wired to each other, ready.
//!
//! How one program is started is the substrate's business.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use image_build::vm::backlog;

use crate::client;
use crate::substrate::{Instance, Order, Port, Program, Substrate};

/// How long one program may take until it says that it is ready.
pub const READY_LIMIT: Duration = Duration::from_secs(60);
/// What the store's data may take, the same everywhere: some 1.5 million votes.
const STORE_MEMORY: &str = "256mb";
/// Memory of the store's machine or container in MiB, for that.
const STORE_MEMORY_MIB: u32 = 384;

/// A running application. It ends when this value goes.
pub struct Application {
    /// The vote pages.
    pub votes: Vec<Instance>,
    /// The result page, where there is one of its own.
    pub result: Option<Instance>,
    /// What else belongs to it.
    pub others: Vec<Instance>,
}

impl Application {
    /// All processes of the host that belong to it.
    pub fn processes(&self) -> Vec<i32> {
        self.instances().flat_map(|instance| instance.processes.iter().copied()).collect()
    }

    /// The instance with the result page.
    pub fn result(&self) -> &Instance {
        self.result.as_ref().unwrap_or(&self.votes[0])
    }

    fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.votes.iter().chain(&self.result).chain(&self.others)
    }

    /// Fails when a part of it has ended, with that part's log.
    ///
    /// # Errors
    /// How it ended.
    pub fn check(&mut self) -> Result<()> {
        self.votes.iter_mut().chain(&mut self.result).chain(&mut self.others).try_for_each(Instance::check)
    }
}

/// Store, worker, `votes` vote pages and result, each an instance of its own.
pub(crate) fn four<S: Substrate + ?Sized>(
    substrate: &S,
    votes: u32,
    directory: &Path,
) -> Result<Application> {
    let start = |program, name: &str, settings: &[(&str, &str)], memory_mib| {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let order = Order { program, name: name.to_owned(), settings, memory_mib, directory, counted: None };
        ready(substrate.start(&order)?, program)
    };
    let memory = [("MAXMEMORY", STORE_MEMORY), ("LOG", "warn")];
    let store = start(Program::Store, "store", &memory, Some(STORE_MEMORY_MIB))?;
    let url = format!("redis://{}", store.endpoint(Port::Store)?.peer);
    // A line for each vote would measure the log.
    let client = |program, name: &str| {
        start(program, name, &[("REDIS_URL", url.as_str()), ("LOG", "warn"), ("INSTANCE", name)], None)
    };
    let worker = client(Program::Worker, "worker")?;
    let votes: Result<Vec<Instance>> =
        (1..=votes).map(|number| client(Program::Vote, &format!("vote-{number}"))).collect();
    let result = client(Program::Result, "result")?;
    Ok(Application { votes: votes?, result: Some(result), others: vec![store, worker] })
}

/// The instance, once it says that it is ready.
///
/// # Errors
/// When it ends or does not get ready in time.
pub fn ready(mut instance: Instance, program: Program) -> Result<Instance> {
    let host = instance.endpoint(program.health_port())?.host;
    client::first_ok(&mut instance, host, "/readyz", READY_LIMIT)
        .with_context(|| format!("{instance} does not get ready"))?;
    deepen_backlogs(&instance);
    Ok(instance)
}

/// Gives all ports that an instance listens on the same deep queue, as `cargo up` does for QEMU's.
pub fn deepen_backlogs(instance: &Instance) {
    for pid in &instance.processes {
        // Where the system forbids it, bursts wait; the load's figures show it.
        let _ = backlog::deepen(*pid);
    }
}
