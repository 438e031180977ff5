//! The store and its disk: what is acknowledged is there after any cut, and nothing is half there.

use std::string::String;
use std::vec::Vec;
use std::{assert, assert_eq, format};

use kernel_app::ConnectionId;
use kernel_app::memory_disk::MemoryDisk;

use super::Bench;

/// Sectors of the smallest disk.
const SECTORS: usize = 8 * 1024 * 1024 / 512;

impl Bench {
    /// A store on this disk, or why there is none.
    fn on(disk: MemoryDisk, life: u8) -> Result<Self, String> {
        Self::start(&[], Some(disk), life)
    }

    /// A store on a blank disk, formatted.
    fn durable() -> Self {
        let mut bench = Self::on(MemoryDisk::new(SECTORS), 1).expect("a blank disk");
        bench.settle();
        bench
    }

    /// Turns until the disk has nothing more to do.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.turn();
            if kernel_app::Service::next_deadline(&self.store).is_none_or(|at| at > self.now)
                && self.disk.as_ref().is_some_and(|disk| !kernel_app::Disk::is_busy(disk))
            {
                return;
            }
        }
        panic!("the disk is never done");
    }

    /// Sends an inline request, waits for the disk, and takes the reply.
    fn ask_durably(&mut self, id: ConnectionId, request: &str) -> String {
        self.send(id, format!("{request}\r\n").as_bytes());
        self.settle();
        self.received(id)
    }

    /// The same data in a new store, after the power was cut.
    fn restarted(&self, life: u8) -> Self {
        let mut bench = Self::on(self.disk.as_ref().expect("a disk").after_cut(), life).expect("a log");
        bench.settle();
        bench
    }
}

/// Everything in a store, as commands that make it.
fn contents(bench: &Bench) -> Vec<u8> {
    let mut out = kernel_app::Buffer::new(64 << 20);
    let keyspace = bench.store.engine().keyspace();
    assert!(keyspace.write_commands(&mut crate::keyspace::Cursor::default(), &mut out));
    out.as_slice().to_vec()
}

#[test]
fn what_was_acknowledged_is_there_after_a_cut() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    assert_eq!(bench.ask_durably(client, "RPUSH votes a b c"), r":3\r\n");
    assert_eq!(bench.ask_durably(client, "LMOVE votes mine LEFT RIGHT"), r"$1\r\na\r\n");
    bench.ask_durably(client, "MULTI\r\nHSET results a 1\r\nLREM mine 1 a\r\nEXEC");
    bench.ask_durably(client, "BLPOP votes 0");
    let mut restarted = bench.restarted(2);
    assert_eq!(contents(&restarted), contents(&bench));
    let client = restarted.connect();
    assert_eq!(restarted.ask_durably(client, "LRANGE votes 0 -1"), r"*1\r\n$1\r\nc\r\n");
    restarted.ask_durably(client, "RPUSH votes d");
    assert_eq!(contents(&restarted.restarted(3)), contents(&restarted));
}
