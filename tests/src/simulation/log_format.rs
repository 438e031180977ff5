//! The journal's format as far as a bug or a judge needs it: superblocks, and records made to look whole.
//!
//! Knows nothing of what records hold. The format is described in `docs/durability.md`.

use crc::{CRC_32_ISCSI, Crc};
use kernel_app::disk::{Disk, SECTOR_BYTES};

/// CRC32C.
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The superblocks are the first sectors of a disk.
pub const SUPERBLOCKS: u64 = 2;
/// The first sector of the first half.
pub const HALVES_START: u64 = 8;

const SUPERBLOCK_MAGIC: &[u8] = b"votelog\n";
const RECORD_MAGIC: &[u8] = b"vrec";
const HEADER_BYTES: usize = 32;
const CHECKSUM_AT: usize = 28;

/// The first sector of the half that a superblock at `sector` names, and the half's sectors.
pub fn half(sector: u64, data: &[u8]) -> Option<(u64, u64)> {
    let start = if sector > 1 { None } else { newest(data) }?;
    let sectors = u64_at(start, 32)?;
    Some((HALVES_START + u64::from(u32_at(start, 12)?) * sectors, sectors))
}

/// The half of a disk that holds its log.
#[derive(Clone, Copy, Debug)]
pub struct Half {
    /// Its first sector on the disk.
    pub start: u64,
    /// How many it has.
    pub sectors: u64,
    /// So many of them, at its start, were written by a compaction.
    pub compacted: u64,
}

/// The half in use, as the newer of the two superblocks says.
pub fn half_in_use(first: &[u8], second: &[u8]) -> Option<Half> {
    let both = [first, second].concat();
    let (start, sectors) = half(0, &both)?;
    Some(Half { start, sectors, compacted: u64_at(newest(&both)?, 48)? })
}

/// What a record's header says of it.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Whether its unit goes on in the next record.
    pub continues: bool,
    /// What the next record's checksum begins with.
    pub checksum: u32,
}

/// The header of a record, if that is what begins here.
pub fn header(data: &[u8]) -> Option<Header> {
    let is_record = data.starts_with(RECORD_MAGIC);
    let (flags, checksum) = (u32_at(data, 24)?, u32_at(data, CHECKSUM_AT)?);
    is_record.then_some(Header { continues: flags != 0, checksum })
}

/// Gives a record another place in the log: so many records later, behind one with this checksum.
pub fn put_behind(record: &mut [u8], records: u64, checksum: u32) {
    let Some((bytes, sequence)) = u32_at(record, 4).zip(u64_at(record, 8)) else { return };
    record[8..16].copy_from_slice(&(sequence + records).to_le_bytes());
    let (header, rest) = record.split_at(HEADER_BYTES);
    let payload = rest.get(..bytes as usize).unwrap_or(rest);
    let checksum = crc32c(&[&checksum.to_le_bytes(), &header[..CHECKSUM_AT], payload]);
    record[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
}

/// The superblock with the largest generation. One that a power cut has torn does not count.
fn newest(data: &[u8]) -> Option<&[u8]> {
    let is_whole = |slot: &&[u8]| {
        let (covered, checksum) = slot.split_at(SECTOR_BYTES - 4);
        slot.starts_with(SUPERBLOCK_MAGIC) && checksum == crc32c(&[covered]).to_le_bytes()
    };
    let slots = data.chunks_exact(SECTOR_BYTES).take(2).filter(is_whole);
    slots.max_by_key(|slot| u64_at(slot, 16))
}

/// All of the disk; sectors that cannot be read are zeros. Says whether there are such.
pub fn read_all(disk: &mut dyn Disk) -> (Vec<u8>, bool) {
    let mut copy = vec![0; disk.sectors() as usize * SECTOR_BYTES];
    if disk.read(0, &mut copy).is_ok() {
        return (copy, false);
    }
    for (number, sector) in (0..).zip(copy.chunks_mut(SECTOR_BYTES)) {
        if disk.read(number, sector).is_err() {
            sector.fill(0);
        }
    }
    (copy, true)
}

/// Makes every record of the log have the checksum that belongs there.
pub fn believe(copy: &mut [u8]) {
    walk(copy, |record, checksum| record[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes()));
}

/// Ends the log where a record is not what it should be; says whether there is more behind.
pub fn end_at_damage(copy: &mut [u8]) -> bool {
    let is_right = |record: &mut [u8], checksum: u32| u32_at(record, CHECKSUM_AT) == Some(checksum);
    let mut is_whole = true;
    let end = walk(copy, |record, checksum| is_whole &= is_right(record, checksum));
    let Some((start, sectors)) = half(0, copy) else { return false };
    let end = if is_whole { end.unwrap_or(0) } else { first_wrong(copy, is_right) };
    let half = &mut copy[start as usize * SECTOR_BYTES..(start + sectors) as usize * SECTOR_BYTES];
    let had_more = half[end..].iter().any(|byte| *byte != 0);
    half[end..].fill(0);
    had_more
}

/// Where the first record begins, from the half's start, that is not right.
fn first_wrong(copy: &mut [u8], is_right: impl Fn(&mut [u8], u32) -> bool) -> usize {
    let (mut at, mut is_found) = (0, false);
    walk(copy, |record, checksum| {
        is_found |= !is_right(record, checksum);
        if !is_found {
            at += record.len().next_multiple_of(SECTOR_BYTES);
        }
    });
    at
}

/// Shows the log's records with the checksums that belong there; says where it ends, from the half's start.
fn walk(copy: &mut [u8], mut see: impl FnMut(&mut [u8], u32)) -> Option<usize> {
    let superblock = newest(copy)?;
    let (start, sectors) = half(0, copy)?;
    let mut checksum = crc32c(&[&superblock[16..24], &superblock[24..32]]);
    let mut sequence = u64_at(superblock, 40)?;
    let half = copy.get_mut(start as usize * SECTOR_BYTES..(start + sectors) as usize * SECTOR_BYTES)?;
    let mut at = 0;
    while half[at..].starts_with(RECORD_MAGIC) && u64_at(&half[at..], 8) == Some(sequence) {
        let bytes = HEADER_BYTES + u32_at(&half[at..], 4)? as usize;
        let Some(record) = half.get_mut(at..at + bytes) else { break };
        let (header, payload) = record.split_at(HEADER_BYTES);
        checksum = crc32c(&[&checksum.to_le_bytes(), &header[..CHECKSUM_AT], payload]);
        see(record, checksum);
        at += bytes.next_multiple_of(SECTOR_BYTES);
        sequence += 1;
    }
    Some(at)
}

fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut digest = CRC32C.digest();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
