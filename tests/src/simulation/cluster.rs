//! The application's nodes and those of its users, on one simulated wire.
//!
//! Does nothing by itself: `scenario` lets time pass.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::rc::Rc;

use kernel_app::program::Program;
use kernel_app::settings::Settings;
use kernel_app::{Service, disk};
use simulator::client::Client;
use simulator::disk::SimulatedDisk;
use simulator::random::Random;
use simulator::{NodeId, Simulation};

use super::auditor::Auditor;
use super::bugs::Bug;
use super::database::{Database, PORT as DATABASE_PORT, Shared};
use super::findings::Findings;
use super::neighbour::{Appetite, Neighbour};
use super::plan::Plan;
use super::role::Role;

/// Most nodes that take votes.
pub const VOTE_INSTANCES: usize = 4;
/// Most nodes that count them.
pub const WORKERS: usize = 3;
/// So many of either there are at the start; more come and some go.
const AT_THE_START: [usize; 2] = [3, 2];
/// What a cramped store may hold.
const CRAMPED_MEMORY: &str = "1mb";
/// Size of the store's disk.
pub const DISK_BYTES: u64 = 16 * 1024 * 1024;

const STORE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const RESULT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const WATCHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);
const AUDITOR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 6);
const DATABASE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const STORE_PORT: u16 = 6379;
const VOTE_PORT: u16 = 8080;
const RESULT_PORT: u16 = 8081;
/// How often another worker takes the place of one that has crashed, of a million.
const REPLACED_PER_MILLION: u32 = 250_000;
/// Connections that all voters of one instance share.
const BROWSER_CONNECTIONS: usize = 6;
/// One for the events and one for the scores.
const WATCHER_CONNECTIONS: usize = 2;

/// The nodes of one run, and what they were started with.
pub struct Cluster {
    /// Everything that happens.
    pub simulation: Simulation,
    /// The store.
    pub store: NodeId,
    /// The store's disk, which it has or not.
    pub disk: SimulatedDisk,
    /// The database, if results are there.
    pub database: Option<NodeId>,
    /// What is committed in it.
    pub shared: Rc<RefCell<Shared>>,
    /// Whether the neighbour fills the store.
    pub appetite: Appetite,
    /// Whether whoever starts the store accepts the loss of what is behind damage.
    pub accepts_loss: Rc<Cell<bool>>,
    /// What the application is like.
    pub plan: Plan,
    /// The nodes that were taken out of service, and are not started with the others.
    pub off: Vec<NodeId>,
    /// The nodes that count votes.
    pub workers: Vec<NodeId>,
    /// The nodes that take votes.
    pub votes: Vec<NodeId>,
    /// The node that shows the scores.
    pub result: NodeId,
    /// The voters' browsers, one node for each vote instance.
    pub browsers: Vec<Client>,
    /// Follows the scores.
    pub watcher: Client,
    /// What the auditor has found.
    pub findings: Rc<RefCell<Findings>>,
}

impl Cluster {
    /// All nodes, started, but those that are to come later.
    pub fn new(seed: u64, plan: Plan, mut random: Random, bug: Option<Bug>) -> Self {
        let mut simulation = Simulation::new(seed);
        let findings = Rc::<RefCell<Findings>>::default();
        let shared = Rc::<RefCell<Shared>>::default();
        let disk = simulation.new_disk(DISK_BYTES / disk::SECTOR_BYTES as u64);
        disk.keep_cache(bug == Some(Bug::TrustCache));
        shared.borrow_mut().flaw = bug.and_then(Bug::flaw);
        let database = plan
            .has_database
            .then(|| add_database(&mut simulation, shared.clone(), findings.clone(), random.fork()));
        let lists = Lists::default();
        let accepts_loss = Rc::<Cell<bool>>::default();
        let mut boots = Boots { bug, plan, random, lists: lists.clone(), accepts_loss: accepts_loss.clone() };
        let boot = boots.of(Role::Store, "store");
        let store = if plan.has_disk {
            simulation.add_node_with_disk("store", STORE, &disk, boot)
        } else {
            simulation.add_node("store", STORE, boot)
        };
        let mut add = |role, name: &str, address| {
            simulation.add_node(name, address, boots.of(role, name)).expect("starts")
        };
        let result = add(Role::Result, "result", RESULT);
        let workers: Vec<_> =
            (0..WORKERS).map(|n| add(Role::Worker, &format!("worker-{n}"), address(20, n))).collect();
        let votes: Vec<_> =
            (0..VOTE_INSTANCES).map(|n| add(Role::Vote, &format!("vote-{n}"), address(30, n))).collect();
        let mut browser = |n| {
            let server = (address(30, n), VOTE_PORT);
            let name = format!("browsers-{n}");
            simulation.add_client(&name, address(100, n), server, BROWSER_CONNECTIONS).expect("starts")
        };
        let browsers = (0..VOTE_INSTANCES).map(&mut browser).collect();
        let watcher = simulation
            .add_client("watcher", WATCHER, (RESULT, RESULT_PORT), WATCHER_CONNECTIONS)
            .expect("starts");
        add_auditor(&mut simulation, lists, database.map(|_| shared.clone()), &findings);
        let appetite = Appetite::default();
        add_neighbour(&mut simulation, plan, &appetite);
        let off = [&votes[AT_THE_START[0]..], &workers[AT_THE_START[1]..]].concat();
        off.iter().for_each(|node| simulation.kill(*node));
        Self {
            simulation,
            store: store.expect("starts"),
            disk,
            database,
            shared,
            appetite,
            accepts_loss,
            plan,
            off,
            workers,
            votes,
            result,
            browsers,
            watcher,
            findings,
        }
    }

    /// The numbers of the vote instances that voters are sent to.
    pub fn instances_in_service(&self) -> Vec<usize> {
        (0..self.votes.len()).filter(|number| !self.off.contains(&self.votes[*number])).collect()
    }

    /// Starts a node, unless it was taken out of service.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn start(&mut self, node: NodeId) -> Result<(), String> {
        if self.off.contains(&node) {
            return Ok(());
        }
        let result = self.simulation.restart(node);
        result.map_err(|error| format!("{} does not start: {error}", self.simulation.name(node)))
    }

    /// The nodes of the application, without those of its users.
    pub fn nodes(&self) -> Vec<NodeId> {
        let others = self.workers.iter().chain(&self.votes).chain(&self.database);
        [self.store, self.result].iter().chain(others).copied().collect()
    }

    /// Pairs of nodes that talk to each other.
    pub fn links(&self) -> Vec<(NodeId, NodeId)> {
        let users = || self.workers.iter().chain([&self.result]).copied();
        let of_store = users().chain(self.votes.clone()).map(|node| (node, self.store));
        let of_database =
            self.database.into_iter().flat_map(|database| users().map(move |node| (node, database)));
        let of_votes = self.browsers.iter().map(|browser| browser.node).zip(self.votes.clone());
        of_store.chain(of_database).chain(of_votes).chain([(self.watcher.node, self.result)]).collect()
    }
}

/// What a voter is called in cookies and in the store.
pub fn voter_name(voter: usize) -> String {
    format!("{voter:032x}")
}

fn address(first: u8, number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, first + u8::try_from(number).expect("few nodes"))
}

/// The processing lists of all workers that there ever were.
type Lists = Rc<RefCell<BTreeSet<String>>>;

/// Makes the services of the application's nodes.
struct Boots {
    bug: Option<Bug>,
    plan: Plan,
    random: Random,
    lists: Lists,
    accepts_loss: Rc<Cell<bool>>,
}

impl Boots {
    /// Those of one node, with a deliberate bug if there is to be one. Now and then another worker takes the
    /// place of one that has crashed, which never comes back then.
    fn of(&mut self, role: Role, name: &str) -> impl FnMut() -> Vec<Box<dyn Service>> + 'static {
        let program: Program = match role {
            Role::Store => store_service::program,
            Role::Worker => worker::program,
            Role::Vote => vote_service::program,
            Role::Result => result_service::program,
        };
        let store = format!("redis://{STORE}:{STORE_PORT}");
        let mut settings = Settings::from_pairs([("REDIS_URL", store.as_str()), ("INSTANCE", name)]);
        if self.plan.has_database {
            settings =
                settings.with("RESULTS_URL", &format!("postgres://votes@{DATABASE}:{DATABASE_PORT}/votes"));
        }
        if self.plan.is_cramped {
            settings = settings.with("MAXMEMORY", CRAMPED_MEMORY);
        }
        let (bug, lists, mut random) = (self.bug, self.lists.clone(), self.random.fork());
        let accepts_loss = self.accepts_loss.clone();
        let (mut life, name) = (0, name.to_owned());
        move || {
            life += 1;
            if role == Role::Worker {
                if life > 1 && random.happens(REPLACED_PER_MILLION) {
                    settings = settings.with("INSTANCE", &format!("{name}-{life}"));
                }
                let name = settings.get("INSTANCE").unwrap_or_default();
                let list = votes::keys::processing(name.as_bytes());
                lists.borrow_mut().insert(String::from_utf8_lossy(&list).into_owned());
            }
            let recovers = role == Role::Store && accepts_loss.get();
            let recovery = if recovers { "accept-loss" } else { "" };
            let services = program(&settings.clone().with("RECOVER", recovery)).expect("usable settings");
            match bug {
                Some(bug) => bug.afflict(role, life, recovers, services),
                None => services,
            }
        }
    }
}

fn add_database(
    simulation: &mut Simulation,
    shared: Rc<RefCell<Shared>>,
    findings: Rc<RefCell<Findings>>,
    mut random: Random,
) -> NodeId {
    let boot = move || {
        let database = Database::new(shared.clone(), findings.clone(), random.fork());
        vec![Box::new(database) as Box<dyn Service>]
    };
    simulation.add_node("database", DATABASE, boot).expect("starts")
}

fn add_auditor(
    simulation: &mut Simulation,
    lists: Lists,
    database: Option<Rc<RefCell<Shared>>>,
    findings: &Rc<RefCell<Findings>>,
) {
    let findings = findings.clone();
    let boot = move || {
        let (lists, database, findings) = (lists.clone(), database.clone(), findings.clone());
        let auditor = Auditor::new(&STORE.to_string(), STORE_PORT, lists, database, findings);
        vec![Box::new(auditor) as Box<dyn Service>]
    };
    simulation.add_node("auditor", AUDITOR, boot).expect("starts");
}

fn add_neighbour(simulation: &mut Simulation, plan: Plan, appetite: &Appetite) {
    if !plan.has_neighbour && !plan.is_cramped {
        return;
    }
    let appetite = appetite.clone();
    let boot = move || {
        let neighbour = Neighbour::new(&STORE.to_string(), STORE_PORT, plan.has_neighbour, appetite.clone());
        vec![Box::new(neighbour) as Box<dyn Service>]
    };
    simulation.add_node("neighbour", NEIGHBOUR, boot).expect("starts");
}
