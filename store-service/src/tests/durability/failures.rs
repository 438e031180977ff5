//! Failures and what they leave behind: nothing is carried into what comes after them, in memory or on the disk.

use std::vec::Vec;
use std::{assert, assert_eq, format};

use kernel_app::disk::{DiskError, SECTOR_BYTES};
use simulator::memory_disk::Torn;

use super::Bench;
use super::compaction::{begin_compaction, compact, nearly_compacted};

/// Lets the write under way fail; the power is not cut.
fn fail(bench: &mut Bench, late: bool) {
    bench.disk().error = Some(DiskError::Failed);
    bench.disk().fails_late = late;
    bench.turn();
    bench.turn();
    bench.disk().error = None;
}

fn recover(bench: &mut Bench) {
    bench.wait(5_000);
    bench.settle();
}

/// Turns until the superblock that ends a compaction is being written.
fn until_flip(bench: &mut Bench) {
    for _ in 0..100 {
        // Sector 1 is written for that only.
        if bench.disk().under_way().is_some_and(|write| write.0 == 1) {
            return;
        }
        bench.turn();
    }
    panic!("the compaction never ends");
}

#[test]
fn repeated_failed_commits_leave_no_gap_in_the_log() {
    for late in [false, true] {
        let mut bench = Bench::durable();
        for round in 0..4 {
            let client = bench.connect();
            assert_eq!(
                bench.ask_durably(client, &format!("RPUSH q {round}")),
                format!(r":{}\r\n", round + 1)
            );
            bench.send(client, format!("SET k {}\r\n", "v".repeat(1_500 * (4 - round))).as_bytes());
            fail(&mut bench, late);
            bench.disconnect(client);
            recover(&mut bench);
            assert!(bench.restarted(2).contents() == bench.contents(), "round {round}, late: {late}");
        }
    }
}

#[test]
fn a_transaction_that_failed_in_any_of_its_records_leaves_no_gap() {
    for failing in 0..3 {
        let mut bench = super::damage::failed_transaction(failing);
        recover(&mut bench);
        let client = bench.connect();
        assert_eq!(bench.ask_durably(client, "SET after 1"), r"+OK\r\n");
        assert_eq!(bench.ask_durably(client, "DBSIZE"), r":2\r\n", "nothing of the transaction");
        assert!(bench.restarted(2).contents() == bench.contents(), "record {failing}");
    }
}

#[test]
fn a_failed_superblock_write_is_undecided_until_a_retry_succeeds() {
    for late in [false, true] {
        let (mut bench, client) = nearly_compacted();
        begin_compaction(&mut bench, client);
        until_flip(&mut bench);
        fail(&mut bench, late);
        let client = bench.connect();
        assert!(bench.ask(client, "SET k other").starts_with("-MISCONF"), "nobody knows where to write");
        recover(&mut bench);
        for number in 0..20 {
            assert_eq!(
                bench.ask_durably(client, &format!("RPUSH after {number}")),
                format!(r":{}\r\n", number + 1)
            );
            assert!(bench.restarted(2).contents() == bench.contents(), "push {number}, late: {late}");
        }
    }
}

#[test]
fn a_superblock_write_that_left_garbage_is_retried_in_place() {
    let (mut bench, client) = nearly_compacted();
    begin_compaction(&mut bench, client);
    until_flip(&mut bench);
    let before = bench.contents();
    fail(&mut bench, false);
    bench.disk().bytes_mut()[SECTOR_BYTES..2 * SECTOR_BYTES].fill(0xa5);
    bench.wait(5_000);
    let sector = bench.disk().under_way().expect("it is tried again").0;
    let mut cut = bench.disk().after_cut();
    cut.tear(sector, &[0; SECTOR_BYTES], |_| Torn::Garbage);
    assert!(Bench::on(cut, 2).expect("one superblock is always whole").contents() == before);
}

#[test]
fn commands_executed_during_a_failed_commit_are_undone_too() {
    for late in [false, true] {
        let mut bench = Bench::durable();
        let [first, second] = core::array::from_fn(|_| bench.connect());
        bench.ask_durably(first, "RPUSH q 0");
        bench.disk().hangs = true;
        bench.send(first, b"RPUSH q 1\r\n");
        bench.send(second, b"RPUSH q 2\r\n");
        bench.disk().hangs = false;
        fail(&mut bench, late);
        recover(&mut bench);
        let client = bench.connect();
        assert_eq!(bench.ask_durably(client, "LRANGE q 0 -1"), r"*1\r\n$1\r\n0\r\n");
        assert_eq!(bench.ask_durably(client, "RPUSH q 3"), r":2\r\n");
        assert!(bench.restarted(2).contents() == bench.contents(), "late: {late}");
    }
}

#[test]
fn nobody_is_answered_before_the_last_record_of_a_commit_is_durable() {
    let mut bench = Bench::durable();
    let clients: [_; 6] = core::array::from_fn(|_| bench.connect());
    bench.disk().hangs = true;
    bench.ask(clients[0], "SET first 1");
    for (number, client) in clients.iter().enumerate() {
        bench.send(*client, format!("SET k{number} {}\r\n", "v".repeat(60_000)).as_bytes());
    }
    bench.disk().hangs = false;
    let mut told = 0;
    for _ in 0..20 {
        bench.turn();
        let durable = Bench::on(bench.disk().after_cut(), 2).expect("a log");
        for (number, client) in clients.iter().enumerate() {
            if bench.received(*client).contains("+OK") && number > 0 {
                told += 1;
                let key = format!("\r\nk{number}\r\n");
                let held = durable.contents();
                assert!(held.windows(key.len()).any(|bytes| bytes == key.as_bytes()), "client {number}");
            }
        }
    }
    assert_eq!(told, 5);
}

#[test]
fn a_store_stops_when_recovery_after_a_failed_write_finds_damage() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "SET a 1");
    bench.ask_durably(client, "SET b 2");
    let (sector, _) = bench.disk().writes().last().expect("a record").clone();
    bench.disk().bytes_mut()[sector as usize * SECTOR_BYTES + 40] ^= 1;
    bench.send(client, b"SET c 3\r\n");
    fail(&mut bench, false);
    let writes = bench.disk().writes().len();
    let client = bench.connect();
    for _ in 0..5 {
        bench.wait(5_000);
        assert!(bench.ask(client, "GET a").starts_with("-LOADING"));
        assert!(bench.ask(client, "SET c 3").starts_with("-LOADING"));
    }
    assert_eq!(bench.disk().writes().len(), writes, "nothing is written over what is left");
}

#[test]
fn a_failure_after_a_compaction_recovers_from_the_compacted_log() {
    let (mut bench, client) = nearly_compacted();
    compact(&mut bench, client);
    let (first, rest) = bench.disk().bytes().split_at(SECTOR_BYTES);
    assert!(first == &rest[..SECTOR_BYTES]);
    for round in 0..3 {
        let before = bench.contents();
        let client = bench.connect();
        bench.send(client, b"DEL q h\r\n");
        fail(&mut bench, false);
        recover(&mut bench);
        assert!(bench.contents() == before, "round {round}");
        let client = bench.connect();
        assert_eq!(bench.ask_durably(client, "RPUSH q more"), format!(r":{}\r\n", 301 + round));
        assert!(bench.restarted(2).contents() == bench.contents(), "round {round}");
    }
}

#[test]
fn a_flipped_bit_in_a_compacted_log_is_reported_with_what_follows() {
    let (mut bench, client) = nearly_compacted();
    let first = compact(&mut bench, client);
    for number in 0..3 {
        bench.ask_durably(client, &format!("RPUSH later {number}"));
    }
    let writes: Vec<_> = bench.disk().writes()[first..].iter().filter(|write| write.0 > 1).cloned().collect();
    assert!(writes.len() >= 5, "parts of the snapshot, and records behind it");
    for (number, (sector, _)) in writes[..writes.len() - 1].iter().enumerate() {
        let mut disk = bench.disk().after_cut();
        disk.bytes_mut()[*sector as usize * SECTOR_BYTES + 20] ^= 1;
        let error = Bench::on(disk, 3).err().expect("damage");
        let behind = writes.len() - 1 - number;
        let count = if behind == 1 {
            "a later record follows".into()
        } else {
            format!("{behind} later records follow")
        };
        assert!(
            error.contains(&format!("at sector {sector} of the disk")) && error.contains(&count),
            "{error}"
        );
    }
}

#[test]
fn the_newer_superblock_counts_in_whichever_place_it_is() {
    let (mut bench, client) = nearly_compacted();
    let older = bench.disk().bytes()[..SECTOR_BYTES].to_vec();
    compact(&mut bench, client);
    bench.ask_durably(client, "RPUSH later 1");
    for slot in [0, 1] {
        let mut disk = bench.disk().after_cut();
        disk.bytes_mut()[slot * SECTOR_BYTES..][..SECTOR_BYTES].copy_from_slice(&older);
        let found = Bench::on(disk, 3).expect("a log");
        assert!(found.contents() == bench.contents(), "slot {slot}");
        let text = found.store.engine().found().expect("told by the first turn");
        assert!(text.contains(&format!("superblock {slot} was damaged or older")), "{text}");
    }
}

#[test]
fn unflushed_compaction_writes_do_not_count() {
    let (mut bench, client) = nearly_compacted();
    begin_compaction(&mut bench, client);
    let before = bench.contents();
    for _ in 0..100 {
        let cut = Bench::on(bench.disk().after_cut(), 2).expect("a log");
        assert!(cut.contents() == before);
        if let Some((1, superblock)) = bench.disk().under_way().cloned() {
            let mut disk = bench.disk().after_cut();
            disk.tear(1, &superblock, |_| Torn::New);
            assert!(Bench::on(disk, 2).expect("a log").contents() == before, "it may be the first to arrive");
        }
        if !bench.store.engine().journal().expect("a journal").is_compacting() {
            return;
        }
        bench.turn();
    }
    panic!("the compaction never ends");
}

#[test]
fn clients_of_a_pending_commit_are_not_answered() {
    let mut bench = Bench::durable();
    let clients: [_; 3] = core::array::from_fn(|_| bench.connect());
    bench.disk().hangs = true;
    for client in clients {
        bench.send(client, b"INCR n\r\n");
    }
    bench.wait(20);
    bench.disk().hangs = false;
    bench.settle();
    bench.disk().hangs = true;
    for client in &clients[..2] {
        bench.received(*client);
        bench.send(*client, b"INCR n\r\n");
    }
    bench.wait(20);
    bench.disk().hangs = false;
    bench.turn();
    bench.received(clients[0]);
    bench.received(clients[2]);
    assert_eq!(bench.ask(clients[2], "INCR n"), "", "in memory, or on its way");
    bench.wait(5);
    bench.settle();
    assert!(bench.received(clients[2]).starts_with(':'));
}

#[test]
fn a_failed_commit_disconnects_idle_clients_too() {
    let mut bench = Bench::durable();
    let [writer, idle] = core::array::from_fn(|_| bench.connect());
    bench.ask_durably(idle, "GET k");
    bench.send(writer, b"SET k v\r\n");
    fail(&mut bench, false);
    assert_eq!(bench.received(idle), "<EOF>", "what it was told may have come from what is undone");
}
