//! The application's nodes and those of its users, on one simulated wire.
//!
//! Does nothing by itself: `scenario` lets time pass.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::rc::Rc;

use kernel_app::program::Program;
use kernel_app::settings::Settings;
use kernel_app::simulator::client::Client;
use kernel_app::simulator::disk::SimulatedDisk;
use kernel_app::simulator::random::Random;
use kernel_app::simulator::{NodeId, Simulation};
use kernel_app::{Service, disk};

use super::auditor::{Auditor, Findings};
use super::bugs::Bug;
use super::neighbour::Neighbour;

/// How many nodes take votes.
pub const VOTE_INSTANCES: usize = 3;
/// How many nodes count them.
pub const WORKERS: usize = 2;
/// Size of the store's disk.
pub const DISK_BYTES: u64 = 16 * 1024 * 1024;

const STORE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const RESULT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const WATCHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);
const AUDITOR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 6);
const STORE_PORT: u16 = 6379;
const VOTE_PORT: u16 = 8080;
const RESULT_PORT: u16 = 8081;
/// How often another worker takes the place of one that has crashed, of a million.
const REPLACED_PER_MILLION: u32 = 250_000;
/// Connections that all voters of one instance share.
const BROWSER_CONNECTIONS: usize = 6;
/// One for the events and one for the scores.
const WATCHER_CONNECTIONS: usize = 2;

/// What a node of the application does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Keeps queue and results.
    Store,
    /// Counts votes.
    Worker,
    /// Takes votes.
    Vote,
    /// Shows the scores.
    Result,
}

/// See the module.
pub struct Cluster {
    /// Everything that happens.
    pub simulation: Simulation,
    /// The store.
    pub store: NodeId,
    /// The store's disk.
    pub disk: SimulatedDisk,
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
    /// All nodes, started; perhaps with somebody else who uses the store.
    pub fn new(seed: u64, has_neighbour: bool, random: Random, bug: Option<Bug>) -> Self {
        let mut simulation = Simulation::new(seed);
        let lists = Lists::default();
        let mut boots = Boots { bug, random, lists: lists.clone() };
        let disk = simulation.new_disk(DISK_BYTES / disk::SECTOR_BYTES as u64);
        let boot = boots.of(Role::Store, "store");
        let store = simulation.add_node_with_disk("store", STORE, &disk, boot).expect("starts");
        let mut add = |role, name: &str, address| {
            simulation.add_node(name, address, boots.of(role, name)).expect("starts")
        };
        let result = add(Role::Result, "result", RESULT);
        let workers =
            (0..WORKERS).map(|n| add(Role::Worker, &format!("worker-{n}"), address(20, n))).collect();
        let votes =
            (0..VOTE_INSTANCES).map(|n| add(Role::Vote, &format!("vote-{n}"), address(30, n))).collect();
        let mut browser = |n| {
            let server = (address(30, n), VOTE_PORT);
            let name = format!("browsers-{n}");
            simulation.add_client(&name, address(100, n), server, BROWSER_CONNECTIONS).expect("starts")
        };
        let browsers = (0..VOTE_INSTANCES).map(&mut browser).collect();
        let watcher = (RESULT, RESULT_PORT);
        let watcher =
            simulation.add_client("watcher", WATCHER, watcher, WATCHER_CONNECTIONS).expect("starts");
        let findings = Rc::<RefCell<Findings>>::default();
        add_auditor(&mut simulation, lists, &findings);
        if has_neighbour {
            let boot = || vec![Box::new(Neighbour::new(&STORE.to_string(), STORE_PORT)) as Box<dyn Service>];
            simulation.add_node("neighbour", NEIGHBOUR, boot).expect("starts");
        }
        Self { simulation, store, disk, workers, votes, result, browsers, watcher, findings }
    }

    /// The nodes of the application, without those of its users.
    pub fn nodes(&self) -> Vec<NodeId> {
        [self.store, self.result].into_iter().chain(self.workers.clone()).chain(self.votes.clone()).collect()
    }

    /// Pairs of nodes that talk to each other.
    pub fn links(&self) -> Vec<(NodeId, NodeId)> {
        let of_store = self.nodes().into_iter().skip(1).map(|node| (node, self.store));
        let of_votes = self.browsers.iter().map(|browser| browser.node).zip(self.votes.clone());
        of_store.chain(of_votes).chain([(self.watcher.node, self.result)]).collect()
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
    random: Random,
    lists: Lists,
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
        let (bug, lists, mut random) = (self.bug, self.lists.clone(), self.random.fork());
        let (mut life, name) = (0, name.to_owned());
        move || {
            life += 1;
            if role == Role::Worker {
                if life > 1 && random.happens(REPLACED_PER_MILLION) {
                    settings = settings.with("INSTANCE", &format!("{name}-{life}"));
                }
                let name = settings.get("INSTANCE").unwrap_or_default();
                lists.borrow_mut().insert(format!("votes:processing:{name}"));
            }
            let services = program(&settings).expect("usable settings");
            match bug {
                Some(bug) => bug.afflict(role, life, services),
                None => services,
            }
        }
    }
}

fn add_auditor(simulation: &mut Simulation, lists: Lists, findings: &Rc<RefCell<Findings>>) {
    let findings = findings.clone();
    let boot = move || {
        let auditor = Auditor::new(&STORE.to_string(), STORE_PORT, lists.clone(), findings.clone());
        vec![Box::new(auditor) as Box<dyn Service>]
    };
    simulation.add_node("auditor", AUDITOR, boot).expect("starts");
}
