//! What holds for every keyspace, whatever was done to it.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::*;
use wire::resp::Framer;

/// A small generator (xorshift) with a fixed seed: the same commands in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.below(words.len() as u64)).expect("small")]
    }

    fn command(&mut self) -> String {
        let key = self.pick(&["a", "b", "c"]);
        let other = self.pick(&["a", "b", "c"]);
        let value = self.pick(&["x", "y", "zz", "1", "17"]);
        let end = self.pick(&["LEFT", "RIGHT"]);
        let count = self.pick(&["-3", "-1", "0", "1", "2"]);
        match self.below(14) {
            0 | 1 => format!("RPUSH {key} {value} x y"),
            2 => format!("LPUSH {key} {value}"),
            3 => format!("LPOP {key} 2"),
            4 => format!("RPOP {key}"),
            5 => format!("LREM {key} {count} {value}"),
            6 => format!("LMOVE {key} {other} {end} {end}"),
            7 | 8 => format!("HSET {key} {value} {other} f{count} {value}"),
            9 => format!("HDEL {key} {value} f0 f1"),
            10 => format!("HINCRBY {key} {value} {count}"),
            11 => format!("SET {key} {value}"),
            12 => format!("INCR {key}"),
            _ => format!("DEL {key}"),
        }
    }
}

fn execute(keyspace: &mut Keyspace, request: &str) -> Vec<u8> {
    let mut framer = Framer::new();
    let line = format!("{request}\r\n");
    let frame = framer.next(line.as_bytes()).expect("well formed").expect("complete");
    let command = Command::find(&frame.args[0]).expect("known");
    let mut out = Buffer::new(1 << 20);
    match keyspace.execute(command, frame.args, &mut out) {
        Ok(()) => out.as_slice().to_vec(),
        Err(failure) => failure.text().into(),
    }
}

/// Memory counted anew from what is there.
fn recount(keyspace: &Keyspace) -> usize {
    keyspace.entries.iter().map(|(key, value)| KEY_BYTES + key.len() + value.bytes()).sum()
}

#[test]
fn the_count_of_bytes_is_right_after_any_commands_and_no_value_is_empty() {
    let mut keyspace = Keyspace::new(1 << 20, [1, 2]);
    let mut random = Random(42);
    for step in 0..20_000 {
        let command = random.command();
        execute(&mut keyspace, &command);
        assert_eq!(keyspace.bytes(), recount(&keyspace), "after {command} at step {step}");
        for value in keyspace.entries.values() {
            assert!(!matches!(value, Value::List(list) if list.is_empty()), "after {command}");
            assert!(!matches!(value, Value::Hash(hash) if hash.is_empty()), "after {command}");
        }
    }
    execute(&mut keyspace, "DEL a b c");
    assert_eq!((keyspace.bytes(), keyspace.len()), (0, 0));
}

#[test]
fn a_replay_of_the_commands_makes_the_same_keyspace_whatever_the_secret() {
    let mut random = Random(7);
    let commands: Vec<_> = (0..5_000).map(|_| random.command()).collect();
    let mut first = Keyspace::new(1 << 20, [1, 2]);
    let mut second = Keyspace::new(1 << 20, [3, 4]);
    for command in &commands {
        assert_eq!(execute(&mut first, command), execute(&mut second, command), "{command}");
    }
    assert_eq!(first.changes(), second.changes());
}

#[test]
fn a_failed_command_changes_nothing() {
    let mut keyspace = Keyspace::new(1 << 20, [0; 2]);
    let mut random = Random(99);
    for _ in 0..5_000 {
        let command = random.command();
        let before = format!("{:?}", keyspace.entries);
        let changes = keyspace.changes();
        let reply = execute(&mut keyspace, &command);
        if reply.starts_with(b"WRONGTYPE") || reply.starts_with(b"ERR") {
            assert_eq!(
                (format!("{:?}", keyspace.entries), keyspace.changes()),
                (before, changes),
                "{command}"
            );
        }
    }
}

#[test]
fn large_hashes_and_lists_work_like_small_ones() {
    let mut keyspace = Keyspace::new(1 << 30, [0; 2]);
    for number in 0..10_000 {
        execute(&mut keyspace, &format!("HSET h field{number} {number}"));
        execute(&mut keyspace, &format!("RPUSH l element{number}"));
    }
    for number in (0..10_000).step_by(2) {
        assert_eq!(execute(&mut keyspace, &format!("HDEL h field{number}")), b":1\r\n");
        assert_eq!(execute(&mut keyspace, &format!("LREM l 1 element{number}")), b":1\r\n");
    }
    assert_eq!(keyspace.hash_len(b"h"), 5_000);
    assert_eq!(keyspace.list_len(b"l"), 5_000);
    assert_eq!(execute(&mut keyspace, "HGET h field4999"), b"$4\r\n4999\r\n");
    assert_eq!(
        execute(&mut keyspace, "LRANGE l 1 1"),
        b"$8\r\nelement3\r\n".iter().fold(b"*1\r\n".to_vec(), |mut all, byte| {
            all.push(*byte);
            all
        })
    );
    assert_eq!(keyspace.bytes(), recount(&keyspace));
}
