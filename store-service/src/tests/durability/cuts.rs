//! Cuts of the power at every write, with every sector of it old, new or garbage.

use std::vec::Vec;
use std::{assert, assert_eq, format};

use kernel_app::disk::SECTOR_BYTES;
use simulator::memory_disk::{MemoryDisk, Torn};

use super::{Bench, SECTORS};

/// A small generator (xorshift) with a fixed seed: the same commands in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Ways in which the sectors of a write that was cut may be torn; none leaves all of them new.
fn tears(sectors: usize) -> Vec<Vec<Torn>> {
    let all = |torn| std::vec![torn; sectors];
    let mut tears = std::vec![all(Torn::Old), all(Torn::Garbage)];
    for at in 0..sectors {
        for (others, one) in [(Torn::New, Torn::Old), (Torn::New, Torn::Garbage), (Torn::Old, Torn::New)] {
            let mut tear = all(others);
            tear[at] = one;
            tears.push(tear);
        }
    }
    tears.retain(|tear| tear.iter().any(|torn| *torn != Torn::New));
    tears
}

/// The disk after the first writes of a history.
fn after(history: &[(u64, Vec<u8>)]) -> MemoryDisk {
    let mut disk = MemoryDisk::new(SECTORS);
    for (sector, data) in history {
        disk.tear(*sector, data, |_| Torn::New);
    }
    disk
}

/// Cuts the power in each of the writes from `from` on, in all ways. `states[n]` is what must be there once
/// `n` writes have ended. Afterwards the store goes on.
fn cut_everywhere(history: &[(u64, Vec<u8>)], from: usize, states: &[Vec<u8>]) {
    for count in from..history.len() {
        let (sector, data) = &history[count];
        for (number, tear) in tears(data.len() / SECTOR_BYTES).iter().enumerate() {
            let mut disk = after(&history[..count]);
            disk.tear(*sector, data, |at| tear[at]);
            let mut bench = Bench::on(disk, 100).unwrap_or_else(|error| panic!("write {count}: {error}"));
            assert!(bench.contents() == states[count], "write {count}, torn as {tear:?}");
            if number % 5 == 0 {
                bench.settle();
                let client = bench.connect();
                assert_eq!(bench.ask_durably(client, "RPUSH later x"), r":1\r\n");
                assert!(bench.restarted(101).contents() == bench.contents(), "write {count}, once more");
            }
        }
    }
}

#[test]
fn a_power_cut_at_any_sector_keeps_acknowledged_data_and_whole_units() {
    let mut bench = Bench::on(MemoryDisk::new(SECTORS), 1).expect("a blank disk");
    let client = bench.connect();
    bench.settle();
    let mut states = std::vec![Vec::new(); bench.disk().writes().len()];
    let large = "x".repeat(1_500);
    for request in [
        "RPUSH votes a b c d",
        "LMOVE votes mine LEFT RIGHT",
        "MULTI\r\nHSET results:a v 1\r\nHDEL results:b v\r\nLREM mine 1 a\r\nEXEC",
        &format!("SET k {large}"),
        &format!("RPUSH votes {large}\r\nINCR n\r\nLPOP votes"),
        "FLUSHALL",
        "RPUSH votes after",
    ] {
        let before = bench.contents();
        bench.ask_durably(client, request);
        states.resize(bench.disk().writes().len(), before);
    }
    states.push(bench.contents());
    cut_everywhere(bench.disk().writes(), 0, &states);
}

#[test]
fn a_transaction_larger_than_one_write_is_atomic() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "SET before 1");
    let before = (bench.disk().writes().len(), bench.contents());
    bench.send(client, b"MULTI\r\n");
    for number in 0..7 {
        bench.send(client, format!("SET k{number} {}\r\n", "v".repeat(50_000)).as_bytes());
    }
    bench.ask_durably(client, "EXEC");
    let writes = bench.disk().writes().len();
    assert_eq!(writes - before.0, 3, "350 kB in records of 128 KiB");
    for count in before.0..writes {
        let disk = after(&bench.disk().writes()[..count]);
        let mut restarted = Bench::on(disk, 2).expect("a log");
        assert!(restarted.contents() == before.1, "after {count} writes");
        restarted.settle();
        let client = restarted.connect();
        restarted.ask_durably(client, "SET after 1");
        assert!(restarted.restarted(3).contents() == restarted.contents(), "after {count} writes");
    }
    assert!(bench.restarted(2).contents() == bench.contents());
}

#[test]
fn a_power_cut_under_load_keeps_acknowledged_data_and_a_prefix_of_others() {
    let mut random = Random(2026);
    for round in 0..60 {
        let mut bench = Bench::durable();
        let client = bench.connect();
        let mut states = std::vec![bench.contents()];
        let mut acknowledged = 0;
        for step in 0..40 {
            for _ in 0..random.below(4) {
                let command = match random.below(5) {
                    0 => format!("RPUSH q {step}"),
                    1 => format!("SET k{} {}", random.below(3), "v".repeat(random.below(3_000) as usize)),
                    2 => format!("HSET h f{} {step}", random.below(9)),
                    3 => "INCR n".into(),
                    _ => "RPUSH q2 1".into(),
                };
                bench.deliver(client, format!("{command}\r\n").as_bytes());
                states.push(bench.contents());
            }
            bench.disk().hangs = random.below(3) != 0;
            bench.turn();
            acknowledged += bench.received(client).matches(r"\n").count();
        }
        let state = bench.restarted(2).contents();
        let found = states.iter().rposition(|other| *other == state).expect("a state that there was");
        assert!(found >= acknowledged, "round {round}: {found} of {acknowledged} acknowledged");
    }
}

#[test]
fn old_records_after_the_tail_are_never_read_as_part_of_the_log() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    let mut ends = Vec::new();
    for number in 0..4 {
        bench.ask_durably(client, &format!("RPUSH q {number}"));
        ends.push(bench.disk().writes().len());
    }
    // The second record is lost, the later ones are not, and whoever runs the store goes on all the same.
    let mut disk = bench.disk().after_cut();
    let (sector, data) = bench.disk().writes()[ends[0]].clone();
    disk.tear(sector, &data, |_| Torn::Garbage);
    let mut next = Bench::start(&[("RECOVER", "accept-loss")], Some(disk), 1).expect("a log");
    next.settle();
    let client = next.connect();
    assert_eq!(next.ask_durably(client, "LRANGE q 0 -1"), r"*1\r\n$1\r\n0\r\n");
    for number in 1..3 {
        next.ask_durably(client, &format!("RPUSH q {number}"));
        assert!(next.restarted(1).contents() == next.contents(), "with record {number} written again");
    }
}

#[test]
fn no_two_lives_begin_with_the_same_record() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "RPUSH q 1");
    let mut second = bench.restarted(2);
    let client = second.connect();
    second.ask_durably(client, "RPUSH q 2");
    // The record that the second life began with is lost, and what stood behind it is not.
    let mut disk = second.disk().after_cut();
    let (sector, data) = second.disk().writes()[0].clone();
    disk.tear(sector, &data, |_| Torn::Garbage);
    let mut third = Bench::start(&[("RECOVER", "accept-loss")], Some(disk), 3).expect("a log");
    third.settle();
    assert!(third.contents() == bench.contents());
    assert!(third.restarted(4).contents() == bench.contents());
}

#[test]
fn a_torn_tail_is_told() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "RPUSH q 1");
    let mut disk = bench.disk().after_cut();
    bench.ask_durably(client, &format!("SET k {}", "v".repeat(2_000)));
    let (sector, data) = bench.disk().writes().last().expect("a write").clone();
    disk.tear(sector, &data, |at| if at == 2 { Torn::Garbage } else { Torn::New });
    let restarted = Bench::on(disk, 2).expect("a log");
    let found = restarted.store.engine().found().expect("told by the first turn");
    assert!(found.contains("recovered 1 keys from 512 bytes of log (1 records, 1 commands)"), "{found}");
    assert!(found.contains("2560 bytes of torn records after sector 1 were dropped"), "{found}");
}
