//! Damage to what was durable: told apart from a write that was cut, with what it takes along, and accepted only by
//! whoever says so.

use std::string::String;
use std::vec::Vec;
use std::{assert, assert_eq, format};

use kernel_app::disk::{DiskError, SECTOR_BYTES};
use simulator::memory_disk::{MemoryDisk, Torn};

use super::compaction::compact;
use super::{Bench, SECTORS};

/// A log of two lives: the disk, each record's place and size in sectors, and what was there before each.
struct Log {
    disk: MemoryDisk,
    records: Vec<(u64, u64)>,
    before: Vec<Vec<u8>>,
}

fn log_of_two_lives() -> Log {
    let mut bench = Bench::durable();
    let (mut records, mut before) = (Vec::new(), Vec::new());
    for life in [2, 3] {
        let client = bench.connect();
        for number in 0..3 {
            before.push(bench.contents());
            bench.ask_durably(client, &format!("RPUSH q{life} {number}{}", "x".repeat(600 * number)));
        }
        records.extend(bench.disk().writes().iter().filter(|write| write.0 > 1).map(place));
        before.push(bench.contents());
        bench = bench.restarted(life);
    }
    records.extend(bench.disk().writes().iter().filter(|write| write.0 > 1).map(place));
    Log { disk: bench.disk().after_cut(), records, before }
}

fn place((sector, data): &(u64, Vec<u8>)) -> (u64, u64) {
    (*sector, (data.len() / SECTOR_BYTES) as u64)
}

fn refused(disk: &MemoryDisk) -> String {
    let error = Bench::on(disk.clone(), 9).err().expect("it must not be used");
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn a_flipped_bit_is_detected_except_in_the_last_record() {
    let Log { disk, records, before } = log_of_two_lives();
    assert_eq!((records.len(), before.len()), (8, 8), "three of each life, and what each restart began with");
    for (number, (sector, sectors)) in records.iter().enumerate() {
        let from = *sector as usize * SECTOR_BYTES;
        // Padding is nobody's: it is less than a sector.
        let bytes = (*sectors as usize - 1) * SECTOR_BYTES;
        for byte in (0..32).chain((32..bytes).step_by(97)) {
            let mut damaged = disk.clone();
            damaged.bytes_mut()[from + byte] ^= 1 << (byte % 8);
            if number + 1 == records.len() {
                assert!(Bench::on(damaged, 9).is_ok_and(|bench| bench.contents() == before[number]));
                continue;
            }
            let error = refused(&damaged);
            let place =
                format!("record {} of the log, at sector {sector} of the disk, is damaged", number + 1);
            assert!(error.contains(&place), "byte {byte}: {error}");
            let behind = records.len() - number - 1;
            let count = if behind == 1 {
                "a later record follows it".into()
            } else {
                format!("{behind} later records")
            };
            assert!(error.contains(&count), "byte {byte}: {error}");
            assert!(error.contains("RECOVER=accept-loss"), "{error}");
            assert!(number > 5 || error.contains(" q3"), "byte {byte}: {error}");
        }
    }
}

#[test]
fn whole_sectors_that_are_lost_are_told_too() {
    let Log { disk, records, .. } = log_of_two_lives();
    for count in 1..records.len() {
        let mut damaged = disk.clone();
        let (first, last) = (records[0].0 as usize, records[count].0 as usize);
        damaged.bytes_mut()[first * SECTOR_BYTES..last * SECTOR_BYTES].fill(0);
        let error = refused(&damaged);
        assert!(error.contains(&format!("record 1 of the log, at sector {first} ")), "{error}");
        assert!(error.contains("up to number 8") || error.contains("(number 8)"), "{error}");
    }
}

#[test]
fn accept_loss_keeps_data_before_the_damage_and_writes_to_the_other_half() {
    let Log { disk, records, before } = log_of_two_lives();
    for (number, (sector, _)) in records[..records.len() - 1].iter().enumerate() {
        let mut damaged = disk.clone();
        damaged.bytes_mut()[*sector as usize * SECTOR_BYTES + 28] ^= 1;
        let mut bench =
            Bench::start(&[("RECOVER", "accept-loss")], Some(damaged.clone()), 9).expect("told to");
        assert!(bench.contents() == before[number], "record {number}");
        bench.settle();
        let client = bench.connect();
        assert_eq!(bench.ask_durably(client, "RPUSH later x"), r":1\r\n");
        let half = 8 * SECTOR_BYTES..(8 + (SECTORS - 8) / 2 / 8 * 8) * SECTOR_BYTES;
        assert!(
            bench.disk().bytes()[half.clone()] == damaged.bytes()[half],
            "the damaged half stays as it is"
        );
        assert!(bench.restarted(10).contents() == bench.contents(), "and no longer counts");
    }
}

#[test]
fn a_power_cut_during_accept_loss_leaves_the_damage_unchanged() {
    let Log { mut disk, records, before } = log_of_two_lives();
    disk.bytes_mut()[records[3].0 as usize * SECTOR_BYTES + 28] ^= 1;
    let accepts = [("RECOVER", "accept-loss")];
    let mut bench = Bench::start(&accepts, Some(disk.clone()), 9).expect("told to");
    bench.settle();
    for (sector, data) in bench.disk().writes().to_vec() {
        for torn in [Torn::Old, Torn::Garbage] {
            let mut cut = disk.clone();
            cut.tear(sector, &data, |_| torn);
            let mut next = Bench::start(&accepts, Some(cut), 10).expect("told to");
            next.settle();
            assert!(next.contents() == before[3], "sector {sector}, {torn:?}");
        }
        disk.tear(sector, &data, |_| Torn::New);
    }
}

#[test]
fn accept_loss_on_a_failing_disk_leaves_the_damaged_half_unchanged() {
    let Log { mut disk, records, before } = log_of_two_lives();
    disk.bytes_mut()[records[3].0 as usize * SECTOR_BYTES + 28] ^= 1;
    let start = disk.bytes().to_vec();
    for late in [false, true] {
        let mut failing = disk.clone();
        (failing.error, failing.fails_late) = (Some(DiskError::Failed), late);
        let mut bench = Bench::start(&[("RECOVER", "accept-loss")], Some(failing), 9).expect("told to");
        for _ in 0..4 {
            bench.wait(5_000);
        }
        bench.disk().error = None;
        bench.wait(20_000);
        bench.settle();
        let half = 8 * SECTOR_BYTES..(8 + (SECTORS - 8) / 2 / 8 * 8) * SECTOR_BYTES;
        assert!(bench.disk().bytes()[half.clone()] == start[half], "late: {late}");
        assert!(bench.restarted(10).contents() == before[3], "late: {late}");
    }
}

#[test]
fn a_ticket_counter_is_never_behind_the_tickets_in_a_damaged_snapshot() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "INCRBY votes:ticket 41");
    for number in 0..90 {
        bench.ask_durably(client, &format!("HSET results:a {number}{} 41", "x".repeat(5_000)));
    }
    let before = compact(&mut bench, client);
    let snapshot: Vec<_> =
        bench.disk().writes()[before..].iter().filter(|write| write.0 > 1).map(place).collect();
    assert!(snapshot.len() > 3, "several records");
    let mut kept = [0; 2];
    for (sector, _) in &snapshot[..3] {
        let mut damaged = bench.disk().after_cut();
        damaged.bytes_mut()[*sector as usize * SECTOR_BYTES + 28] ^= 1;
        let mut left = Bench::start(&[("RECOVER", "accept-loss")], Some(damaged), 9).expect("told to");
        left.settle();
        let client = left.connect();
        let has_results = left.ask_durably(client, "HLEN results:a") != r":0\r\n";
        let has_counter = left.ask_durably(client, "GET votes:ticket") == r"$2\r\n41\r\n";
        assert!(has_counter || !has_results, "what is accepted next would be older than what is kept");
        kept[usize::from(has_results)] += 1;
    }
    assert!(kept.iter().all(|count| *count > 0), "with and without results: {kept:?}");
}

#[test]
fn the_setting_has_one_word() {
    let settings = kernel_app::Settings::from_pairs([("RECOVER", "yes")]);
    let error = crate::Store::new(&settings).expect_err("not the word");
    assert!(format!("{error}").contains("accept-loss"), "{error}");
}

/// A bench with a transaction of three records that failed in the record with this number, which is there all the same.
pub(super) fn failed_transaction(failing: usize) -> Bench {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "SET before 1");
    bench.send(client, b"MULTI\r\n");
    for number in 0..7 {
        bench.send(client, format!("SET k{number} {}\r\n", "v".repeat(50_000)).as_bytes());
    }
    bench.send(client, b"EXEC\r\n");
    for _ in 0..failing {
        bench.turn();
    }
    bench.disk().error = Some(DiskError::Failed);
    bench.disk().fails_late = true;
    bench.turn();
    bench.disk().error = None;
    bench
}

#[test]
fn a_transaction_torn_by_a_failed_write_is_not_mistaken_for_damage() {
    for failing in 0..3 {
        let mut bench = failed_transaction(failing);
        let before = bench.disk().writes().len();
        let start = bench.disk().after_cut();
        for _ in 0..20 {
            bench.wait(1_000);
        }
        bench.settle();
        let contents = bench.contents();
        let mut disk = start;
        for (sector, data) in bench.disk().writes()[before..].iter().cloned() {
            for torn in [Torn::Old, Torn::Garbage] {
                let mut cut = disk.clone();
                cut.tear(sector, &data, |_| torn);
                let mut restarted =
                    Bench::on(cut, 2).unwrap_or_else(|error| panic!("part {failing}: {error}"));
                restarted.settle();
                assert!(restarted.restarted(3).contents() == restarted.contents(), "part {failing}");
            }
            disk.tear(sector, &data, |_| Torn::New);
        }
        assert!(bench.restarted(2).contents() == contents, "part {failing}");
    }
}

#[test]
fn a_transaction_torn_by_a_power_cut_is_not_mistaken_for_damage() {
    let mut bench = failed_transaction(1);
    let mut disk = bench.disk().after_cut();
    let mut restarted = Bench::on(disk.clone(), 2).expect("a transaction that was cut");
    restarted.settle();
    for (sector, data) in restarted.disk().writes().to_vec() {
        for torn in [Torn::Old, Torn::Garbage] {
            let mut cut = disk.clone();
            cut.tear(sector, &data, |_| torn);
            let next = Bench::on(cut, 3).unwrap_or_else(|error| panic!("sector {sector}: {error}"));
            assert!(next.contents() == restarted.contents(), "sector {sector}");
        }
        disk.tear(sector, &data, |_| Torn::New);
    }
}

#[test]
fn a_disk_whose_beginning_has_become_zeros_is_not_formatted() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    for number in 0..40 {
        bench.ask_durably(client, &format!("SET k{number} {}", "v".repeat(30_000)));
    }
    let mut disk = bench.disk().after_cut();
    disk.bytes_mut()[..1024 * 1024].fill(0);
    let error = refused(&disk);
    assert!(error.contains("the beginning of the disk is zeros, but sector 20"), "{error}");
}

#[test]
fn an_unreadable_sector_is_named_and_accept_loss_treats_it_as_damage() {
    let Log { disk, records, before } = log_of_two_lives();
    for (number, (sector, sectors)) in records.iter().enumerate() {
        for unreadable in [*sector, sector + sectors - 1] {
            let mut damaged = disk.clone();
            damaged.unreadable.push(unreadable);
            let error = refused(&damaged);
            let place = format!("sector {unreadable} of the disk (byte {}) cannot be read", unreadable * 512);
            assert!(error.contains(&place) && error.contains("RECOVER=accept-loss"), "{error}");
            let mut bench = Bench::start(&[("RECOVER", "accept-loss")], Some(damaged), 9).expect("told to");
            assert!(bench.contents() == before[number.min(before.len() - 1)], "record {number}");
            bench.settle();
            let client = bench.connect();
            assert_eq!(bench.ask_durably(client, "RPUSH later x"), r":1\r\n");
            assert!(bench.disk().unreadable == [unreadable], "the damaged half stays as it is");
        }
    }
}

#[test]
fn an_unreadable_sector_after_the_log_counts_as_damage() {
    let Log { mut disk, before, .. } = log_of_two_lives();
    disk.unreadable.extend([3_000, 3_001, 3_007]);
    let error = refused(&disk);
    assert!(error.contains("sector 3000 of the disk (byte 1536000) cannot be read"), "{error}");
    assert!(error.contains("nor can others up to sector 3007 (Input/output error)"), "{error}");
    let bench = Bench::start(&[("RECOVER", "accept-loss")], Some(disk), 9).expect("told to");
    assert!(Some(&bench.contents()) == before.last());
}

#[test]
fn an_unreadable_superblock_refuses_the_start() {
    let Log { disk, before, .. } = log_of_two_lives();
    for sector in [0, 1] {
        let mut damaged = disk.clone();
        damaged.unreadable.push(sector);
        let error = refused(&damaged);
        assert!(
            error.contains(&format!("sector {sector} of the disk (byte {}) cannot be read", sector * 512))
        );
        let mut bench = Bench::start(&[("RECOVER", "accept-loss")], Some(damaged), 9).expect("told to");
        bench.settle();
        assert!(Some(&bench.contents()) == before.last());
        assert!(bench.disk().unreadable.is_empty(), "it is written again");
    }
    let mut damaged = disk;
    damaged.unreadable.extend([0, 1]);
    let error = Bench::start(&[("RECOVER", "accept-loss")], Some(damaged), 9).err().expect("nothing tells");
    assert!(error.contains("both superblocks"), "{error}");
}
