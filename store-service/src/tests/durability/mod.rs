//! The store and its disk: what is acknowledged is there after any cut, and nothing is half there.

mod compaction;
mod cuts;
mod damage;
mod disks;
mod failures;
mod loading;
mod seal;
mod trouble;

use std::string::String;
use std::vec::Vec;
use std::{assert, assert_eq, format};

use kernel_app::{Buffer, ConnectionId, Disk, Service};
use simulator::memory_disk::MemoryDisk;

use super::Bench;
use crate::journal::load;
use crate::keyspace::{Cursor, Keyspace};

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

    fn disk(&mut self) -> &mut MemoryDisk {
        self.disk.as_mut().expect("a disk")
    }

    /// Turns until the disk has nothing more to do.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.turn();
            let done = !self.disk().is_busy();
            match self.store.next_deadline() {
                Some(at) if done && at <= self.now => {}
                _ if done => return,
                _ => {}
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

    /// A new store on what this one's disk holds now, as after a cut of the power.
    fn restarted(&self, life: u8) -> Self {
        let mut bench = Self::on(self.disk.as_ref().expect("a disk").after_cut(), life).expect("a log");
        bench.settle();
        bench
    }

    /// Everything in the store, as commands that make it.
    fn contents(&self) -> Vec<u8> {
        contents(self.store.engine().keyspace())
    }
}

/// The data as commands, in an order that does not depend on the keyspace's secret.
fn contents(keyspace: &Keyspace) -> Vec<u8> {
    let mut same = Keyspace::new(keyspace.bytes_max(), [0; 2]);
    load(snapshot(keyspace).as_slice(), &mut same);
    snapshot(&same).as_slice().to_vec()
}

fn snapshot(keyspace: &Keyspace) -> Buffer {
    let mut out = Buffer::new(64 << 20);
    assert!(keyspace.write_commands(&mut Cursor::default(), &mut out), "it fits");
    out
}

#[test]
fn what_was_acknowledged_is_there_after_a_cut() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    assert_eq!(bench.ask_durably(client, "RPUSH votes a b c"), r":3\r\n");
    assert_eq!(bench.ask_durably(client, "LMOVE votes mine LEFT RIGHT"), r"$1\r\na\r\n");
    bench.ask_durably(client, "MULTI\r\nHSET results a 1\r\nLREM mine 1 a\r\nEXEC");
    let mut restarted = bench.restarted(2);
    assert_eq!(restarted.contents(), bench.contents());
    let client = restarted.connect();
    assert_eq!(restarted.ask_durably(client, "LRANGE votes 0 -1"), r"*2\r\n$1\r\nb\r\n$1\r\nc\r\n");
    restarted.ask_durably(client, "RPUSH votes d");
    assert_eq!(restarted.restarted(3).contents(), restarted.contents());
}

#[test]
fn commands_that_waited_are_logged_as_what_they_did() {
    let mut bench = Bench::durable();
    let [popper, mover, pusher] = core::array::from_fn(|_| bench.connect());
    bench.ask_durably(popper, "BRPOP a b 0");
    bench.ask_durably(mover, "BLMOVE b moved LEFT RIGHT 0");
    assert_eq!(bench.ask_durably(pusher, "RPUSH b 1 2 3 4"), r":4\r\n");
    assert_eq!(bench.received(popper), r"*2\r\n$1\r\nb\r\n$1\r\n4\r\n");
    assert_eq!(bench.received(mover), r"$1\r\n1\r\n");
    bench.ask_durably(pusher, "BLPOP b 0");
    bench.ask_durably(pusher, "BLMOVE b moved RIGHT LEFT 0");
    bench.ask_durably(pusher, "MULTI\r\nRPUSH b 5\r\nBLPOP b 0\r\nBLPOP b 0\r\nEXEC");
    let mut restarted = bench.restarted(2);
    assert_eq!(restarted.contents(), bench.contents());
    let client = restarted.connect();
    assert_eq!(restarted.ask_durably(client, "LRANGE moved 0 -1"), r"*2\r\n$1\r\n3\r\n$1\r\n1\r\n");
}

#[test]
fn what_changes_nothing_is_not_written() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "RPUSH q 1");
    let writes = bench.disk().writes().len();
    for request in ["LRANGE q 0 -1", "DEL nothing", "LPOP nothing", "SET q 1 NX", "HSET q f v", "LREM q 0 x"]
    {
        bench.ask_durably(client, request);
    }
    assert_eq!(bench.disk().writes().len(), writes);
}

#[test]
fn replies_and_reads_of_data_that_is_not_durable_wait() {
    let mut bench = Bench::durable();
    let [writer, reader] = core::array::from_fn(|_| bench.connect());
    bench.ask_durably(writer, "SET k old");
    bench.disk().hangs = true;
    assert_eq!(bench.ask(reader, "GET k"), r"$3\r\nold\r\n", "nothing is under way");
    assert_eq!(bench.ask(writer, "SET k new"), "");
    assert_eq!(bench.ask(reader, "GET k"), "", "it would show what may still be lost");
    assert_eq!(bench.ask(writer, "APPEND k"), "", "errors keep their place, too");
    bench.disk().hangs = false;
    bench.settle();
    assert_eq!(bench.received(reader), r"$3\r\nnew\r\n");
    assert!(bench.received(writer).starts_with(r"+OK\r\n-ERR unknown command"));
}

#[test]
fn commands_during_a_write_share_the_next_write() {
    let mut bench = Bench::durable();
    let clients: [_; 20] = core::array::from_fn(|_| bench.connect());
    let before = bench.disk().writes().len();
    bench.disk().hangs = true;
    bench.send(clients[0], b"INCR n\r\n");
    for client in &clients[1..] {
        bench.send(*client, b"INCR n\r\nPING\r\n");
    }
    assert!(clients.iter().all(|client| bench.received(*client).is_empty()));
    bench.disk().hangs = false;
    bench.settle();
    assert_eq!(bench.disk().writes().len(), before + 2);
    assert_eq!(bench.received(clients[0]), r":1\r\n");
    assert_eq!(bench.received(clients[19]), r":20\r\n+PONG\r\n");
}

#[test]
fn data_read_at_the_start_is_visible_once_it_is_durable() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "SET k v");
    let mut disk = bench.disk().after_cut();
    disk.hangs = true;
    let mut restarted = Bench::on(disk, 2).expect("a log");
    let client = restarted.connect();
    assert_eq!(restarted.ask(client, "GET k"), "", "a cache may hold it that the next cut empties");
    restarted.disk().hangs = false;
    restarted.settle();
    assert_eq!(restarted.received(client), r"$1\r\nv\r\n");
}
