//! The superblock: which half of the disk holds the log, and what the log's first record must be.
//!
//! There are two copies, written one after the other, so that one is always whole.

use kernel_app::disk::SECTOR_BYTES;

use super::checksum;
use super::record::{Position, u32_at, u64_at};

/// The smallest disk that is used.
pub const DISK_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// The first sector of the first half; the superblocks are sectors 0 and 1, the others are free.
pub const HALVES_START: u64 = 8;
/// Version of the format that is written and read.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"votelog\n";
const CHECKSUM_AT: usize = SECTOR_BYTES - 4;
/// Halves begin where a physical sector of 4 KiB does.
const HALF_ALIGNMENT: u64 = 8;

/// What a superblock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// One more than that of the superblock before.
    pub generation: u64,
    /// Random: no two logs have the same.
    pub seed: u64,
    /// Sectors of each half.
    pub half_sectors: u64,
    /// The half that holds the log, 0 or 1.
    pub half: u32,
    /// Number of the log's first record.
    pub first_sequence: u64,
    /// Sectors at the half's start that were durable before this superblock was written.
    pub snapshot_sectors: u64,
}

/// A sector where a superblock should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A superblock.
    Whole(Superblock),
    /// Zeros.
    Blank,
    /// A superblock once, but its checksum is wrong or it cannot be.
    Damaged,
    /// A superblock of this version of the format.
    OtherVersion(u32),
    /// Something else.
    Foreign,
}

impl Superblock {
    /// The first superblock of a disk of `sectors` sectors.
    pub fn new(sectors: u64, seed: u64) -> Self {
        let half_sectors = sectors.saturating_sub(HALVES_START) / 2 / HALF_ALIGNMENT * HALF_ALIGNMENT;
        Self { generation: 1, seed, half_sectors, half: 0, first_sequence: 1, snapshot_sectors: 0 }
    }

    /// The superblock of a log that takes this one's place, in the other half.
    pub fn next(self, seed: u64, first_sequence: u64) -> Self {
        let (generation, half) = (self.generation.wrapping_add(1), 1 - self.half);
        Self { generation, seed, half, first_sequence, snapshot_sectors: 0, ..self }
    }

    /// The sector of the disk where the half in use begins.
    pub fn start(&self) -> u64 {
        HALVES_START + u64::from(self.half) * self.half_sectors
    }

    /// How many sectors of a disk both halves need.
    pub fn sectors(&self) -> u64 {
        HALVES_START.saturating_add(self.half_sectors.saturating_mul(2))
    }

    /// Where the log's first record belongs. Does not depend on `snapshot_sectors`, which is not known
    /// before the first records are written.
    pub fn first(&self) -> Position {
        let checksum = checksum::of(&[&self.generation.to_le_bytes(), &self.seed.to_le_bytes()]);
        Position { sector: 0, sequence: self.first_sequence, checksum }
    }

    /// A life for the records of this log: half of it is `random`, the other half shows that it is of this log.
    pub fn life(&self, random: u64) -> u64 {
        let random = random & u64::from(u32::MAX);
        u64::from(self.mark(random)) << 32 | random
    }

    /// Whether a record with this life was written to this log: to another one it is not, whatever the halves
    /// have held before.
    pub fn has_life(&self, life: u64) -> bool {
        self.life(life) == life
    }

    fn mark(&self, random: u64) -> u32 {
        let parts = [random, self.generation, self.seed].map(u64::to_le_bytes);
        checksum::of(&[&parts[0], &parts[1], &parts[2]])
    }

    /// The sector's bytes.
    pub fn encode(&self) -> [u8; SECTOR_BYTES] {
        let mut sector = [0; SECTOR_BYTES];
        sector[..8].copy_from_slice(&MAGIC);
        sector[8..12].copy_from_slice(&VERSION.to_le_bytes());
        sector[12..16].copy_from_slice(&self.half.to_le_bytes());
        let numbers =
            [self.generation, self.seed, self.half_sectors, self.first_sequence, self.snapshot_sectors];
        for (at, number) in numbers.iter().enumerate() {
            sector[16 + 8 * at..24 + 8 * at].copy_from_slice(&number.to_le_bytes());
        }
        let checksum = checksum::of(&[&sector[..CHECKSUM_AT]]);
        sector[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        sector
    }
}

impl Slot {
    /// What a sector holds.
    pub fn parse(sector: &[u8]) -> Self {
        if sector.iter().all(|byte| *byte == 0) {
            return Self::Blank;
        }
        if !sector.starts_with(&MAGIC) {
            return Self::Foreign;
        }
        let covered = &sector[..CHECKSUM_AT.min(sector.len())];
        if checksum::of(&[covered]) != u32_at(sector, CHECKSUM_AT) {
            return Self::Damaged;
        }
        match u32_at(sector, 8) {
            VERSION => Self::parse_numbers(sector),
            other => Self::OtherVersion(other),
        }
    }

    fn parse_numbers(sector: &[u8]) -> Self {
        let superblock = Superblock {
            half: u32_at(sector, 12),
            generation: u64_at(sector, 16),
            seed: u64_at(sector, 24),
            half_sectors: u64_at(sector, 32),
            first_sequence: u64_at(sector, 40),
            snapshot_sectors: u64_at(sector, 48),
        };
        let sound = superblock.half <= 1 && superblock.snapshot_sectors <= superblock.half_sectors;
        if sound { Self::Whole(superblock) } else { Self::Damaged }
    }
}
