//! The whole application on one substrate: its four programs wired to each other, ready.
//!
//! How one program is started is the substrate's business.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use image_build::vm::backlog;

use super::instance::{Instance, Order, Program};

/// How long one program may take until it says that it is ready.
pub const READY_LIMIT: Duration = Duration::from_secs(60);
/// What the store's data may take, the same everywhere: some 1.5 million votes.
pub const STORE_MEMORY: &str = "256mb";
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
    pub fn check(&mut self) -> Result<()> {
        self.votes.iter_mut().chain(&mut self.result).chain(&mut self.others).try_for_each(Instance::check)
    }
}

/// Store, worker, `votes` vote pages and result, each an instance of its own.
fn four<S: Substrate + ?Sized>(substrate: &S, votes: u32, directory: &Path) -> Result<Application> {
    let start = |order: Order| ready(substrate.start(&order)?, order.program);
    let memory = [("MAXMEMORY", STORE_MEMORY), ("LOG", "warn")];
    let order = Order::new(Program::Store, "store", &memory, directory);
    let store = start(Order { memory_mib: Some(STORE_MEMORY_MIB), ..order })?;
    let url = store.redis_url()?;
    // A line for each vote would measure the log.
    let client = |program, name: &str| {
        let settings = [("REDIS_URL", url.as_str()), ("LOG", "warn"), ("INSTANCE", name)];
        start(Order::new(program, name, &settings, directory))
    };
    let worker = client(Program::Worker, "worker")?;
    let votes = (1..=votes).map(|number| client(Program::Vote, &format!("vote-{number}")));
    let votes = votes.collect::<Result<_>>()?;
    let result = client(Program::Result, "result")?;
    Ok(Application { votes, result: Some(result), others: vec![store, worker] })
}

/// The instance, once it says that it is ready.
///
/// # Errors
/// When it ends or does not get ready in time.
pub fn ready(mut instance: Instance, program: Program) -> Result<Instance> {
    let answer = instance.first_ok(program.health_port(), "/readyz", READY_LIMIT);
    answer.with_context(|| format!("{instance} does not get ready"))?;
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

/// A substrate that is ready to start instances.
pub trait Substrate {
    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be started. That it answers is not waited for.
    fn start(&self, order: &Order) -> Result<Instance>;

    /// A vote page alone, which need not reach a store.
    ///
    /// # Errors
    /// When it cannot be started.
    fn vote(&self, order: &Order) -> Result<Instance> {
        self.start(order)
    }

    /// The whole application, ready.
    ///
    /// # Errors
    /// When a part of it cannot be started or does not get ready.
    fn application(&self, votes: u32, directory: &Path) -> Result<Application> {
        four(self, votes, directory)
    }

    /// Files that hold the vote service as it is shipped.
    fn shipped(&self) -> Vec<PathBuf>;

    /// Files that a start of the vote service reads, dropped from the page cache for cold starts; none
    /// where they are not known.
    fn started_from(&self) -> Vec<PathBuf> {
        self.shipped()
    }

    /// Memory in MiB that a vote service may be limited to, least first; none where nothing limits it.
    fn memory_range(&self) -> Option<(u32, u32)> {
        None
    }

    /// Whether [`Order::counted`] works.
    fn counts_instructions(&self) -> bool {
        false
    }

    /// How many vote instances an application may have.
    fn votes_max(&self) -> u32 {
        u32::MAX
    }

    /// What a reader must know of all its figures, such as versions of what is not built here.
    fn note(&self) -> Option<String> {
        None
    }

    /// Whether it has a worker and a result page.
    fn is_whole(&self) -> bool {
        true
    }
}
