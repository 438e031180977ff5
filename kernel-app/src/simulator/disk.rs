//! A simulated disk: sectors that outlive the node's crashes, and what a real one does on bad days.
//!
//! Knows no format. A write takes a time that the seed decides. One that is under way at a power cut is
//! torn: each of its sectors holds the old bytes, the new ones or garbage. A write whose end was reached
//! stays, whether or not anybody asked for its outcome.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use super::random::Random;
use crate::disk::{Disk, DiskError, SECTOR_BYTES, WRITE_BYTES_MAX};
use wire::Instant;

/// How a disk behaves from now on.
#[derive(Clone, Copy, Debug)]
pub struct DiskConditions {
    /// Time that every write takes.
    pub latency: Duration,
    /// Most additional time, by chance.
    pub jitter: Duration,
    /// Writes of a million that fail, and leave their sectors as a power cut does.
    pub failed_per_million: u32,
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
    /// Writes that found no space.
    pub no_space: u64,
}

type Sector = [u8; SECTOR_BYTES];

/// A disk; clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDisk(Rc<RefCell<Platter>>);

#[derive(Debug)]
struct Platter {
    sectors: u64,
    /// Those that were ever written; the others are zeros.
    content: BTreeMap<u64, Sector>,
    conditions: DiskConditions,
    random: Random,
    under_way: Option<Write>,
    counts: DiskCounts,
}

#[derive(Debug)]
struct Write {
    sector: u64,
    data: Vec<u8>,
    done_at: Instant,
    result: Result<(), DiskError>,
}

impl SimulatedDisk {
    pub(super) fn new(sectors: u64, random: Random) -> Self {
        Self(Rc::new(RefCell::new(Platter {
            sectors,
            content: BTreeMap::new(),
            conditions: DiskConditions::default(),
            random,
            under_way: None,
            counts: DiskCounts::default(),
        })))
    }

    /// How the disk behaves from now on; a write that is under way goes on as it began.
    pub fn set_conditions(&self, conditions: DiskConditions) {
        self.0.borrow_mut().conditions = conditions;
    }

    /// What has happened to it so far.
    pub fn counts(&self) -> DiskCounts {
        self.0.borrow().counts
    }

    /// The machine stops at `now` on its clock.
    pub(super) fn cut_power(&self, now: Instant) {
        let mut platter = self.0.borrow_mut();
        let Some(write) = platter.under_way.take() else { return };
        if write.done_at <= now {
            platter.finish(&write);
        } else if write.result.is_ok() {
            platter.counts.torn += 1;
            platter.tear(&write);
        }
    }
}

impl Disk for SimulatedDisk {
    fn sectors(&self) -> u64 {
        self.0.borrow().sectors
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let platter = self.0.borrow();
        platter.check(sector, into.len())?;
        for (number, bytes) in (sector..).zip(into.chunks_mut(SECTOR_BYTES)) {
            match platter.content.get(&number) {
                Some(content) => bytes.copy_from_slice(content),
                None => bytes.fill(0),
            }
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, data: &[u8], now: Instant) {
        let mut platter = self.0.borrow_mut();
        assert!(platter.under_way.is_none(), "one write at a time");
        assert!(data.len() <= WRITE_BYTES_MAX, "{} bytes are too many for one write", data.len());
        platter.counts.writes += 1;
        let DiskConditions { latency, jitter, .. } = platter.conditions;
        let done_at = now + latency + platter.random.up_to(jitter);
        let result = platter.verdict(sector, data.len());
        platter.under_way = Some(Write { sector, data: data.to_vec(), done_at, result });
    }

    fn outcome(&mut self, now: Instant) -> Option<Result<(), DiskError>> {
        let mut platter = self.0.borrow_mut();
        let write = platter.under_way.take_if(|write| write.done_at <= now)?;
        platter.finish(&write);
        Some(write.result)
    }

    fn is_busy(&self) -> bool {
        self.0.borrow().under_way.is_some()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.0.borrow().under_way.as_ref().map(|write| write.done_at)
    }
}

impl Platter {
    fn check(&self, sector: u64, bytes: usize) -> Result<(), DiskError> {
        assert_eq!(bytes % SECTOR_BYTES, 0, "whole sectors");
        let end = sector.saturating_add((bytes / SECTOR_BYTES) as u64);
        if end <= self.sectors { Ok(()) } else { Err(DiskError::OutOfRange) }
    }

    /// What will become of a write.
    fn verdict(&mut self, sector: u64, bytes: usize) -> Result<(), DiskError> {
        self.check(sector, bytes)?;
        let is_new = |number: u64| !self.content.contains_key(&number);
        let sectors = (bytes / SECTOR_BYTES) as u64;
        if self.conditions.is_full && (sector..sector + sectors).any(is_new) {
            self.counts.no_space += 1;
            return Err(DiskError::NoSpace);
        }
        if self.random.happens(self.conditions.failed_per_million) {
            self.counts.failed += 1;
            return Err(DiskError::Failed);
        }
        Ok(())
    }

    fn finish(&mut self, write: &Write) {
        match write.result {
            Ok(()) => self.put(write),
            Err(DiskError::Failed) => self.tear(write),
            Err(DiskError::NoSpace | DiskError::OutOfRange) => {}
        }
    }

    fn put(&mut self, write: &Write) {
        for (number, bytes) in (write.sector..).zip(write.data.chunks_exact(SECTOR_BYTES)) {
            let mut content = [0; SECTOR_BYTES];
            content.copy_from_slice(bytes);
            self.content.insert(number, content);
        }
    }

    /// Leaves each sector old, new or neither.
    fn tear(&mut self, write: &Write) {
        for (number, bytes) in (write.sector..).zip(write.data.chunks_exact(SECTOR_BYTES)) {
            let mut content = [0; SECTOR_BYTES];
            match self.random.next() % 3 {
                0 => continue,
                1 => content.copy_from_slice(bytes),
                _ => crate::Entropy::fill(&mut self.random, &mut content),
            }
            self.content.insert(number, content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const SECTORS: u64 = 64;

    fn filled(byte: u8, sectors: usize) -> Vec<u8> {
        vec![byte; sectors * SECTOR_BYTES]
    }

    /// Writes, and waits for the end.
    fn write(disk: &mut SimulatedDisk, sector: u64, data: &[u8], now: Instant) -> Result<(), DiskError> {
        disk.write(sector, data, now);
        assert!(disk.is_busy());
        let end = disk.next_deadline().expect("a write is under way");
        assert_eq!(disk.outcome(now), None, "it takes time");
        disk.outcome(end).expect("over")
    }

    fn sector(disk: &mut SimulatedDisk, number: u64) -> Sector {
        let mut bytes = [0; SECTOR_BYTES];
        disk.read(number, &mut bytes).expect("readable");
        bytes
    }

    #[test]
    fn a_finished_write_outlives_a_power_cut_and_another_one_is_torn() {
        let mut kinds = [0; 3];
        for seed in 0..50 {
            let mut disk = SimulatedDisk::new(SECTORS, Random::new(seed));
            write(&mut disk, 0, &filled(1, 8), Instant::ZERO).expect("written");
            disk.write(8, &filled(1, 8), Instant::ZERO);
            disk.cut_power(disk.next_deadline().expect("under way"));
            assert!((0..16).all(|number| sector(&mut disk, number) == [1; SECTOR_BYTES]));

            disk.write(0, &filled(2, 8), Instant::ZERO);
            disk.cut_power(Instant::ZERO);
            assert!(!disk.is_busy());
            for number in 0..8 {
                let content = sector(&mut disk, number);
                let kind = [[1; SECTOR_BYTES], [2; SECTOR_BYTES]].iter().position(|known| *known == content);
                kinds[kind.unwrap_or(2)] += 1;
            }
            assert!((8..16).all(|number| sector(&mut disk, number) == [1; SECTOR_BYTES]));
            assert_eq!(disk.counts(), DiskCounts { writes: 3, torn: 1, ..DiskCounts::default() });
        }
        assert!(kinds.iter().all(|count| *count > 80), "old, new and garbage in turn: {kinds:?}");
    }

    #[test]
    fn faults_come_when_they_are_asked_for() {
        let mut disk = SimulatedDisk::new(SECTORS, Random::new(1));
        write(&mut disk, 0, &filled(1, 2), Instant::ZERO).expect("written");
        assert_eq!(write(&mut disk, SECTORS - 1, &filled(1, 2), Instant::ZERO), Err(DiskError::OutOfRange));
        assert_eq!(disk.read(SECTORS, &mut [0; SECTOR_BYTES]), Err(DiskError::OutOfRange));

        disk.set_conditions(DiskConditions { is_full: true, ..DiskConditions::default() });
        assert_eq!(write(&mut disk, 1, &filled(2, 2), Instant::ZERO), Err(DiskError::NoSpace));
        assert_eq!(sector(&mut disk, 1), [1; SECTOR_BYTES]);
        write(&mut disk, 0, &filled(2, 2), Instant::ZERO).expect("there is space already");

        disk.set_conditions(DiskConditions { failed_per_million: 1_000_000, ..DiskConditions::default() });
        assert_eq!(write(&mut disk, 0, &filled(3, 2), Instant::ZERO), Err(DiskError::Failed));
        assert_eq!((disk.counts().no_space, disk.counts().failed), (1, 1));
    }
}
