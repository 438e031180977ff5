//! One fault: what it does when it begins, and when it ends.
//!
//! Draws nothing: `draw` does.

use std::time::Duration;

use kernel_app::Instant;
use kernel_app::simulator::disk::{Damage, DiskConditions};
use kernel_app::simulator::{Conditions, NodeId};

use super::copies::Copies;
use super::loss;
use crate::simulation::cluster::Cluster;
use crate::simulation::database::DatabaseConditions;
use crate::simulation::scenario::Books;

/// Sectors that the last so many writes have made durable do not rot: what is behind them is no proof yet that they
/// were durable.
const SPARED_WRITES: u64 = 2;

/// One fault.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A node loses its power, and starts again at the end.
    Crash(NodeId),
    /// A node's process ends, and starts again at the end.
    Kill(NodeId),
    /// All nodes of the application lose their power.
    Blackout,
    /// Nothing happens in a node; its monotonic clock may stand meanwhile.
    Pause(NodeId, bool),
    /// A node is taken out of service, or back into it. Ends at once.
    Scale(NodeId),
    /// A node's monotonic clock jumps ahead. Ends at once.
    Leap(NodeId, Duration),
    /// A node's monotonic clock is fast or slow, in millionths, and its wall clock is wrong.
    Clock(NodeId, i32, i64),
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
    /// A sector of the store's disk is damaged while its process is down; what is done should the store refuse it.
    Damaged(Damage, Remedy),
    /// The store, the database, or both start again with these older copies of what they had.
    GoBack(Option<usize>, Option<usize>),
    /// The store's memory is full.
    FullMemory,
    /// The database is slow, refuses transactions and drops connections.
    Database(DatabaseConditions),
}

/// What an operator does whose store does not start on a damaged disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Restores a good copy.
    GoodCopy,
    /// Starts it with `RECOVER=accept-loss` if it says that this would do.
    AcceptLoss,
}

/// What a fault works on.
pub struct Site<'a> {
    pub cluster: &'a mut Cluster,
    pub books: &'a mut Books,
    pub copies: &'a Copies,
    /// The network between faults.
    pub usual: Conditions,
}

/// A fault cannot end yet, because of another one.
pub struct NotYet;

impl Fault {
    /// Whether two faults are of the same thing, so that the end of one would end the other.
    pub fn collides(&self, other: &Self) -> bool {
        use Fault::{Clock, Cut, CutOneWay, Database, Disk, FullMemory, Isolation, Network};
        match (self, other) {
            (Network(_), Network(_)) | (Disk(_), Disk(_)) => true,
            (FullMemory, FullMemory) | (Database(_), Database(_)) => true,
            (Clock(a, ..), Clock(b, ..)) => a == b,
            (Cut(..) | CutOneWay(..) | Isolation(_), Cut(..) | CutOneWay(..) | Isolation(_)) => true,
            _ => match (self.stops(), other.stops()) {
                (Stops::Nothing, _) | (_, Stops::Nothing) => false,
                (Stops::Node(a), Stops::Node(b)) => a == b,
                _ => true,
            },
        }
    }

    /// Which nodes do nothing while it lasts.
    fn stops(&self) -> Stops {
        match self {
            Self::Crash(node) | Self::Kill(node) | Self::Pause(node, _) => Stops::Node(*node),
            Self::Scale(node) | Self::Leap(node, _) => Stops::Node(*node),
            Self::Blackout | Self::Damaged(..) | Self::GoBack(..) => Stops::Several,
            _ => Stops::Nothing,
        }
    }

    /// Whether this node does nothing while it lasts.
    pub fn stops_node(&self, node: NodeId) -> bool {
        match self.stops() {
            Stops::Nothing => false,
            Stops::Node(stopped) => stopped == node,
            Stops::Several => true,
        }
    }

    /// Whether it stops the store or its disk.
    pub fn is_of_store(&self, cluster: &Cluster) -> bool {
        match self {
            Self::Crash(node) | Self::Kill(node) => *node == cluster.store,
            Self::Disk(conditions) => conditions.failed_per_million > 0,
            Self::Blackout => true,
            _ => false,
        }
    }

    /// Whether it is over as soon as it has begun.
    pub const fn is_instant(&self) -> bool {
        matches!(self, Self::Scale(_) | Self::Leap(..))
    }

    /// For counting.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Crash(_) => "power cuts",
            Self::Kill(_) => "killed processes",
            Self::Blackout => "blackouts",
            Self::Pause(_, false) => "pauses",
            Self::Pause(_, true) => "pauses with the clock",
            Self::Scale(_) => "instances gone or come",
            Self::Leap(..) => "clock jumps",
            Self::Clock(..) => "wrong clocks",
            Self::Cut(..) => "partitions",
            Self::CutOneWay(..) => "one-way partitions",
            Self::Isolation(_) => "isolated nodes",
            Self::Network(_) => "rough networks",
            Self::Disk(_) => "bad disks",
            Self::Damaged(Damage::Rot, _) => "rotten sectors",
            Self::Damaged(Damage::Unreadable, _) => "unreadable sectors",
            Self::GoBack(Some(_), Some(_)) => "older copies of both",
            Self::GoBack(_, Some(_)) => "older copies of the database",
            Self::GoBack(..) => "older copies of the store",
            Self::FullMemory => "full memories",
            Self::Database(_) => "bad databases",
        }
    }

    /// Begins.
    pub fn begin(&self, site: &mut Site<'_>) {
        let Site { cluster, books, copies, .. } = site;
        let simulation = &mut cluster.simulation;
        match *self {
            Self::Crash(node) => stop(node, true, cluster, books),
            Self::Kill(node) => stop(node, false, cluster, books),
            Self::Blackout => {
                cluster.nodes().into_iter().for_each(|node| stop(node, true, cluster, books));
            }
            Self::Pause(node, _) => simulation.pause(node),
            Self::Scale(node) => scale(node, cluster),
            Self::Leap(node, by) => simulation.leap(node, by),
            Self::Clock(node, drift_ppm, offset_ms) => {
                simulation.set_clock_drift(node, drift_ppm);
                simulation.set_wall_clock_offset(node, offset_ms);
            }
            Self::Cut(one, other) => simulation.connect(one, other, false),
            Self::CutOneWay(from, to) => simulation.connect_one_way(from, to, false),
            Self::Isolation(node) => isolate(node, cluster, false),
            Self::Network(conditions) => simulation.set_conditions(conditions),
            Self::Disk(conditions) => cluster.disk.set_conditions(conditions),
            Self::Damaged(damage, _) => {
                stop(cluster.store, false, cluster, books);
                cluster.disk.damage(damage, SPARED_WRITES);
            }
            Self::GoBack(store, database) => {
                if let Some(index) = store {
                    stop(cluster.store, true, cluster, books);
                    books.store_goes_back(copies.at(index), cluster.plan, cluster.simulation.now());
                }
                if let (Some(index), Some(node)) = (database, cluster.database) {
                    stop(node, true, cluster, books);
                    books.database_goes_back(copies.drained_at(index));
                }
            }
            Self::FullMemory => cluster.appetite.set(true),
            Self::Database(conditions) => cluster.shared.borrow_mut().conditions = conditions,
        }
    }

    /// Ends, if it can by now.
    ///
    /// # Errors
    /// When a node does not start that must.
    pub fn end(&self, site: &mut Site<'_>) -> Result<Result<(), NotYet>, String> {
        let Site { cluster, books, copies, usual } = site;
        let simulation = &mut cluster.simulation;
        match *self {
            Self::Crash(node) | Self::Kill(node) => return start(node, cluster, books),
            Self::Blackout => {
                for node in cluster.nodes() {
                    if !cluster.simulation.is_up(node) && start(node, cluster, books)?.is_err() {
                        return Ok(Err(NotYet));
                    }
                }
            }
            Self::Pause(node, clock_stood) => simulation.resume(node, clock_stood),
            Self::Scale(_) | Self::Leap(..) => {}
            Self::Clock(node, ..) => {
                simulation.set_clock_drift(node, 0);
                simulation.set_wall_clock_offset(node, 0);
            }
            Self::Cut(one, other) => simulation.connect(one, other, true),
            Self::CutOneWay(from, to) => simulation.connect_one_way(from, to, true),
            Self::Isolation(node) => isolate(node, cluster, true),
            Self::Network(_) => simulation.set_conditions(*usual),
            Self::Disk(_) => cluster.disk.set_conditions(DiskConditions::default()),
            Self::Damaged(_, remedy) => return start_damaged(remedy, cluster, books),
            Self::GoBack(store, database) => {
                if let (Some(index), Some(node)) = (database, cluster.database)
                    && !cluster.simulation.is_up(node)
                {
                    cluster.shared.borrow_mut().tables = copies.tables(index).clone();
                    books.results_go_back(cluster.simulation.now());
                    cluster.start(node)?;
                }
                if let Some(index) = store {
                    cluster.disk.put_back(copies.disk(index));
                    return start(cluster.store, cluster, books);
                }
            }
            Self::FullMemory => cluster.appetite.set(false),
            Self::Database(_) => cluster.shared.borrow_mut().conditions = DatabaseConditions::default(),
        }
        Ok(Ok(()))
    }

    /// In words, with the nodes' names.
    pub fn describe(&self, cluster: &Cluster) -> String {
        let name = |node: &NodeId| cluster.simulation.name(*node);
        match self {
            Self::Crash(node) => format!("{} loses its power", name(node)),
            Self::Kill(node) => format!("{} is killed", name(node)),
            Self::Blackout => "all nodes lose their power".into(),
            Self::Pause(node, clock_stands) => {
                format!("{} is paused, clock too: {clock_stands}", name(node))
            }
            Self::Scale(node) => format!("{} is taken out of service, or back", name(node)),
            Self::Leap(node, by) => format!("the clock of {} jumps by {by:?}", name(node)),
            Self::Clock(node, drift_ppm, offset_ms) => {
                format!("clock of {} drifts {drift_ppm} ppm, wrong by {offset_ms} ms", name(node))
            }
            Self::Cut(one, other) => format!("{} and {} are cut off", name(one), name(other)),
            Self::CutOneWay(from, to) => format!("{} does not hear {}", name(to), name(from)),
            Self::Isolation(node) => format!("{} is cut off from all", name(node)),
            Self::Network(conditions) => format!("{conditions:?}"),
            Self::Disk(conditions) => format!("{conditions:?}"),
            Self::Damaged(damage, remedy) => {
                format!("store is killed and a sector of its disk damaged: {damage:?}, {remedy:?}")
            }
            Self::GoBack(store, database) => {
                format!("older copies: number {store:?} of the store, {database:?} of the database")
            }
            Self::FullMemory => "the store's memory is full".into(),
            Self::Database(conditions) => format!("{conditions:?}"),
        }
    }
}

enum Stops {
    Nothing,
    Node(NodeId),
    Several,
}

fn stop(node: NodeId, cut_power: bool, cluster: &mut Cluster, books: &mut Books) {
    if node == cluster.store && !cluster.plan.has_disk {
        books.store_goes_back(Instant::ZERO, cluster.plan, cluster.simulation.now());
    }
    if cut_power {
        cluster.simulation.crash(node);
    } else {
        cluster.simulation.kill(node);
    }
}

/// Starts a node; not yet when the disk is in the way, as a supervisor finds. A store that found damage before and was
/// stopped before it had saved what was left may find it again.
fn start(node: NodeId, cluster: &mut Cluster, books: &mut Books) -> Result<Result<(), NotYet>, String> {
    match cluster.start(node) {
        Err(error) if fails_to_read(cluster) && is_about_reading(&error) => Ok(Err(NotYet)),
        // A sector that nobody had read since it was damaged, of the superblocks perhaps: no log tells what it held.
        Err(error) if is_about_reading(&error) && !cluster.disk.damaged_sectors().is_empty() => {
            cluster.disk.undo_damage();
            start(node, cluster, books)
        }
        Err(error) if error.contains("Input/output error") || error.contains("No space left") => {
            Ok(Err(NotYet))
        }
        Err(error) if is_about_loss(&error) && !cluster.accepts_loss.get() => {
            accept_loss(&error, cluster, books)
        }
        result => result.map(Ok),
    }
}

/// Whether the device fails to read now and then: that is seen to before anybody believes what a store says of it.
fn fails_to_read(cluster: &Cluster) -> bool {
    cluster.disk.conditions().reads_failed_per_million > 0
}

fn is_about_reading(error: &str) -> bool {
    error.contains("Input/output error") || error.contains("both superblocks of the disk")
}

fn is_about_loss(error: &str) -> bool {
    error.contains("RECOVER=accept-loss")
}

/// Starts the store on a disk that is damaged. It may refuse; if it starts, nothing that matters was damaged, which
/// the votes will show.
fn start_damaged(
    remedy: Remedy,
    cluster: &mut Cluster,
    books: &mut Books,
) -> Result<Result<(), NotYet>, String> {
    let Err(error) = cluster.start(cluster.store) else { return Ok(Ok(())) };
    books.counts.fault("starts refused on a damaged disk");
    if fails_to_read(cluster) && is_about_reading(&error) {
        return Ok(Err(NotYet));
    }
    if remedy == Remedy::AcceptLoss && is_about_loss(&error) {
        return accept_loss(&error, cluster, books);
    }
    cluster.disk.undo_damage();
    start(cluster.store, cluster, books)
}

/// Starts the store once with `RECOVER=accept-loss`: what was written before the damage must be there, and what is
/// accepted from now on.
fn accept_loss(error: &str, cluster: &mut Cluster, books: &mut Books) -> Result<Result<(), NotYet>, String> {
    let since =
        loss::begins_at(&cluster.disk, books).map_err(|judged| format!("{judged}; it says: {error}"))?;
    cluster.accepts_loss.set(true);
    let started = start(cluster.store, cluster, books);
    cluster.accepts_loss.set(false);
    if let Ok(Ok(())) = started {
        books.counts.fault("losses accepted");
        books.store_goes_back(since, cluster.plan, cluster.simulation.now());
    }
    started
}

/// Takes a node out of service or back into it; one of its kind stays.
fn scale(node: NodeId, cluster: &mut Cluster) {
    if let Some(at) = cluster.off.iter().position(|off| *off == node) {
        cluster.off.remove(at);
        cluster.simulation.restart(node).expect("it has no disk");
        return;
    }
    let kind = if cluster.votes.contains(&node) { &cluster.votes } else { &cluster.workers };
    if kind.iter().filter(|other| !cluster.off.contains(other)).count() > 1 {
        cluster.off.push(node);
        cluster.simulation.kill(node);
    }
}

fn isolate(node: NodeId, cluster: &mut Cluster, connected: bool) {
    for (one, other) in cluster.links() {
        if one == node || other == node {
            cluster.simulation.connect(one, other, connected);
        }
    }
}
