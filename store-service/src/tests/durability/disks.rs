//! What a disk may hold at the start: a log, a damaged one, nothing, or something of somebody else's.

use std::string::ToString;
use std::vec::Vec;
use std::{assert, assert_eq, format};

use kernel_app::Instant;
use kernel_app::disk::{DiskError, SECTOR_BYTES};
use simulator::memory_disk::MemoryDisk;

use super::{Bench, SECTORS};
use crate::journal::{Journal, RecoveryError};
use crate::keyspace::Keyspace;
use crate::tests::CountingEntropy;

/// A disk with a key in its log, and what the log makes.
fn with_key() -> (MemoryDisk, Vec<u8>) {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "SET k v");
    (bench.disk().after_cut(), bench.contents())
}

fn refused(disk: MemoryDisk) -> std::string::String {
    let before = disk.bytes().to_vec();
    let mut kept = disk.clone();
    let error = Bench::on(disk, 2).err().expect("it must not be used");
    assert!(!error.contains('\n'), "{error}");
    assert!(kept.bytes_mut() == before, "and it is as it was");
    error
}

#[test]
fn one_damaged_superblock_is_survived_and_mended() {
    for slot in [0, 1] {
        for damage in [&[0xa5; SECTOR_BYTES][..], &[0; SECTOR_BYTES], b"votelog\nxxxx"] {
            let (mut disk, contents) = with_key();
            disk.bytes_mut()[slot * SECTOR_BYTES..][..damage.len()].copy_from_slice(damage);
            let mended = {
                let mut bench = Bench::on(disk, 2).unwrap_or_else(|error| panic!("slot {slot}: {error}"));
                bench.settle();
                assert!(bench.contents() == contents, "slot {slot}");
                bench.disk().after_cut()
            };
            let (first, rest) = mended.bytes().split_at(SECTOR_BYTES);
            assert!(first == &rest[..SECTOR_BYTES] && first.starts_with(b"votelog\n"), "slot {slot}");
        }
    }
}

#[test]
fn two_damaged_superblocks_are_an_error() {
    let (mut disk, _) = with_key();
    disk.bytes_mut()[100] ^= 1;
    disk.bytes_mut()[SECTOR_BYTES + 100] ^= 1;
    assert_eq!(refused(disk), RecoveryError::NoSuperblock.to_string());
}

#[test]
fn what_is_no_log_of_ours_is_never_overwritten() {
    for at in [0, 510, 2 * SECTOR_BYTES, 4096, 65_536, 1024 * 1024 - 1] {
        let mut disk = MemoryDisk::new(SECTORS);
        disk.bytes_mut()[at] = 1;
        assert_eq!(refused(disk), RecoveryError::Foreign.to_string(), "byte {at}");
    }
}

#[test]
fn a_format_that_was_cut_is_begun_anew() {
    let mut disk = MemoryDisk::new(SECTORS);
    disk.bytes_mut()[SECTOR_BYTES..2 * SECTOR_BYTES].fill(0xa5);
    let mut bench = Bench::on(disk, 1).expect("as good as blank");
    bench.settle();
    let client = bench.connect();
    bench.ask_durably(client, "SET k v");
    assert!(bench.restarted(2).contents() == bench.contents());
}

#[test]
fn another_version_is_an_error_that_names_it() {
    let (mut disk, _) = with_key();
    for slot in [0, 1] {
        let sector = &mut disk.bytes_mut()[slot * SECTOR_BYTES..(slot + 1) * SECTOR_BYTES];
        sector[8] = 9;
        let digest = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&sector[..508]);
        sector[508..].copy_from_slice(&digest.to_le_bytes());
    }
    assert_eq!(refused(disk), RecoveryError::OtherVersion(9).to_string());
}

#[test]
fn a_disk_that_is_too_small_or_has_shrunk_or_cannot_be_read_is_an_error() {
    let small = MemoryDisk::new(SECTORS - 1);
    assert_eq!(refused(small), RecoveryError::TooSmall((SECTORS as u64 - 1) * 512).to_string());
    let mut bench = Bench::on(MemoryDisk::new(SECTORS + 16), 1).expect("a blank disk");
    bench.settle();
    let shrunk = MemoryDisk::from_bytes(bench.disk().bytes()[..SECTORS * SECTOR_BYTES].to_vec());
    assert_eq!(refused(shrunk), RecoveryError::Shrunk(SECTORS as u64 + 8, SECTORS as u64).to_string());
    let (mut disk, _) = with_key();
    disk.read_error = Some(DiskError::Failed);
    assert_eq!(refused(disk), RecoveryError::Read(0, DiskError::Failed).to_string());
}

#[test]
fn a_disk_that_has_grown_is_used_as_it_was() {
    let (disk, contents) = with_key();
    let mut bytes = disk.bytes().to_vec();
    bytes.resize(bytes.len() * 2, 0);
    let bench = Bench::on(MemoryDisk::from_bytes(bytes), 2).expect("a log");
    assert!(bench.contents() == contents);
}

/// A disk with 24 MB of data, and a queue in it.
fn with_much() -> MemoryDisk {
    let mut bench =
        Bench::start(&[("MAXMEMORY", "64mb")], Some(MemoryDisk::new(16 * SECTORS)), 1).expect("blank");
    let client = bench.connect();
    for number in 0..400 {
        bench.ask_durably(client, &format!("SET k{number} {}", "v".repeat(60_000)));
    }
    bench.ask_durably(client, "HSET results voter 17");
    bench.ask_durably(client, "RPUSH votes a b");
    bench.disk().after_cut()
}

#[test]
fn data_above_maxmemory_is_loaded_but_cannot_grow() {
    let mut bench = Bench::start(&[("MAXMEMORY", "1mb")], Some(with_much()), 2).expect("data stay reachable");
    bench.settle();
    let client = bench.connect();
    let oom = r"-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    assert!(bench.ask_durably(client, "GET k399").starts_with(r"$60000\r\nvvv"));
    for request in ["SET k v", "RPUSH votes c", "HSET results other 1", "LMOVE votes mine LEFT RIGHT"] {
        assert_eq!(bench.ask_durably(client, request), oom, "{request}");
    }
    assert_eq!(bench.ask_durably(client, "HSET results voter 18"), r":0\r\n", "it takes no more than before");
    let mut used = usize::MAX;
    for number in 0..400 {
        assert_eq!(bench.ask_durably(client, &format!("DEL k{number}")), r":1\r\n");
        let before = used;
        used = bench.store.engine().keyspace().bytes();
        assert!(used < before, "{used} bytes after {before}");
    }
    assert_eq!(bench.ask_durably(client, "RPUSH votes c"), r":3\r\n");
}

#[test]
fn data_larger_than_memory_is_a_start_error_instead_of_a_panic() {
    let mut keyspace = Keyspace::new(1 << 20, [1, 2]);
    keyspace.set_loadable_bytes(20 << 20);
    let mut entropy = CountingEntropy(3);
    let opened = Journal::open(&mut with_much(), &mut keyspace, Instant::ZERO, &mut entropy, false);
    let error = opened.expect_err("too much").to_string();
    assert!(error.contains("more memory than this machine has: give the machine more"), "{error}");
}
