//! The state of a simulated disk: the device, the cache above it, and what is wrong with them.
//!
//! Knows no process: `disk` says who begins and who ends.

use std::collections::{BTreeMap, BTreeSet};

use super::account::{Damage, DamagedSector, DiskConditions, DiskCounts};
use super::tear::tear;
use crate::random::Random;
use kernel_app::disk::{DiskError, SECTOR_BYTES};
use wire::Instant;

/// How often a failed write leaves its pages in the cache, of a million; otherwise nothing of it.
const FAILED_BUT_CACHED_PER_MILLION: u32 = 750_000;

/// How often all of it is on the device nevertheless.
const FAILED_BUT_DONE_PER_MILLION: u32 = 250_000;

/// How often what would be wrong with a write that nobody flushes is told at its end, of a million: by a device that
/// has no cache of its own. Otherwise the flush tells.
const TOLD_BEFORE_FLUSH_PER_MILLION: u32 = 500_000;

pub type Sector = [u8; SECTOR_BYTES];
/// Sectors that were ever written; the others are zeros.
pub type Content = BTreeMap<u64, Sector>;

#[derive(Debug)]
pub struct Platter {
    pub sectors: u64,
    pub conditions: DiskConditions,
    pub random: Random,
    pub under_way: Option<Write>,
    /// Whether the last write has the largest size, and whether the one before it has.
    pub is_largest: bool,
    pub follows_largest: bool,
    pub counts: DiskCounts,
    /// Whether opening drops no cache.
    pub keeps_cache: bool,
    /// What outlives a power cut.
    pub device: Content,
    /// What reads find instead.
    cache: Content,
    /// Writes in the cache that the next flush brings to the device. Those that failed are not among them.
    dirty: Vec<Write>,
    /// Which write made a sector durable; writes count from 1.
    written: BTreeMap<u64, u64>,
    pub durable_writes: u64,
    unreadable: BTreeSet<u64>,
    /// What damaged sectors held.
    undamaged: Content,
}

#[derive(Debug)]
pub struct Write {
    pub sector: u64,
    pub data: Vec<u8>,
    pub done_at: Instant,
    /// Whether its end is that of a flush, of this write and of all before it.
    pub flushes: bool,
}

impl Write {
    fn sectors(&self) -> u64 {
        (self.data.len() / SECTOR_BYTES) as u64
    }
}

impl Platter {
    pub fn new(sectors: u64, random: Random) -> Self {
        Self {
            sectors,
            conditions: DiskConditions::default(),
            random,
            under_way: None,
            is_largest: false,
            follows_largest: false,
            counts: DiskCounts::default(),
            keeps_cache: false,
            device: Content::new(),
            cache: Content::new(),
            dirty: Vec::new(),
            written: BTreeMap::new(),
            durable_writes: 0,
            unreadable: BTreeSet::new(),
            undamaged: Content::new(),
        }
    }

    pub fn open(&mut self) -> Result<(), DiskError> {
        self.flush_dirty()?;
        if !self.keeps_cache {
            self.cache.clear();
        }
        Ok(())
    }

    pub fn leave(&mut self, now: Instant) {
        let Some(write) = self.under_way.take() else { return };
        if write.done_at <= now {
            // Nobody asks how it ended.
            let _ = self.finish(write);
        } else if self.check(write.sector, write.data.len()).is_ok() {
            self.counts.left_in_cache += 1;
            self.keep_dirty(write);
        }
    }

    /// Leaves a write to a later flush.
    fn keep_dirty(&mut self, write: Write) {
        put(&mut self.cache, write.sector, &write.data);
        self.dirty.push(write);
    }

    pub fn cut_power(&mut self, now: Instant) {
        self.leave(now);
        for write in std::mem::take(&mut self.dirty) {
            self.counts.torn += 1;
            self.tear(&write);
        }
        self.cache.clear();
    }

    pub fn replace(&mut self, content: Content) {
        self.device = content;
        self.cache.clear();
        self.dirty.clear();
        self.unreadable.clear();
        self.undamaged.clear();
        self.written.retain(|sector, _| self.device.contains_key(sector));
    }

    pub fn check(&self, sector: u64, bytes: usize) -> Result<(), DiskError> {
        assert_eq!(bytes % SECTOR_BYTES, 0, "whole sectors");
        let end = sector.saturating_add((bytes / SECTOR_BYTES) as u64);
        if end <= self.sectors { Ok(()) } else { Err(DiskError::OutOfRange) }
    }

    pub fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.check(sector, into.len())?;
        let end = sector + (into.len() / SECTOR_BYTES) as u64;
        let is_unreadable = self.unreadable.range(sector..end).any(|number| !self.cache.contains_key(number));
        if is_unreadable || self.random.happens(self.conditions.reads_failed_per_million) {
            self.counts.reads_failed += 1;
            return Err(DiskError::Failed);
        }
        into.fill(0);
        for content in [&self.device, &self.cache] {
            for (number, bytes) in content.range(sector..end) {
                let at = (number - sector) as usize * SECTOR_BYTES;
                into[at..at + SECTOR_BYTES].copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// The write's time has come.
    pub fn finish(&mut self, write: Write) -> Result<(), DiskError> {
        self.check(write.sector, write.data.len())?;
        if write.flushes {
            self.keep_dirty(write);
            return self.flush_dirty();
        }
        self.counts.ahead += 1;
        if self.random.happens(TOLD_BEFORE_FLUSH_PER_MILLION)
            && let Err(error) = self.verdict(&write)
        {
            self.fail(&write, error);
            return Err(error);
        }
        self.keep_dirty(write);
        Ok(())
    }

    /// Brings everything that is dirty to the device; the first failure is told, and does not stop the rest.
    fn flush_dirty(&mut self) -> Result<(), DiskError> {
        let dirty = std::mem::take(&mut self.dirty);
        let failures: Vec<DiskError> = dirty.iter().filter_map(|write| self.flush(write).err()).collect();
        failures.first().map_or(Ok(()), |error| Err(*error))
    }

    fn flush(&mut self, write: &Write) -> Result<(), DiskError> {
        let verdict = self.verdict(write);
        match verdict {
            Ok(()) => self.make_durable(write),
            Err(error) => self.fail(write, error),
        }
        verdict
    }

    /// What a failed write leaves: pages in the cache that count as clean, or nothing there; something or all of it
    /// on the device.
    fn fail(&mut self, write: &Write, error: DiskError) {
        if self.random.happens(FAILED_BUT_CACHED_PER_MILLION) {
            self.counts.failed_but_cached += 1;
            put(&mut self.cache, write.sector, &write.data);
        } else {
            self.forget_cached(write);
        }
        if error == DiskError::Failed && self.random.happens(FAILED_BUT_DONE_PER_MILLION) {
            self.make_durable(write);
        } else if error == DiskError::Failed {
            self.tear(write);
        }
    }

    fn forget_cached(&mut self, write: &Write) {
        for number in write.sector..write.sector + write.sectors() {
            self.cache.remove(&number);
        }
    }

    fn verdict(&mut self, write: &Write) -> Result<(), DiskError> {
        let is_new = |number: u64| !self.device.contains_key(&number);
        if self.conditions.is_full && (write.sector..write.sector + write.sectors()).any(is_new) {
            self.counts.no_space += 1;
            return Err(DiskError::NoSpace);
        }
        if self.random.happens(self.conditions.failed_per_million) {
            self.counts.failed += 1;
            return Err(DiskError::Failed);
        }
        Ok(())
    }

    fn make_durable(&mut self, write: &Write) {
        put(&mut self.device, write.sector, &write.data);
        self.durable_writes += 1;
        self.forget_cached(write);
        for number in write.sector..write.sector + write.sectors() {
            self.written.insert(number, self.durable_writes);
        }
        self.forget_damage(write);
    }

    /// Leaves the device with something between old and new.
    fn tear(&mut self, write: &Write) {
        let mut content = vec![0; write.data.len()];
        for (number, bytes) in (write.sector..).zip(content.chunks_mut(SECTOR_BYTES)) {
            if let Some(old) = self.device.get(&number) {
                bytes.copy_from_slice(old);
            }
        }
        tear(&mut content, &write.data, &mut self.random);
        put(&mut self.device, write.sector, &content);
        (write.sector..write.sector + write.sectors()).for_each(|number| {
            self.written.remove(&number);
        });
        self.forget_damage(write);
    }

    fn forget_damage(&mut self, write: &Write) {
        for number in write.sector..write.sector + write.sectors() {
            self.unreadable.remove(&number);
            self.undamaged.remove(&number);
        }
    }

    pub fn damage(&mut self, damage: Damage, spared: u64) -> Option<u64> {
        let newest = self.durable_writes.checked_sub(spared)?;
        let old: Vec<_> =
            self.written.iter().filter(|(_, write)| **write <= newest).map(|(sector, _)| *sector).collect();
        if old.is_empty() {
            return None;
        }
        let sector = self.random.pick(&old);
        let content = self.device.get_mut(&sector)?;
        self.undamaged.entry(sector).or_insert(*content);
        match damage {
            Damage::Rot => {
                for _ in 0..=self.random.below(3) {
                    content[self.random.below(SECTOR_BYTES as u64) as usize] ^= 1 << self.random.below(8);
                }
            }
            Damage::Unreadable => {
                self.unreadable.insert(sector);
            }
        }
        Some(sector)
    }

    /// The device's content as it would be without damage.
    pub fn sound_content(&self) -> Content {
        let mut content = self.device.clone();
        content.extend(&self.undamaged);
        content
    }

    pub fn damaged_sectors(&self) -> Vec<DamagedSector> {
        let of = |sector: &u64| DamagedSector { sector: *sector, write: self.written.get(sector).copied() };
        self.undamaged.keys().map(of).collect()
    }

    pub fn undo_damage(&mut self) {
        self.device.append(&mut self.undamaged);
        self.unreadable.clear();
    }
}

fn put(content: &mut Content, sector: u64, data: &[u8]) {
    for (number, bytes) in (sector..).zip(data.chunks_exact(SECTOR_BYTES)) {
        let mut sector = [0; SECTOR_BYTES];
        sector.copy_from_slice(bytes);
        content.insert(number, sector);
    }
}
