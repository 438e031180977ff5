//! Copies of what is durable, taken at random times, to be put back later.
//!
//! The first is of the very start: a disk and a database that hold nothing.

use kernel_app::Instant;
use simulator::disk::DiskCopy;

use crate::simulation::cluster::Cluster;
use crate::simulation::database::tables::Tables;

/// Most copies.
pub const COPIES_MAX: usize = 6;

struct Copy {
    at: Instant,
    /// Everything accepted before this was counted when the copy was taken.
    drained_at: Instant,
    disk: DiskCopy,
    tables: Tables,
}

/// The copies that were taken, the oldest first.
#[derive(Default)]
pub struct Copies(Vec<Copy>);

impl Copies {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes one more, if there is room.
    pub fn take(&mut self, cluster: &Cluster, drained_at: Instant) {
        if self.0.len() < COPIES_MAX {
            let (disk, tables) = (cluster.disk.copy(), cluster.shared.borrow().tables.clone());
            self.0.push(Copy { at: cluster.simulation.now(), drained_at, disk, tables });
        }
    }

    /// When it was taken.
    pub fn at(&self, index: usize) -> Instant {
        self.0[index].at
    }

    /// Everything accepted before this was counted by then.
    pub fn drained_at(&self, index: usize) -> Instant {
        self.0[index].drained_at
    }

    /// What the store's disk held.
    pub fn disk(&self, index: usize) -> &DiskCopy {
        &self.0[index].disk
    }

    /// What the database held.
    pub fn tables(&self, index: usize) -> &Tables {
        &self.0[index].tables
    }
}
