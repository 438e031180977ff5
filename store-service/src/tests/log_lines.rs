//! The log in the hands of clients: what any of them can cause is told once a second, however many do.

use std::vec::Vec;
use std::{assert, assert_eq};

use simulator::captured_log::lines_of;
use simulator::memory_disk::MemoryDisk;

use super::Bench;

/// Clients that do it at once, several times within a second.
const CLIENTS: usize = 40;

fn told<'a>(lines: &'a [std::string::String], words: &str) -> Vec<&'a str> {
    lines.iter().map(|line| line.as_str()).filter(|line| line.contains(words)).collect()
}

#[test]
fn clients_who_speak_http_are_told_once_a_second() {
    let mut bench = Bench::new();
    let lines = lines_of(|| {
        for second in 0..3 {
            for _ in 0..CLIENTS {
                let client = bench.connect();
                bench.send(client, b"POST /vote HTTP/1.1\r\n");
                bench.disconnect(client);
            }
            bench.wait(if second == 0 { 500 } else { 1_000 });
        }
    });
    assert_eq!(told(&lines, "speaks HTTP").len(), 2, "{lines:?}");
}

#[test]
fn clients_who_take_no_replies_are_told_once_a_second() {
    let mut bench = Bench::new();
    let setter = bench.connect();
    for _ in 0..26 {
        bench.ask(setter, &std::format!("RPUSH q {}", "v".repeat(50_000)));
    }
    let lines = lines_of(|| {
        // More would be refused so long a reply.
        let clients: [_; 3] = core::array::from_fn(|_| bench.connect());
        for client in clients {
            bench.send(client, b"LRANGE q 0 -1\r\n");
        }
        bench.wait(60_000);
        bench.wait(60_000);
    });
    assert_eq!(told(&lines, "has read no reply").len(), 1, "{lines:?}");
}

#[test]
fn clients_who_wait_for_the_disk_in_vain_are_told_once_a_second() {
    let mut bench = Bench::start(&[], Some(MemoryDisk::new(8 * 1024 * 1024 / 512)), 1).expect("a blank disk");
    let lines = lines_of(|| {
        bench.disk.as_mut().expect("a disk").hangs = true;
        let clients: [_; CLIENTS] = core::array::from_fn(|_| bench.connect());
        for client in clients {
            bench.send(client, b"INCR n\r\n");
        }
        bench.wait(10_000);
        bench.wait(10_000);
    });
    let lines = told(&lines, "for the disk: disconnected");
    assert!(lines.len() == 1, "{lines:?}");
}
