//! A disk in the hands of a test, beside [`harness`](crate::harness): it remembers every write, so that the
//! power can be cut afterwards at any of them.
//!
//! Writes end at once unless the test says otherwise. Nothing is lost by itself.

use kernel_app::disk::{Disk, DiskError, SECTOR_BYTES, WRITE_BYTES_MAX};
use wire::Instant;

/// A disk that remembers every write.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    bytes: Vec<u8>,
    /// All writes since the start, in order: where, and what; those that failed are left out.
    writes: Vec<(u64, Vec<u8>)>,
    under_way: Option<(u64, Vec<u8>)>,
    /// Whether that one is flushed.
    flushes: bool,
    /// What was there before the writes that have ended and are not flushed.
    unflushed: Vec<(u64, Vec<u8>)>,
    /// The error that writes end with.
    pub error: Option<DiskError>,
    /// Whether a write that fails changes the disk all the same.
    pub fails_late: bool,
    /// The error that reads end with.
    pub read_error: Option<DiskError>,
    /// Sectors that cannot be read until they are written.
    pub unreadable: Vec<u64>,
    /// While this is set, writes do not end.
    pub hangs: bool,
}

/// What a cut has left of a sector that was being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Torn {
    /// The bytes of before.
    Old,
    /// The bytes to be written.
    New,
    /// Neither.
    Garbage,
}

impl MemoryDisk {
    /// A blank disk.
    pub fn new(sectors: usize) -> Self {
        Self::from_bytes(vec![0; sectors * SECTOR_BYTES])
    }

    /// A disk that holds `bytes`, whole sectors.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            writes: Vec::new(),
            under_way: None,
            flushes: false,
            unflushed: Vec::new(),
            error: None,
            fails_late: false,
            read_error: None,
            unreadable: Vec::new(),
            hangs: false,
        }
    }

    /// What is on the disk.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is on the disk, to be changed behind the service's back.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The write under way: its first sector, and bytes.
    pub fn under_way(&self) -> Option<&(u64, Vec<u8>)> {
        self.under_way.as_ref()
    }

    /// The writes that have succeeded so far: first sectors, and bytes.
    pub fn writes(&self) -> &[(u64, Vec<u8>)] {
        &self.writes
    }

    /// The disk as a cut of the power left it: without what is under way or not flushed, and nothing remembered.
    #[must_use]
    pub fn after_cut(&self) -> Self {
        let mut disk = Self::from_bytes(self.bytes.clone());
        for (sector, before) in self.unflushed.iter().rev() {
            disk.tear(*sector, before, |_| Torn::New);
        }
        disk
    }

    /// Writes sectors of which each is torn as `torn` says by its position in `data`.
    ///
    /// # Panics
    /// When they are beyond the end.
    pub fn tear(&mut self, sector: u64, data: &[u8], mut torn: impl FnMut(usize) -> Torn) {
        for (at, new) in data.chunks(SECTOR_BYTES).enumerate() {
            let start = byte_of(sector) + at * SECTOR_BYTES;
            self.unreadable.retain(|unreadable| byte_of(*unreadable) != start);
            let old = &mut self.bytes[start..start + SECTOR_BYTES];
            match torn(at) {
                Torn::Old => {}
                Torn::New => old.copy_from_slice(new),
                Torn::Garbage => old.fill(0xa5),
            }
        }
    }
}

fn byte_of(sector: u64) -> usize {
    usize::try_from(sector).unwrap_or(usize::MAX).saturating_mul(SECTOR_BYTES)
}

impl Disk for MemoryDisk {
    fn sectors(&self) -> u64 {
        (self.bytes.len() / SECTOR_BYTES) as u64
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        if let Some(error) = self.read_error {
            return Err(error);
        }
        let sectors = sector..sector.saturating_add((into.len() / SECTOR_BYTES) as u64);
        if self.unreadable.iter().any(|unreadable| sectors.contains(unreadable)) {
            return Err(DiskError::Failed);
        }
        let start = byte_of(sector);
        let from = self.bytes.get(start..start.saturating_add(into.len())).ok_or(DiskError::OutOfRange)?;
        into.copy_from_slice(from);
        Ok(())
    }

    fn write(&mut self, sector: u64, data: &[u8], _: Instant) {
        assert!(self.under_way.is_none(), "one write at a time");
        assert!(data.len().is_multiple_of(SECTOR_BYTES) && !data.is_empty(), "whole sectors");
        assert!(data.len() <= WRITE_BYTES_MAX, "{} bytes in one write", data.len());
        (self.under_way, self.flushes) = (Some((sector, data.to_vec())), true);
    }

    fn write_ahead(&mut self, sector: u64, data: &[u8], now: Instant) {
        self.write(sector, data, now);
        self.flushes = false;
    }

    fn outcome(&mut self, _: Instant) -> Option<Result<(), DiskError>> {
        if self.hangs {
            return None;
        }
        let (sector, data) = self.under_way.take()?;
        let beyond = byte_of(sector) + data.len() > self.bytes.len();
        let error = self.error.or(beyond.then_some(DiskError::OutOfRange));
        if !beyond && error.is_none() {
            let start = byte_of(sector);
            let before = self.bytes[start..start + data.len()].to_vec();
            if self.flushes { self.unflushed.clear() } else { self.unflushed.push((sector, before)) }
        }
        if !beyond && (error.is_none() || self.fails_late) {
            self.tear(sector, &data, |_| Torn::New);
        }
        if let Some(error) = error {
            return Some(Err(error));
        }
        self.writes.push((sector, data));
        Some(Ok(()))
    }

    fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    fn next_deadline(&self) -> Option<Instant> {
        (self.under_way.is_some() && !self.hangs).then_some(Instant::ZERO)
    }
}
