//! A simulated disk: sectors that outlive the node's crashes, and what a real one does on bad days.
//!
//! Knows no format. Between a node and the device lies a page cache, as Linux has one:
//! * a write is in the cache at once, and on the device once its flush has ended, after a time that the seed decides;
//! * what is [written ahead](Disk::write_ahead) stays in the cache until the flush of a later write, which takes
//!   everything to the device, in any order;
//! * the end of a process leaves the cache as it is, a power cut leaves nothing of it: what was not flushed is
//!   [torn](tear);
//! * a flush that fails leaves the device torn, and the cache's pages count as clean: reads find what was to be
//!   written, the next flush succeeds without it, and it is gone with the cache;
//! * [`open`](SimulatedDisk::open) flushes and drops the cache, which is what a substrate promises: what a service
//!   reads at its start is what the device holds.
//!
//! Beyond that reads can fail, old sectors can rot, and an older copy can be put back.

mod platter;
mod tear;
#[cfg(test)]
mod tests;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use super::random::Random;
use crate::disk::{Disk, DiskError, SECTOR_BYTES, WRITE_BYTES_MAX};
use platter::{Content, Platter, Write};
use wire::Instant;

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
    /// The write that had made it durable: they count from 1, see [`SimulatedDisk::durable_writes`].
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

/// A disk; clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDisk(Rc<RefCell<Platter>>);

/// What a device held at some time.
#[derive(Clone, Debug)]
pub struct DiskCopy(Content);

impl DiskCopy {
    /// One sector of it.
    pub fn sector(&self, number: u64) -> [u8; SECTOR_BYTES] {
        self.0.get(&number).copied().unwrap_or([0; SECTOR_BYTES])
    }
}

impl SimulatedDisk {
    pub(super) fn new(sectors: u64, random: Random) -> Self {
        Self(Rc::new(RefCell::new(Platter::new(sectors, random))))
    }

    /// How it works now.
    pub fn conditions(&self) -> DiskConditions {
        self.0.borrow().conditions
    }

    /// How the disk behaves from now on, also towards a write that is under way.
    pub fn set_conditions(&self, conditions: DiskConditions) {
        self.0.borrow_mut().conditions = conditions;
    }

    /// What has happened to it so far.
    pub fn counts(&self) -> DiskCounts {
        self.0.borrow().counts
    }

    /// The first sector of the write that is under way.
    pub fn writes_at(&self) -> Option<u64> {
        self.0.borrow().under_way.as_ref().map(|write| write.sector)
    }

    /// Whether a write is under way that follows one of the largest size: the rest of something that takes several.
    pub fn goes_on_writing(&self) -> bool {
        let platter = self.0.borrow();
        platter.under_way.is_some() && platter.follows_largest
    }

    /// What the device holds, without the cache, and what damaged sectors held.
    pub fn copy(&self) -> DiskCopy {
        DiskCopy(self.0.borrow().sound_content())
    }

    /// How many writes have become durable so far.
    pub fn durable_writes(&self) -> u64 {
        self.0.borrow().durable_writes
    }

    /// The sectors that are damaged now.
    pub fn damaged_sectors(&self) -> Vec<DamagedSector> {
        self.0.borrow().damaged_sectors()
    }

    /// Makes the device hold what it held when the copy was taken. Nobody uses it meanwhile.
    pub fn put_back(&self, copy: &DiskCopy) {
        self.0.borrow_mut().replace(copy.0.clone());
    }

    /// Damages one sector, by chance, that was durable before the last `spared` writes were; says which.
    pub fn damage(&self, damage: Damage, spared: u64) -> Option<u64> {
        self.0.borrow_mut().damage(damage, spared)
    }

    /// Undoes all damage that was not written over since, as a good copy would.
    pub fn undo_damage(&self) {
        self.0.borrow_mut().undo_damage();
    }

    /// Whether the cache is kept when the disk is opened: a substrate that breaks its promise.
    pub fn keep_cache(&self, keep: bool) {
        self.0.borrow_mut().keeps_cache = keep;
    }

    fn begin(&self, sector: u64, data: &[u8], flushes: bool, now: Instant) {
        let mut platter = self.0.borrow_mut();
        assert!(platter.under_way.is_none(), "one write at a time");
        assert!(data.len() <= WRITE_BYTES_MAX, "{} bytes are too many for one write", data.len());
        platter.counts.writes += 1;
        let DiskConditions { latency, jitter, .. } = platter.conditions;
        let done_at = now + latency + platter.random.up_to(jitter);
        platter.follows_largest = core::mem::replace(&mut platter.is_largest, data.len() == WRITE_BYTES_MAX);
        platter.under_way = Some(Write { sector, data: data.to_vec(), done_at, flushes });
    }

    /// A process begins to use the disk.
    pub(super) fn open(&self) -> Result<(), DiskError> {
        self.0.borrow_mut().open()
    }

    /// The process that uses the disk ends at `now` on its clock.
    pub(super) fn leave(&self, now: Instant) {
        self.0.borrow_mut().leave(now);
    }

    /// The machine stops at `now` on its clock.
    pub(super) fn cut_power(&self, now: Instant) {
        self.0.borrow_mut().cut_power(now);
    }
}

impl Disk for SimulatedDisk {
    fn sectors(&self) -> u64 {
        self.0.borrow().sectors
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.0.borrow_mut().read(sector, into)
    }

    fn write(&mut self, sector: u64, data: &[u8], now: Instant) {
        self.begin(sector, data, true, now);
    }

    fn write_ahead(&mut self, sector: u64, data: &[u8], now: Instant) {
        self.begin(sector, data, false, now);
    }

    fn outcome(&mut self, now: Instant) -> Option<Result<(), DiskError>> {
        let mut platter = self.0.borrow_mut();
        let write = platter.under_way.take_if(|write| write.done_at <= now)?;
        Some(platter.finish(write))
    }

    fn is_busy(&self) -> bool {
        self.0.borrow().under_way.is_some()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.0.borrow().under_way.as_ref().map(|write| write.done_at)
    }
}
