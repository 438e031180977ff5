//! What goes wrong, when and for how long: all of it drawn from the seed.
//!
//! Judges nothing. Everything that begins also ends, at the latest with [`Faults::heal`].

use std::fmt;
use std::time::Duration;

use kernel_app::simulator::disk::DiskConditions;
use kernel_app::simulator::random::Random;
use kernel_app::simulator::{Conditions, DRIFT_PPM_MAX, NodeId};
use kernel_app::{Disk, Instant};

use super::chronicle::Event;
use super::cluster::Cluster;
use super::scenario::Books;

/// Most faults at a time.
pub const FAULTS_MAX: usize = 4;
/// Longest time between the ends of two draws.
const INTERVAL_MAX: Duration = Duration::from_millis(1_500);
/// A fault begins up to so many steps of the simulation later than drawn: at any step of what goes on.
const STEPS_MAX: u64 = 200;
/// How often a fault waits for a write to be under way, of a million.
const WHILE_WRITING_PER_MILLION: u32 = 400_000;
/// How many steps it waits at most.
const STEPS_FOR_A_WRITE: u64 = 1_000;
/// How long a fault lasts.
const LASTS: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(5)];
/// Most that a wall clock is wrong.
const WALL_OFFSET_MS_MAX: u64 = 24 * 3_600 * 1_000;

/// One fault.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A node is down, and starts again at the end.
    Crash(NodeId),
    /// All nodes of the application are down.
    Blackout,
    /// Two nodes do not hear each other.
    Cut(NodeId, NodeId),
    /// The second node does not hear the first.
    CutOneWay(NodeId, NodeId),
    /// Nobody hears this node, and it hears nobody.
    Isolation(NodeId),
    /// Frames are lost, doubled, late and reordered.
    Network(Conditions),
    /// The store's disk is slow, failing or full.
    Disk(DiskConditions),
    /// A node's monotonic clock is fast or slow, in millionths, and its wall clock is wrong.
    Clock(NodeId, i32, i64),
}

/// Whether two faults are of the same thing, so that the end of one would end the other.
fn collide(one: &Fault, other: &Fault) -> bool {
    use Fault::{Blackout, Clock, Crash, Cut, CutOneWay, Disk, Isolation, Network};
    match (one, other) {
        (Crash(a), Crash(b)) => a == b,
        (Crash(_) | Blackout, Crash(_) | Blackout) | (Network(_), Network(_)) | (Disk(_), Disk(_)) => true,
        (Clock(a, ..), Clock(b, ..)) => a == b,
        (Cut(..) | CutOneWay(..) | Isolation(_), Cut(..) | CutOneWay(..) | Isolation(_)) => true,
        _ => false,
    }
}

impl Fault {
    /// For counting.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Crash(_) => "crashes",
            Self::Blackout => "blackouts",
            Self::Cut(..) => "partitions",
            Self::CutOneWay(..) => "one-way partitions",
            Self::Isolation(_) => "isolated nodes",
            Self::Network(_) => "rough networks",
            Self::Disk(_) => "bad disks",
            Self::Clock(..) => "wrong clocks",
        }
    }

    fn begin(&self, cluster: &mut Cluster) {
        let simulation = &mut cluster.simulation;
        match *self {
            Self::Crash(node) => simulation.crash(node),
            Self::Blackout => cluster.nodes().into_iter().for_each(|node| cluster.simulation.crash(node)),
            Self::Cut(one, other) => simulation.connect(one, other, false),
            Self::CutOneWay(from, to) => simulation.connect_one_way(from, to, false),
            Self::Isolation(node) => isolate(node, cluster, false),
            Self::Network(conditions) => simulation.set_conditions(conditions),
            Self::Disk(conditions) => cluster.disk.set_conditions(conditions),
            Self::Clock(node, drift_ppm, offset_ms) => {
                simulation.set_clock_drift(node, drift_ppm);
                simulation.set_wall_clock_offset(node, offset_ms);
            }
        }
    }

    fn end(&self, usual: Conditions, cluster: &mut Cluster) -> Result<(), String> {
        let simulation = &mut cluster.simulation;
        match *self {
            Self::Crash(node) => return restart(node, cluster),
            Self::Blackout => {
                return cluster.nodes().into_iter().try_for_each(|node| restart(node, cluster));
            }
            Self::Cut(one, other) => simulation.connect(one, other, true),
            Self::CutOneWay(from, to) => simulation.connect_one_way(from, to, true),
            Self::Isolation(node) => isolate(node, cluster, true),
            Self::Network(_) => simulation.set_conditions(usual),
            Self::Disk(_) => cluster.disk.set_conditions(DiskConditions::default()),
            Self::Clock(node, ..) => {
                simulation.set_clock_drift(node, 0);
                simulation.set_wall_clock_offset(node, 0);
            }
        }
        Ok(())
    }

    /// In words, with the nodes' names.
    fn describe(&self, cluster: &Cluster) -> String {
        let name = |node: NodeId| cluster.simulation.name(node);
        match self {
            Self::Crash(node) => format!("{} crashes", name(*node)),
            Self::Blackout => "all nodes crash".into(),
            Self::Cut(one, other) => format!("{} and {} are cut off", name(*one), name(*other)),
            Self::CutOneWay(from, to) => format!("{} does not hear {}", name(*to), name(*from)),
            Self::Isolation(node) => format!("{} is cut off from all", name(*node)),
            Self::Network(conditions) => format!("{conditions:?}"),
            Self::Disk(conditions) => format!("{conditions:?}"),
            Self::Clock(node, drift_ppm, offset_ms) => {
                format!("clock of {} drifts {drift_ppm} ppm, wrong by {offset_ms} ms", name(*node))
            }
        }
    }
}

fn isolate(node: NodeId, cluster: &mut Cluster, connected: bool) {
    for (one, other) in cluster.links() {
        if one == node || other == node {
            cluster.simulation.connect(one, other, connected);
        }
    }
}

fn restart(node: NodeId, cluster: &mut Cluster) -> Result<(), String> {
    let result = cluster.simulation.restart(node);
    result.map_err(|error| format!("{} does not start: {error}", cluster.simulation.name(node)))
}

/// The next fault.
#[derive(Debug)]
struct Armed {
    fault: Fault,
    /// The step of the simulation at which it begins,
    step: u64,
    /// or up to [`STEPS_FOR_A_WRITE`] steps later, when the store is writing to its disk.
    while_writing: bool,
}

impl Armed {
    fn is_due(&self, cluster: &Cluster) -> bool {
        let late = cluster.simulation.steps().checked_sub(self.step);
        let waits = |late| self.while_writing && !cluster.disk.is_busy() && late < STEPS_FOR_A_WRITE;
        late.is_some_and(|late| !waits(late))
    }
}

/// The faults of a run.
pub struct Faults {
    random: Random,
    /// The network between faults.
    usual: Conditions,
    active: Vec<(Fault, Instant)>,
    armed: Option<Armed>,
    draw_at: Instant,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("active", &self.active).finish_non_exhaustive()
    }
}

impl Faults {
    /// None yet, on a network that is as good as the seed says.
    pub fn new(mut random: Random, cluster: &mut Cluster) -> Self {
        let usual = Conditions {
            latency: random.between(Duration::from_micros(50), Duration::from_millis(2)),
            jitter: random.up_to(Duration::from_millis(1)),
            lost_per_million: random.below(5_000) as u32,
            duplicated_per_million: random.below(5_000) as u32,
        };
        cluster.simulation.set_conditions(usual);
        Self { random, usual, active: Vec::new(), armed: None, draw_at: Instant::ZERO }
    }

    /// When something begins or ends next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let draw = self.armed.is_none().then_some(self.draw_at);
        self.active.iter().map(|(_, until)| *until).chain(draw).min()
    }

    /// Begins and ends what is due.
    ///
    /// # Errors
    /// When a node cannot be started again.
    pub fn act(&mut self, cluster: &mut Cluster, books: &mut Books) -> Result<(), String> {
        let now = cluster.simulation.now();
        if let Some(Armed { fault, .. }) = self.armed.take_if(|armed| armed.is_due(cluster)) {
            let until = now + self.random.between(LASTS[0], LASTS[1]);
            books.chronicle.add(now, Event::Begins(fault.describe(cluster)));
            books.counts.fault(fault.kind());
            fault.begin(cluster);
            self.active.push((fault, until));
            self.draw_at = now + self.random.up_to(INTERVAL_MAX);
        }
        while let Some(index) = self.active.iter().position(|(_, until)| *until <= now) {
            let (fault, _) = self.active.swap_remove(index);
            self.end(fault, cluster, books)?;
        }
        if self.armed.is_none() && self.draw_at <= now {
            self.draw(cluster);
        }
        Ok(())
    }

    /// Ends all faults, and gives the users a good network.
    ///
    /// # Errors
    /// When a node cannot be started again.
    pub fn heal(&mut self, cluster: &mut Cluster, books: &mut Books) -> Result<(), String> {
        self.armed = None;
        self.usual = Conditions::default();
        for (fault, _) in core::mem::take(&mut self.active) {
            self.end(fault, cluster, books)?;
        }
        cluster.simulation.set_conditions(self.usual);
        Ok(())
    }

    fn end(&self, fault: Fault, cluster: &mut Cluster, books: &mut Books) -> Result<(), String> {
        let now = cluster.simulation.now();
        books.chronicle.add(now, Event::Ends(fault.describe(cluster)));
        fault.end(self.usual, cluster)
    }

    fn draw(&mut self, cluster: &Cluster) {
        let fault = self.any(cluster);
        let is_free = !self.active.iter().any(|(active, _)| collide(active, &fault));
        if is_free && self.active.len() < FAULTS_MAX {
            let step = cluster.simulation.steps() + self.random.below(STEPS_MAX);
            let while_writing = self.random.happens(WHILE_WRITING_PER_MILLION);
            self.armed = Some(Armed { fault, step, while_writing });
        } else {
            self.draw_at = cluster.simulation.now() + self.random.up_to(INTERVAL_MAX);
        }
    }

    fn any(&mut self, cluster: &Cluster) -> Fault {
        let random = &mut self.random;
        match random.below(100) {
            0..20 => Fault::Crash(random.pick(&cluster.workers)),
            20..35 => Fault::Crash(random.pick(&cluster.votes)),
            35..50 => Fault::Crash(cluster.store),
            50..53 => Fault::Blackout,
            53..57 => Fault::Crash(cluster.result),
            57..65 => {
                let (one, other) = random.pick(&cluster.links());
                Fault::Cut(one, other)
            }
            65..73 => {
                let (one, other) = random.pick(&cluster.links());
                if random.happens(500_000) {
                    Fault::CutOneWay(one, other)
                } else {
                    Fault::CutOneWay(other, one)
                }
            }
            73..76 => Fault::Isolation(random.pick(&cluster.nodes())),
            76..87 => Fault::Network(rough(random)),
            87..94 => Fault::Disk(bad(random)),
            _ => clock(random, cluster),
        }
    }
}

fn rough(random: &mut Random) -> Conditions {
    let slowest = random.pick(&[5, 50, 500]);
    Conditions {
        latency: random.up_to(Duration::from_millis(slowest)),
        jitter: random.up_to(Duration::from_millis(slowest)),
        lost_per_million: random.below(200_000) as u32,
        duplicated_per_million: random.below(200_000) as u32,
    }
}

fn bad(random: &mut Random) -> DiskConditions {
    let usual = DiskConditions::default();
    match random.below(4) {
        0 => DiskConditions { failed_per_million: 100_000 + random.below(900_000) as u32, ..usual },
        1 => DiskConditions { is_full: true, ..usual },
        _ => DiskConditions {
            latency: random.up_to(Duration::from_secs(1)),
            jitter: random.up_to(Duration::from_secs(2)),
            ..usual
        },
    }
}

fn clock(random: &mut Random, cluster: &Cluster) -> Fault {
    let node = random.pick(&cluster.nodes());
    let drift_ppm = random.below(2 * u64::from(DRIFT_PPM_MAX.unsigned_abs())) as i32 - DRIFT_PPM_MAX;
    let offset_ms = random.below(2 * WALL_OFFSET_MS_MAX) as i64 - WALL_OFFSET_MS_MAX as i64;
    Fault::Clock(node, drift_ppm, offset_ms)
}
