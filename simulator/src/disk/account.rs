//! What a simulated disk is told and tells: how it is to behave, what has happened to it, what is wrong with it.

use std::time::Duration;

/// How a disk behaves from now on.
#[derive(Clone, Copy, Debug)]
pub struct DiskConditions {
    /// Time that every write takes.
    pub latency: Duration,
    /// Most additional time, by chance.
    pub jitter: Duration,
    /// Writes of a million that fail.
    pub failed_per_million: u32,
    /// Reads of a million that fail.
    pub reads_failed_per_million: u32,
    /// Whether sectors that were never written have no space: the file that holds the disk is sparse.
    pub is_full: bool,
}

impl Default for DiskConditions {
    /// A healthy solid-state disk.
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(200),
            jitter: Duration::from_micros(300),
            failed_per_million: 0,
            reads_failed_per_million: 0,
            is_full: false,
        }
    }
}

/// What has happened to a disk so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounts {
    /// Writes that were started.
    pub writes: u64,
    /// Writes that a power cut has torn.
    pub torn: u64,
    /// Writes that failed.
    pub failed: u64,
    /// Those of them that the cache has kept as if they had not.
    pub failed_but_cached: u64,
    /// Writes that found no space.
    pub no_space: u64,
    /// Reads that failed.
    pub reads_failed: u64,
    /// Writes that a process left in the cache when it ended.
    pub left_in_cache: u64,
    /// Writes that were left to the flush of a later one.
    pub ahead: u64,
}

/// A sector that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedSector {
    /// Which one.
    pub sector: u64,
    /// The write that had made it durable: they count from 1, see
    /// [`durable_writes`](super::SimulatedDisk::durable_writes).
    pub write: Option<u64>,
}

/// What is wrong with a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Some of its bits are others.
    Rot,
    /// It cannot be read until it is written again.
    Unreadable,
}
