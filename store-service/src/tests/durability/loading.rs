//! A long log, which is read a little in each turn: clients are answered meanwhile, and what is found late counts as
//! what is found at once.

use std::borrow::ToOwned;
use std::{assert, assert_eq, format};

use kernel_app::Service;
use kernel_app::disk::{DiskError, SECTOR_BYTES};
use simulator::memory_disk::MemoryDisk;

use super::Bench;
use super::trouble::readiness;

const LOADING: &str = r"-LOADING Redis is loading the dataset in memory\r\n";
const VALUES: usize = 300;

/// A store whose log is longer than what is read before the first turn.
fn long() -> Bench {
    let disk = MemoryDisk::new(96 * 1024 * 1024 / SECTOR_BYTES);
    let mut bench = Bench::on(disk, 1).expect("a blank disk");
    bench.settle();
    let client = bench.connect();
    for number in 0..VALUES {
        bench.ask_durably(client, &format!("SET k{number} {}", format!("{number}").repeat(15_000)));
    }
    assert!(bench.store.engine().journal().expect("a journal").log_bytes() > 10_000_000);
    bench
}

#[test]
fn clients_are_answered_while_a_long_log_loads_and_then_find_all_data() {
    let before = long();
    let mut bench = Bench::on(before.disk.as_ref().expect("a disk").after_cut(), 2).expect("a log");
    assert!(bench.store.engine().is_loading());
    assert!(bench.store.next_deadline().is_some_and(|at| at <= bench.now), "it goes on by itself");
    let client = bench.connect();
    for command in ["GET k1", "SET k1 new", "PING", "BLPOP q 0", "FLUSHALL"] {
        assert_eq!(bench.ask(client, command), LOADING, "{command}");
    }
    assert_eq!(bench.ask(client, "MULTI"), r"+OK\r\n");
    assert_eq!(bench.ask(client, "SET k1 new"), LOADING);
    assert!(bench.ask(client, "EXEC").starts_with("-EXECABORT"));
    assert_eq!(bench.ask(client, "ECHO x"), r"$1\r\nx\r\n");
    let ready = readiness(&mut bench);
    assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("loading: "), "{ready}");
    assert!(bench.store.engine().is_loading(), "all that came before the end");
    let mut turns = 0;
    while bench.store.engine().is_loading() {
        bench.turn();
        turns += 1;
    }
    assert!(turns > 20, "{turns}");
    bench.settle();
    assert!(readiness(&mut bench).starts_with("HTTP/1.1 200 "));
    assert!(bench.contents() == before.contents());
    assert_eq!(bench.ask_durably(client, "SET k1 new"), r"+OK\r\n");
    assert_eq!(bench.ask_durably(client, "GET k1"), r"$3\r\nnew\r\n");
}

#[test]
fn damage_found_while_loading_stops_the_store_without_changes() {
    let mut bench = long();
    let mut disk = bench.disk().after_cut();
    let (sector, data) = bench.disk().writes()[VALUES - 10].clone();
    assert!(data.len() > SECTOR_BYTES);
    disk.bytes_mut()[sector as usize * SECTOR_BYTES + 40] ^= 1;
    let mut bench = Bench::on(disk.clone(), 2).expect("nothing was found yet");
    let client = bench.connect();
    while bench.store.failure().is_none() {
        bench.turn();
    }
    let failure = bench.store.failure().expect("a reason").to_owned();
    assert!(failure.contains(&format!("at sector {sector} of the disk, is damaged")), "{failure}");
    assert!(failure.contains("RECOVER=accept-loss") && !failure.contains('\n'), "{failure}");
    assert_eq!(bench.ask(client, "GET k1"), LOADING, "until it has ended");
    assert!(bench.disk().writes().is_empty() && bench.disk().bytes() == disk.bytes());
    let mut bench = Bench::start(&[("RECOVER", "accept-loss")], Some(disk), 2).expect("told to");
    bench.settle();
    let client = bench.connect();
    let last = bench.store.engine().keyspace().len() - 1;
    assert!(bench.ask_durably(client, &format!("GET k{last}")).starts_with('$'));
    assert_eq!(bench.ask_durably(client, &format!("GET k{}", last + 1)), r"$-1\r\n");
}

#[test]
fn recovery_reads_durable_data_in_small_steps_too() {
    let mut bench = long();
    let writer = bench.connect();
    let contents = bench.contents();
    bench.disk().error = Some(DiskError::Failed);
    bench.send(writer, b"SET k1 lost\r\n");
    bench.turn();
    let client = bench.connect();
    assert_eq!(bench.ask(client, "GET k1"), LOADING);
    assert!(readiness(&mut bench).contains("the disk cannot be written"));
    bench.disk().error = None;
    bench.wait(200);
    bench.settle();
    assert!(bench.contents() == contents);
    assert_eq!(bench.ask_durably(client, "SET k1 kept"), r"+OK\r\n");
    assert!(bench.restarted_whole(3).contents() == bench.contents());
}

impl Bench {
    /// The same as [`Bench::restarted`], once all is read.
    fn restarted_whole(&self, life: u8) -> Self {
        let mut bench = self.restarted(life);
        while bench.store.engine().is_loading() {
            bench.turn();
        }
        bench.settle();
        bench
    }
}
