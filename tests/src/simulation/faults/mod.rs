//! What goes wrong, when and for how long: all of it drawn from the seed.
//!
//! Judges nothing. Everything that begins also ends, at the latest with [`Faults::heal`].

mod copies;
mod draw;
mod fault;
mod loss;
mod stutters;

use std::fmt;
use std::time::Duration;

use kernel_app::{Disk, Instant};
use simulator::Conditions;
use simulator::disk::DiskConditions;
use simulator::random::Random;

use super::chronicle::Event;
use super::cluster::Cluster;
use super::scenario::Books;
use copies::Copies;
use fault::{Fault, NotYet, Site};
use stutters::Stutters;

/// Most faults at a time.
pub const FAULTS_MAX: usize = 4;
/// Longest time between the ends of two draws.
const INTERVAL_MAX: Duration = Duration::from_millis(1_500);
/// A fault begins up to so many steps of the simulation later than drawn: at any step of what goes on.
const STEPS_MAX: u64 = 200;
/// How often a fault waits for a write to be under way, of a million.
const WHILE_WRITING_PER_MILLION: u32 = 400_000;
/// How often it waits for a write of the first sectors, which say where the log is.
const WHILE_FLIPPING_PER_MILLION: u32 = 250_000;
/// How often, otherwise, for the rest of something that takes several writes.
const WHILE_GOING_ON_PER_MILLION: u32 = 400_000;
/// The first sectors.
const FLIP_SECTORS: u64 = 2;
/// How many steps it waits at most.
const STEPS_FOR_A_WRITE: u64 = 1_000;
const STEPS_FOR_A_FLIP: u64 = 3_000;
/// How soon a node is started again that could not be.
const START_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often a copy of what is durable is taken when a fault is drawn, of a million.
const COPIED_PER_MILLION: u32 = 300_000;

/// What the store's disk does when a fault begins.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Any,
    Writing,
    /// It writes the rest of a unit that takes several records.
    GoingOn,
    Flipping,
}

/// The next fault.
#[derive(Debug)]
struct Armed {
    fault: Fault,
    /// The step of the simulation at which it begins,
    step: u64,
    /// or up to [`STEPS_FOR_A_WRITE`] steps later, at this moment.
    moment: Moment,
}

impl Armed {
    fn is_due(&self, cluster: &Cluster) -> bool {
        let Some(late) = cluster.simulation.steps().checked_sub(self.step) else { return false };
        match self.moment {
            Moment::Any => true,
            Moment::Writing => cluster.disk.is_busy() || late >= STEPS_FOR_A_WRITE,
            Moment::GoingOn => cluster.disk.goes_on_writing() || late >= STEPS_FOR_A_FLIP,
            Moment::Flipping => {
                cluster.disk.writes_at().is_some_and(|sector| sector < FLIP_SECTORS)
                    || late >= STEPS_FOR_A_FLIP
            }
        }
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
    copies: Copies,
    stutters: Stutters,
    /// The store's disk has been bad just now.
    disk_was_bad: bool,
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
        let mut copies = Copies::default();
        copies.take(cluster, Instant::ZERO);
        let stutters = Stutters::new(random.fork());
        let (active, armed, draw_at, disk_was_bad) = (Vec::new(), None, Instant::ZERO, false);
        Self { random, usual, active, armed, draw_at, copies, stutters, disk_was_bad }
    }

    /// When something begins or ends next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let draw = self.armed.is_none().then_some(self.draw_at);
        self.active.iter().map(|(_, until)| *until).chain(draw).chain(self.stutters.next_deadline()).min()
    }

    /// Begins and ends what is due.
    ///
    /// # Errors
    /// When a node cannot be started again.
    pub fn act(&mut self, cluster: &mut Cluster, books: &mut Books) -> Result<(), String> {
        let now = cluster.simulation.now();
        if self.stutters.act(cluster, &self.active) {
            books.counts.fault("stutters");
        }
        if let Some(Armed { fault, .. }) = self.armed.take_if(|armed| armed.is_due(cluster)) {
            self.begin(fault, cluster, books);
        }
        while let Some(index) = self.active.iter().position(|(_, until)| *until <= now) {
            let (fault, _) = self.active.swap_remove(index);
            self.disk_was_bad |= matches!(fault, Fault::Disk(_));
            if let Err(NotYet) = self.end(fault, cluster, books)? {
                self.active.push((fault, now + START_AGAIN_AFTER));
            }
        }
        if self.armed.is_none() && self.draw_at <= now {
            self.draw(cluster, books);
        }
        Ok(())
    }

    /// Ends all faults, and gives the users a good network.
    ///
    /// # Errors
    /// When a node cannot be started again.
    pub fn heal(&mut self, cluster: &mut Cluster, books: &mut Books) -> Result<(), String> {
        self.armed = None;
        self.stutters.end(cluster, &self.active);
        self.usual = Conditions::default();
        cluster.disk.set_conditions(DiskConditions::default());
        for (fault, _) in core::mem::take(&mut self.active) {
            if let Err(NotYet) = self.end(fault, cluster, books)? {
                return Err(format!("a node does not start after: {}", fault.describe(cluster)));
            }
        }
        cluster.simulation.set_conditions(self.usual);
        Ok(())
    }

    /// Everything loses its power once more, and is started again at once.
    ///
    /// # Errors
    /// When a node does not start.
    pub fn black_out(&mut self, cluster: &mut Cluster, books: &mut Books) -> Result<(), String> {
        self.begin(Fault::Blackout, cluster, books);
        self.heal(cluster, books)
    }

    fn begin(&mut self, fault: Fault, cluster: &mut Cluster, books: &mut Books) {
        let now = cluster.simulation.now();
        books.chronicle.add(now, Event::Begins(fault.describe(cluster)));
        books.counts.fault(fault.kind());
        let until = now + draw::duration(&fault, &mut self.random);
        fault.begin(&mut Site { cluster, books, copies: &self.copies, usual: self.usual });
        self.active.push((fault, until));
        self.draw_at = now + self.random.up_to(INTERVAL_MAX);
    }

    fn end(
        &self,
        fault: Fault,
        cluster: &mut Cluster,
        books: &mut Books,
    ) -> Result<Result<(), NotYet>, String> {
        let (now, described) = (cluster.simulation.now(), fault.describe(cluster));
        let ended = fault.end(&mut Site { cluster, books, copies: &self.copies, usual: self.usual })?;
        if ended.is_ok() && !fault.is_instant() {
            books.chronicle.add(now, Event::Ends(described));
        }
        Ok(ended)
    }

    fn draw(&mut self, cluster: &Cluster, books: &mut Books) {
        if cluster.plan.goes_back && self.random.happens(COPIED_PER_MILLION) {
            self.copies.take(cluster, books.drained_at);
            let (number, at) = (self.copies.len(), books.drained_at);
            let text = format!("older copies: {number} by now; all accepted before {at:?} was counted");
            books.chronicle.add(cluster.simulation.now(), Event::Note(text));
        }
        let active: Vec<_> = self.active.iter().map(|(fault, _)| *fault).collect();
        let was_bad = core::mem::take(&mut self.disk_was_bad);
        let fault = draw::any(&mut self.random, cluster, &self.copies, &active, was_bad);
        let free = fault.filter(|fault| !active.iter().any(|other| other.collides(fault)));
        if let Some(fault) = free.filter(|_| active.len() < FAULTS_MAX) {
            let step = cluster.simulation.steps() + self.random.below(STEPS_MAX);
            let moment = self.moment(&fault, cluster);
            self.armed = Some(Armed { fault, step, moment });
        } else {
            self.draw_at = cluster.simulation.now() + self.random.up_to(INTERVAL_MAX);
        }
    }

    fn moment(&mut self, fault: &Fault, cluster: &Cluster) -> Moment {
        let may_flip = cluster.plan.has_disk && cluster.plan.has_neighbour && fault.is_of_store(cluster);
        if may_flip && self.random.happens(WHILE_FLIPPING_PER_MILLION) {
            Moment::Flipping
        } else if may_flip && self.random.happens(WHILE_GOING_ON_PER_MILLION) {
            Moment::GoingOn
        } else if self.random.happens(WHILE_WRITING_PER_MILLION) {
            Moment::Writing
        } else {
            Moment::Any
        }
    }
}
