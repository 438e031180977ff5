//! Compaction: when it comes, what it keeps, and cuts and failures in each of its steps.

use std::string::String;
use std::vec::Vec;
use std::{assert, assert_eq, format};

use kernel_app::ConnectionId;
use kernel_app::disk::DiskError;
use simulator::memory_disk::{MemoryDisk, Torn};

use super::{Bench, SECTORS};

/// A store whose log is about to be compacted, and a client.
pub(super) fn nearly_compacted() -> (Bench, ConnectionId) {
    let mut bench = Bench::durable();
    let client = bench.connect();
    for number in 0..300 {
        bench.ask_durably(client, &format!("HSET h field{number} {number}"));
        bench.ask_durably(client, &format!("RPUSH q element{number}"));
    }
    let value = "v".repeat(20_000);
    while bench.store.engine().journal().expect("a journal").log_bytes() < 800_000 {
        bench.ask_durably(client, &format!("SET k {value}"));
    }
    for number in 0..10 {
        bench.ask_durably(client, &format!("SET k{number} {value}"));
    }
    assert_eq!(compactions(&bench), 0);
    (bench, client)
}

fn compactions(bench: &Bench) -> u64 {
    bench.store.engine().journal().expect("a journal").counts().compactions
}

/// Writes until the log is compacted; the number of writes before the compaction's first.
pub(super) fn compact(bench: &mut Bench, client: ConnectionId) -> usize {
    for _ in 0..200 {
        bench.send(client, format!("SET k {}\r\n", "v".repeat(20_000)).as_bytes());
        let before = bench.disk().writes().len() + 1;
        bench.settle();
        if compactions(bench) > 0 {
            return before;
        }
    }
    panic!("the log is never compacted");
}

/// Writes until a compaction's first write is under way, and nothing else is.
pub(super) fn begin_compaction(bench: &mut Bench, client: ConnectionId) {
    for _ in 0..200 {
        bench.send(client, format!("SET k {}\r\n", "v".repeat(20_000)).as_bytes());
        for _ in 0..3 {
            if bench.store.engine().journal().expect("a journal").is_compacting() {
                return;
            }
            bench.turn();
        }
    }
    panic!("the log is never compacted");
}

#[test]
fn a_log_much_longer_than_its_data_is_compacted_without_loss() {
    let (mut bench, client) = nearly_compacted();
    compact(&mut bench, client);
    let journal = bench.store.engine().journal().expect("a journal");
    assert!(journal.log_bytes() < 300_000, "{} bytes", journal.log_bytes());
    assert!(bench.restarted(2).contents() == bench.contents());
    bench.received(client);
    assert_eq!(bench.ask_durably(client, "RPUSH q more"), r":301\r\n");
    assert!(bench.restarted(2).contents() == bench.contents());
}

#[test]
fn a_cut_in_any_step_of_a_compaction_leaves_the_old_log_or_the_new_one() {
    let (mut bench, client) = nearly_compacted();
    let first = compact(&mut bench, client);
    let writes = bench.disk().writes().to_vec();
    assert!(writes.len() - first >= 4, "two parts and both superblocks");
    let mut disk = MemoryDisk::new(SECTORS);
    for (sector, data) in &writes[..first] {
        disk.tear(*sector, data, |_| Torn::New);
    }
    for (sector, data) in &writes[first..] {
        for torn in [Torn::Old, Torn::Garbage, Torn::New] {
            for half in [false, true] {
                let mut cut = disk.clone();
                let middle = data.len() / 512 / 2;
                cut.tear(*sector, data, |at| if half && at < middle { Torn::New } else { torn });
                let mut restarted = Bench::on(cut, 2).expect("a log");
                assert!(restarted.contents() == bench.contents(), "sector {sector}, {torn:?}");
                restarted.settle();
                let client = restarted.connect();
                restarted.ask_durably(client, "SET k other");
                assert!(restarted.restarted(3).contents() == restarted.contents(), "sector {sector}");
            }
        }
        disk.tear(*sector, data, |_| Torn::New);
    }
}

#[test]
fn damage_in_a_compacted_log_is_an_error_and_not_its_end() {
    let (mut bench, client) = nearly_compacted();
    let first = compact(&mut bench, client);
    let mut disk = bench.disk().after_cut();
    let (sector, data) = bench.disk().writes()[first].clone();
    disk.tear(sector, &data, |at| if at == 9 { Torn::Garbage } else { Torn::New });
    let error = Bench::on(disk, 2).err().expect("data are missing");
    assert!(error.contains("is damaged, in the part that a compaction wrote"), "{error}");
}

#[test]
fn writes_are_executed_and_committed_during_a_compaction() {
    let (mut bench, client) = nearly_compacted();
    let [reader, writer] = core::array::from_fn(|_| bench.connect());
    begin_compaction(&mut bench, client);
    bench.received(client);
    let is_compacting = |bench: &Bench| bench.store.engine().journal().expect("a journal").is_compacting();
    bench.send(writer, b"RPUSH q x\r\nLPOP q\r\nHSET h field1 other\r\nDEL k3\r\n");
    let mut replies = String::new();
    while is_compacting(&bench) && !replies.contains(r":301\r\n") {
        bench.turn();
        replies += &bench.received(writer);
    }
    assert!(is_compacting(&bench), "it is answered before the end");
    assert_eq!(replies, r":301\r\n$8\r\nelement0\r\n:0\r\n:1\r\n");
    assert!(bench.restarted(2).contents() == bench.contents(), "by the old log");
    assert_eq!(bench.ask(reader, "LLEN q"), r":300\r\n");
    bench.settle();
    assert_eq!(compactions(&bench), 1);
    assert!(bench.restarted(2).contents() == bench.contents(), "by the new one");
}

/// A generator (xorshift) with a fixed seed.
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

#[test]
fn a_power_cut_during_a_compaction_under_load_keeps_acknowledged_data() {
    let mut random = 7;
    let mut compacted = 0;
    let (mut start, _) = nearly_compacted();
    for round in 0..40 {
        let mut bench = Bench::on(start.disk().after_cut(), 2).expect("a log");
        bench.settle();
        let client = bench.connect();
        begin_compaction(&mut bench, client);
        bench.received(client);
        // By how many commands were delivered.
        let (mut states, mut acknowledged) = (std::vec![(0, bench.contents())], 0);
        let mut delivered = 0;
        for step in 0..1 + next(&mut random) % 25 {
            for _ in 0..next(&mut random) % 3 {
                let number = next(&mut random) % 300;
                let command = match next(&mut random) % 6 {
                    0 => format!("RPUSH q {step}"),
                    1 => format!("SET k{} {}", number % 12, "v".repeat(number as usize * 60)),
                    2 => format!("HSET h field{number} {step}"),
                    3 => format!("HDEL h field{number}"),
                    4 => format!("LREM q 1 element{number}"),
                    _ => format!("DEL k{}", number % 12),
                };
                bench.deliver(client, format!("{command}\r\n").as_bytes());
                delivered += 1;
                states.push((delivered, bench.contents()));
            }
            bench.disk().hangs = next(&mut random).is_multiple_of(3);
            bench.turn();
            acknowledged += bench.received(client).matches(r"\n").count();
            // What was held was carried out in the turn.
            states.push((delivered, bench.contents()));
        }
        compacted += compactions(&bench);
        let state = bench.restarted(3).contents();
        let found = states.iter().rfind(|(_, known)| *known == state).map(|(delivered, _)| *delivered);
        assert!(found.is_some_and(|count| count >= acknowledged), "round {round}: {found:?}, {acknowledged}");
    }
    assert!((1..40).contains(&compacted), "{compacted}: some cuts come before the end and some after it");
}

#[test]
fn a_compaction_that_fails_is_given_up_and_nothing_is_lost() {
    let (mut bench, client) = nearly_compacted();
    let steps = {
        let (mut other, client) = nearly_compacted();
        let first = compact(&mut other, client);
        other.disk().writes().len() - first
    };
    for failing in 0..steps {
        let mut bench = Bench::on(bench.disk().after_cut(), 2).expect("a log");
        bench.settle();
        let client = bench.connect();
        begin_compaction(&mut bench, client);
        for _ in 0..failing {
            bench.turn();
        }
        bench.disk().error = Some(DiskError::Failed);
        bench.turn();
        bench.turn();
        bench.received(client);
        let error = r"-MISCONF Errors writing to the AOF file: Input/output error\r\n";
        assert_eq!(bench.ask(client, "SET k other"), error, "step {failing}");
        assert_eq!(bench.ask(client, "LLEN q"), r":300\r\n", "step {failing}");
        assert!(bench.restarted(3).contents() == bench.contents(), "step {failing}");
        bench.disk().error = None;
        bench.wait(200);
        bench.settle();
        assert_eq!(bench.ask_durably(client, "SET k other"), r"+OK\r\n", "step {failing}");
        assert!(bench.restarted(3).contents() == bench.contents(), "step {failing}");
        bench.wait(10_000);
        for _ in 0..80 {
            bench.ask_durably(client, &format!("SET k {}", "w".repeat(20_000)));
        }
        assert!(compactions(&bench) > 0, "step {failing}: it is tried again");
        assert!(bench.restarted(3).contents() == bench.contents(), "step {failing}");
    }
    bench.received(client);
}

#[test]
fn a_snapshot_is_never_larger_than_the_data_in_memory() {
    let mut bench = Bench::with(&[("MAXMEMORY", "64mb")]);
    let client = bench.connect();
    let long_key = "k".repeat(50_000);
    let mut ask = |request: &str| {
        bench.ask(client, request);
        let keyspace = bench.store.engine().keyspace();
        let snapshot: Vec<u8> = super::contents(keyspace);
        assert!(snapshot.len() <= keyspace.bytes(), "{} in {}", snapshot.len(), keyspace.bytes());
    };
    for number in 0..30 {
        ask("RPUSH empty \"\"");
        ask(&format!("RPUSH {long_key} {}", "e".repeat(12_000)));
        ask(&format!("HSET {long_key}h {number} \"\""));
        ask(&format!("RPUSH large {}", "e".repeat(60_000)));
        ask(&format!("LMOVE large {long_key}moved LEFT RIGHT"));
        ask(&format!("SET s{number} \"\""));
        ask(&format!("INCR n{number}"));
    }
}
