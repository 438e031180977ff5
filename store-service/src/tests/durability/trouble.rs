//! Disks that fail, hang or are full: nothing is acknowledged that may be lost, and reads go on.

use std::string::String;
use std::{assert, assert_eq, format};

use kernel_app::disk::DiskError;
use kernel_app::{Origin, Service};
use simulator::memory_disk::MemoryDisk;

use super::{Bench, SECTORS};
use crate::limits::COMMIT_WAIT_MAX;

const FULL: &str = r"-MISCONF Errors writing to the AOF file: No space left on device\r\n";

pub(super) fn readiness(bench: &mut Bench) -> String {
    let origin = Origin::Accepted(1);
    let id = bench.connections.open(0, origin).expect("room");
    bench.call(|store, context| store.opened(id, origin, context));
    bench.send(id, b"GET /readyz HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n");
    let text = bench.received(id);
    bench.disconnect(id);
    text
}

#[test]
fn a_write_that_fails_is_undone_and_tried_no_more_and_reads_go_on() {
    for fails_late in [false, true] {
        let mut bench = Bench::durable();
        let [writer, waiter] = core::array::from_fn(|_| bench.connect());
        bench.ask_durably(writer, "SET k old");
        bench.ask_durably(waiter, "BLPOP q 0");
        let before = bench.contents();
        bench.disk().error = Some(DiskError::NoSpace);
        bench.disk().fails_late = fails_late;
        assert_eq!(bench.ask(writer, "SET k new\r\nRPUSH q 1"), "");
        bench.turn();
        assert_eq!(bench.received(writer), "<EOF>", "what became of it is open");
        assert_eq!(bench.received(waiter), "<EOF>");
        bench.disconnect(writer);
        bench.disconnect(waiter);
        assert!(bench.contents() == before, "as on the disk");
        let client = bench.connect();
        assert_eq!(bench.ask(client, "GET k"), r"$3\r\nold\r\n");
        assert_eq!(bench.ask(client, "SET k newer"), FULL);
        assert_eq!(bench.ask(client, "BLPOP q 0"), FULL);
        let exec = bench.ask(client, "MULTI\r\nINCR n\r\nEXEC");
        assert!(exec.contains("-EXECABORT Transaction discarded because of: MISCONF Errors"), "{exec}");
        assert!(readiness(&mut bench).contains("the disk cannot be written: No space left on device"));
        for _ in 0..50 {
            bench.wait(100);
        }
        assert!(bench.store.engine().journal().expect("a journal").counts().errors < 10, "with backoff");
        bench.disk().error = None;
        bench.wait(5_000);
        bench.settle();
        assert!(readiness(&mut bench).starts_with("HTTP/1.1 200 "));
        assert_eq!(bench.ask_durably(client, "SET k newer"), r"+OK\r\n");
        assert!(bench.restarted(2).contents() == bench.contents(), "late: {fails_late}");
    }
}

#[test]
fn while_the_disk_cannot_be_read_clients_get_an_error() {
    let mut bench = Bench::durable();
    let writer = bench.connect();
    bench.ask_durably(writer, "SET k old");
    bench.disk().error = Some(DiskError::Failed);
    bench.disk().read_error = Some(DiskError::Failed);
    bench.ask(writer, "SET k new");
    bench.turn();
    assert_eq!(bench.received(writer), "<EOF>");
    let client = bench.connect();
    const LOADING: &str = r"-LOADING Redis is loading the dataset in memory\r\n";
    for command in ["GET k", "SET k newer", "BLPOP q 0", "DBSIZE"] {
        assert_eq!(bench.ask(client, command), LOADING, "{command}");
    }
    assert_eq!(bench.ask(client, "ECHO x"), r"$1\r\nx\r\n");
    let exec = bench.ask(client, "MULTI\r\nINCR n\r\nEXEC");
    assert!(exec.ends_with(r"-EXECABORT Transaction discarded because of previous errors.\r\n"), "{exec}");
    assert!(readiness(&mut bench).starts_with("HTTP/1.1 503 "));
    bench.disk().read_error = None;
    bench.wait(1_000);
    assert_eq!(bench.ask(client, "GET k"), r"$3\r\nold\r\n");
    bench.disk().error = None;
    bench.wait(5_000);
    bench.settle();
    assert_eq!(bench.ask_durably(client, "SET k new"), r"+OK\r\n");
}

#[test]
fn a_store_that_starts_on_a_disk_that_cannot_be_written_answers_at_once() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "SET k v");
    for error in [DiskError::Failed, DiskError::NoSpace] {
        for mut disk in [bench.disk().after_cut(), MemoryDisk::new(SECTORS)] {
            disk.error = Some(error);
            disk.hangs = true;
            let is_blank = disk.bytes()[0] == 0;
            let mut failing = Bench::on(disk, 2).expect("it can be read");
            let [early, waiting] = core::array::from_fn(|_| failing.connect());
            failing.turn();
            assert_eq!(failing.ask(early, "PING"), r"+PONG\r\n", "whatever the disk does");
            assert_eq!(failing.ask(waiting, "GET k"), "", "it may still come true");
            failing.disk().hangs = false;
            failing.turn();
            assert_eq!(failing.received(waiting), "<EOF>", "it may not");
            assert_eq!(failing.ask(early, "GET k"), r"-LOADING Redis is loading the dataset in memory\r\n");
            assert_eq!(failing.ask(early, "PING"), r"-LOADING Redis is loading the dataset in memory\r\n");
            assert_eq!(failing.ask(early, "ECHO x"), r"$1\r\nx\r\n");
            let refused = failing.ask(early, "SET k w");
            assert!(refused.starts_with("-MISCONF Errors writing to the AOF file: "), "{refused}");
            let exec = failing.ask(early, "MULTI\r\nSET k w\r\nEXEC");
            assert!(exec.contains("-EXECABORT Transaction discarded because of: MISCONF"), "{exec}");
            assert!(readiness(&mut failing).contains("the disk cannot be written: "));
            failing.disk().error = None;
            failing.wait(5_000);
            failing.settle();
            let found = if is_blank { r"$-1\r\n" } else { r"$1\r\nv\r\n" };
            assert_eq!(failing.ask_durably(early, "GET k"), found);
            assert_eq!(failing.ask_durably(early, "SET k w"), r"+OK\r\n");
        }
    }
}

#[test]
fn clients_that_wait_too_long_for_the_disk_are_disconnected() {
    let mut bench = Bench::durable();
    let [writer, reader] = core::array::from_fn(|_| bench.connect());
    bench.disk().hangs = true;
    bench.ask(writer, "SET k v");
    bench.ask(reader, "GET k");
    let due = bench.store.next_deadline().expect("the wait has a limit");
    assert_eq!(due - bench.now, COMMIT_WAIT_MAX);
    bench.wait(COMMIT_WAIT_MAX.as_millis() as u64 - 1);
    assert_eq!(bench.received(writer), "");
    assert!(readiness(&mut bench).contains("the disk has not ended a write"));
    bench.wait(1);
    assert_eq!((bench.received(writer), bench.received(reader)), ("<EOF>".into(), "<EOF>".into()));
    bench.disk().hangs = false;
    bench.settle();
    let client = bench.connect();
    assert_eq!(bench.ask(client, "GET k"), r"$1\r\nv\r\n", "it became durable after all");
}

#[test]
fn inputs_are_held_while_too_much_waits_for_the_disk() {
    let mut bench = Bench::durable();
    bench.disk().hangs = true;
    let clients: [_; 60] = core::array::from_fn(|_| bench.connect());
    for client in clients {
        bench.send(client, format!("SET k {}\r\n", "v".repeat(60_000)).as_bytes());
    }
    let gathered = bench.store.engine().journal().expect("a journal").gathered_bytes();
    assert!(gathered < 1_300_000, "{gathered} bytes wait");
    bench.disk().hangs = false;
    bench.settle();
    assert!(clients.iter().all(|client| bench.received(*client) == r"+OK\r\n"));
    assert!(bench.restarted(2).contents() == bench.contents());
}

#[test]
fn a_full_log_refuses_pushes_and_can_be_drained() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    let mut pushed = 0;
    loop {
        let reply = bench.ask_durably(client, &format!("RPUSH votes {pushed:0>20000}"));
        if reply == FULL {
            break;
        }
        pushed += 1;
        assert_eq!(reply, format!(r":{pushed}\r\n"));
        assert!(pushed < 1_000, "a disk of 8 MiB is full some time");
    }
    assert!(pushed > 120, "{pushed} votes of 20 kB are most of a half");
    assert_eq!(bench.ask_durably(client, "LLEN votes"), format!(r":{pushed}\r\n"), "reads go on");
    assert_eq!(bench.ask_durably(client, &format!("SET k {}", "v".repeat(20_000))), FULL);
    assert!(readiness(&mut bench).starts_with("HTTP/1.1 200 "), "it still gives out what it holds");
    assert!(bench.restarted(2).contents() == bench.contents());
    for number in 0..pushed {
        let moved = bench.ask_durably(client, "LMOVE votes mine LEFT RIGHT");
        assert!(moved.starts_with(r"$20000\r\n"), "vote {number}: {moved}");
        let done = format!("MULTI\r\nHSET results v{number} 1\r\nLREM mine 1 {number:0>20000}\r\nEXEC");
        assert!(bench.ask_durably(client, &done).ends_with(r"*2\r\n:1\r\n:1\r\n"), "vote {number}");
    }
    assert_eq!(bench.ask_durably(client, "RPUSH votes again"), r":1\r\n");
    assert!(bench.store.engine().journal().expect("a journal").counts().compactions > 0);
    assert!(bench.restarted(2).contents() == bench.contents());
}

#[test]
fn data_larger_than_the_disk_is_refused_at_once() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    for number in 0..140 {
        bench.ask_durably(client, &format!("RPUSH votes {number:0>20000}"));
    }
    bench.send(client, b"MULTI\r\n");
    for number in 0..15 {
        bench.send(client, format!("SET large{number} {}\r\n", "v".repeat(60_000)).as_bytes());
    }
    let reply = bench.ask_durably(client, "EXEC");
    assert!(reply.ends_with(r"No space left on device\r\n") && reply.contains("-EXECABORT"), "{reply}");
    assert_eq!(bench.ask_durably(client, "PING"), r"+PONG\r\n");
}

#[test]
fn a_deletion_without_room_in_the_log_is_refused() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    let fields = (0..300).position(|number| {
        bench.ask_durably(client, &format!("HSET results {number} {number:0>20000}")) == FULL
    });
    assert!(fields.is_some_and(|fields| fields > 150), "{fields:?} fields of 20 kB fill 14/16 of a half");
    bench.ask_durably(client, "MULTI");
    for number in 0..15 {
        bench.ask_durably(client, &format!("DEL {number:0>60000}"));
    }
    let reply = bench.ask_durably(client, "EXEC");
    assert!(reply.ends_with(r"No space left on device\r\n") && reply.contains("-EXECABORT"), "{reply}");
    assert_eq!(bench.ask_durably(client, "HDEL results 0"), r":1\r\n", "what is smaller has room");
}
