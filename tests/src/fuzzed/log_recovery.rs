//! The store's log as it is read at the start: whatever a disk holds, it is read or refused, and what was read
//! once is read again after a restart.
//!
//! The first byte of the input says what the rest is: the disk's first bytes, or records that are put behind a
//! sound superblock with right checksums, as `docs/durability.md` describes them.

use std::collections::BTreeMap;

use crc::{CRC_32_ISCSI, Crc};
use kernel_app::disk::{DiskError, SECTOR_BYTES};
use kernel_app::{Buffer, Disk, Entropy, Instant};
use store_service::journal::{DISK_BYTES_MIN, Journal, RecoveryError};
use store_service::keyspace::{Cursor, Keyspace};

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const SECTORS: u64 = DISK_BYTES_MIN / SECTOR_BYTES as u64;
const HALF_SECTORS: u64 = (SECTORS - 8) / 2 / 8 * 8;
const MEMORY_BYTES_MAX: usize = 1024 * 1024;
/// What is read at most, whatever the limit is.
const LOADABLE_BYTES: usize = 16 * MEMORY_BYTES_MAX;

/// Sectors that are not zeros.
#[derive(Clone, Default)]
struct SparseDisk {
    sectors: BTreeMap<u64, [u8; SECTOR_BYTES]>,
    written: bool,
}

impl SparseDisk {
    fn put(&mut self, sector: u64, bytes: &[u8]) {
        for (at, piece) in bytes.chunks(SECTOR_BYTES).enumerate() {
            let mut padded = [0; SECTOR_BYTES];
            padded[..piece.len()].copy_from_slice(piece);
            self.sectors.insert(sector + at as u64, padded);
        }
    }
}

impl Disk for SparseDisk {
    fn sectors(&self) -> u64 {
        SECTORS
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let count = (into.len() / SECTOR_BYTES) as u64;
        if sector.checked_add(count).is_none_or(|end| end > SECTORS) {
            return Err(DiskError::OutOfRange);
        }
        into.fill(0);
        for (number, bytes) in self.sectors.range(sector..sector + count) {
            let start = (number - sector) as usize * SECTOR_BYTES;
            into[start..start + SECTOR_BYTES].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, data: &[u8], _: Instant) {
        assert!(sector + (data.len() / SECTOR_BYTES) as u64 <= SECTORS);
        self.put(sector, data);
        self.written = true;
    }

    fn outcome(&mut self, _: Instant) -> Option<Result<(), DiskError>> {
        std::mem::take(&mut self.written).then_some(Ok(()))
    }

    fn is_busy(&self) -> bool {
        self.written
    }
}

struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        bytes.fill(self.0);
    }
}

/// A disk with these records: two bytes for each payload's length and whether its unit goes on, then the
/// payload.
fn with_records(mut input: &[u8]) -> SparseDisk {
    let (generation, seed) = (1_u64, 2_u64);
    let mut superblock = [0; SECTOR_BYTES];
    superblock[..8].copy_from_slice(b"votelog\n");
    superblock[8..12].copy_from_slice(&1_u32.to_le_bytes());
    for (at, number) in [generation, seed, HALF_SECTORS, 1, 0].iter().enumerate() {
        superblock[16 + 8 * at..24 + 8 * at].copy_from_slice(&number.to_le_bytes());
    }
    let checksum = CRC32C.checksum(&superblock[..508]);
    superblock[508..].copy_from_slice(&checksum.to_le_bytes());
    let mut disk = SparseDisk::default();
    disk.put(0, &superblock);
    disk.put(1, &superblock);
    let mut previous = CRC32C.checksum(&[generation.to_le_bytes(), seed.to_le_bytes()].concat());
    let (mut sector, mut sequence) = (8, 1_u64);
    while let [low, high, rest @ ..] = input {
        let length = u16::from_le_bytes([*low, high & 0x7f]);
        let (payload, rest) = rest.split_at(rest.len().min(length.into()));
        input = rest;
        let mut record = b"vrec".to_vec();
        record.extend((payload.len() as u32).to_le_bytes());
        record.extend(sequence.to_le_bytes());
        record.extend(7_u64.to_le_bytes());
        record.extend(u32::from(high >> 7).to_le_bytes());
        previous = CRC32C.checksum(&[&previous.to_le_bytes()[..], &record, payload].concat());
        record.extend(previous.to_le_bytes());
        record.extend(payload);
        disk.put(sector, &record);
        sector += record.len().div_ceil(SECTOR_BYTES) as u64;
        sequence += 1;
    }
    disk
}

fn contents(keyspace: &Keyspace) -> Vec<u8> {
    let mut out = Buffer::new(256 << 20);
    assert!(keyspace.write_commands(&mut Cursor::default(), &mut out));
    assert!(out.len() <= keyspace.snapshot_bytes(), "a snapshot is never larger than it was counted");
    out.as_slice().to_vec()
}

/// Reads a disk, lets the journal write what it has to, and gives what was read.
fn read(disk: &mut SparseDisk, life: u8) -> Result<Vec<u8>, RecoveryError> {
    let mut keyspace = Keyspace::new(MEMORY_BYTES_MAX, [1, 2]);
    keyspace.set_loadable_bytes(LOADABLE_BYTES);
    let mut entropy = Counter(life);
    let (mut journal, _) = Journal::open(disk, &mut keyspace, Instant::ZERO, &mut entropy, false)?;
    for _ in 0..64 {
        journal.advance(disk, &mut keyspace, Instant::ZERO, &mut entropy);
    }
    Ok(contents(&keyspace))
}

/// A disk with this on it.
///
/// # Panics
/// When what was read once is not read again, or is more than the memory it takes.
pub fn check(bytes: &[u8]) {
    let Some((kind, input)) = bytes.split_first() else { return };
    let mut disk = SparseDisk::default();
    if kind & 1 == 0 {
        disk.put(0, &input[..input.len().min(DISK_BYTES_MIN as usize)]);
    } else {
        disk = with_records(&input[..input.len().min(1024 * 1024)]);
    }
    if let Ok(found) = read(&mut disk, 10) {
        assert_eq!(read(&mut disk, 20).as_deref(), Ok(&found[..]));
    }
}
