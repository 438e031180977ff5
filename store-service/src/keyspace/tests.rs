//! What holds for every keyspace, whatever was done to it.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::*;
use wire::resp::{Framer, write::bulk_bytes};

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

/// What there is, counted anew.
fn recount(keyspace: &Keyspace) -> Weight {
    let mut all = Weight::default();
    for (key, value) in &keyspace.entries {
        all.exchange(Weight::default(), key_weight(key));
        let counted = match value {
            Value::String(_) => value.weight().snapshot,
            Value::List(list) => list.recount().1,
            Value::Hash(hash) => {
                assert_eq!(hash.iter().count(), hash.len());
                hash.iter().map(|(field, value)| bulk_bytes(field.len()) + bulk_bytes(value.len())).sum()
            }
        };
        assert_eq!(value.weight().snapshot, counted);
        match value {
            Value::String(_) => {}
            Value::List(list) => {
                assert_eq!((list.memory(), list.len()), (list.recount().0, list.iter().count()))
            }
            Value::Hash(hash) => match (hash.ordered(), hash.hashed()) {
                (Some(items), _) => assert_eq!(items.memory(), items.recount().0),
                (_, Some(buckets)) => assert_eq!(buckets.memory(), buckets.recount()),
                (None, None) => unreachable!("it has a form"),
            },
        }
        all.exchange(Weight::default(), value.weight());
    }
    all
}

/// The keyspace that a snapshot of this one makes.
fn copy_of(keyspace: &Keyspace, secret: [u64; 2]) -> Keyspace {
    let mut out = Buffer::new(256 << 20);
    assert!(keyspace.write_commands(&mut Cursor::default(), &mut out), "there is room");
    assert!(out.len() <= keyspace.snapshot_bytes(), "{} of {}", out.len(), keyspace.snapshot_bytes());
    let mut copy = Keyspace::new(keyspace.bytes_max(), secret);
    crate::journal::load(out.as_slice(), &mut copy);
    copy
}

#[test]
fn the_count_of_bytes_is_right_after_any_commands_and_no_value_is_empty() {
    let mut keyspace = Keyspace::new(1 << 20, [1, 2]);
    let mut random = Random(42);
    for step in 0..20_000 {
        let command = random.command();
        execute(&mut keyspace, &command);
        assert_eq!(keyspace.weight, recount(&keyspace), "after {command} at step {step}");
        for value in keyspace.entries.values() {
            assert!(!value.is_empty(), "after {command}");
        }
    }
    execute(&mut keyspace, "DEL a b c");
    assert_eq!((keyspace.weight, keyspace.len()), (Weight::default(), 0));
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
    assert_eq!(keyspace.weight, recount(&keyspace));
}

#[test]
fn a_snapshot_that_is_loaded_takes_no_more_and_is_the_same() {
    for seed in 1..6 {
        let mut keyspace = Keyspace::new(1 << 20, [1, 2]);
        let mut random = Random(seed);
        for _ in 0..20_000 {
            let (key, number) = (random.below(3), random.below(4_000));
            let value = "v".repeat(usize::try_from(random.below(60)).expect("small"));
            let command = match random.below(8) {
                0 => format!("RPUSH l{key} e{number}{value} e{number}"),
                1 => format!("LPUSH l{key} e{number}{value}"),
                2 => format!("LPOP l{key}"),
                3 => format!("LREM l{key} 0 e{number}"),
                4 | 5 => format!("HSET h{key} f{number} {number}{value}"),
                6 => format!("HDEL h{key} f{number} f{value}"),
                _ => format!("SET s{number} x{value}"),
            };
            execute(&mut keyspace, &command);
        }
        let copy = copy_of(&keyspace, [3, 4]);
        assert_eq!(copy.weight, recount(&copy));
        assert_eq!(copy.weight.snapshot, keyspace.weight.snapshot);
        let (bytes, original) = (copy.bytes(), keyspace.bytes());
        assert!(bytes <= original + original / 32, "{bytes} after loading, {original} before");
        for key in ["l0", "l1", "l2"] {
            let range = format!("LRANGE {key} 0 -1");
            assert!(execute(&mut keyspace, &range) == execute(&mut copy_of(&keyspace, [3, 4]), &range));
        }
        let again = copy_of(&copy, [1, 2]);
        assert!(again.entries.keys().eq(keyspace.entries.keys()));
    }
}

#[test]
fn a_voter_takes_at_most_110_bytes_and_gives_them_back() {
    const VOTERS: u64 = 300_000;
    let mut keyspace = Keyspace::new(32 << 20, [5, 6]);
    for voter in 0..VOTERS {
        let id = u128::from(voter).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        execute(&mut keyspace, &format!("HSET results:a {id:032x} {}", 10_000_000_000_000_000_000 + voter));
    }
    assert!(!keyspace.is_full());
    let each = keyspace.bytes() / usize::try_from(VOTERS).expect("small");
    assert!(each <= 80, "{each} bytes each");
    assert_eq!(keyspace.weight, recount(&keyspace));
    for voter in 0..VOTERS {
        let id = u128::from(voter).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        assert_eq!(execute(&mut keyspace, &format!("HDEL results:a {id:032x}")), b":1\r\n");
        if voter % 50_000 == 1 {
            let (bytes, left) = (keyspace.bytes(), usize::try_from(VOTERS - voter).expect("small"));
            assert!(bytes <= 100 * left + 4_096, "{bytes} bytes for {left} voters");
        }
    }
    assert_eq!(keyspace.bytes(), 0);
}

/// A command on lists of many pages, and on hashes of few fields and of many.
fn command_on_much(random: &mut Random) -> String {
    let (key, other) = (random.pick(&["a", "b", "c", "d"]), random.pick(&["a", "b", "c", "d"]));
    let (from, to) = (random.pick(&["LEFT", "RIGHT"]), random.pick(&["LEFT", "RIGHT"]));
    let (number, count) = (random.below(40), random.below(400));
    let many =
        |each: &str| (0..60).map(|at| each.replace('#', &format!("{}", number + at))).collect::<String>();
    match random.below(40) {
        0..10 => format!("RPUSH {key} {}", many("some-element-# ")),
        10..13 => format!("LPUSH {key} {}", many("some-element-# ")),
        13..15 => format!("LPOP {key} {count}"),
        15 => format!("RPOP {key} {count}"),
        16 => format!("LREM {key} {} some-element-{number}", random.pick(&["-5", "0", "3"])),
        17 => format!("LREM {key} -1 some-element-{number}"),
        18..26 => format!("LMOVE {key} {other} {from} {to}"),
        26..31 => format!("HSET h{key} {}", many("field-#-of-some value ")),
        31 => format!("HSET h{key} field-{count}-of-some other{number}"),
        32..34 => format!("HDEL h{key} {}", many("field-#-of-some ")),
        34 => format!("HINCRBY h{key} counter-{} {count}", number / 10),
        35 => format!("SET s{key}{number} {count}"),
        36 => format!("DEL {key} h{other} s{key}{number}"),
        37 if count < 4 => "FLUSHALL".into(),
        37 => format!("SET {key} {count}"),
        38 => format!("DEL {key}"),
        _ => format!("INCR s{key}{number}"),
    }
}

#[test]
fn a_snapshot_and_the_changes_during_it_give_the_final_keyspace() {
    for seed in 1..400 {
        let mut random = Random(seed);
        let mut keyspace = Keyspace::new(1 << 30, [7, seed]);
        for _ in 0..random.below(300) {
            let command = command_on_much(&mut random);
            execute(&mut keyspace, &command);
        }
        let (before, busy) = (keyspace.snapshot_bytes(), random.below(8));
        let mut written = Vec::new();
        keyspace.begin_snapshot();
        loop {
            written.extend_from_slice(keyspace.take_changes().expect("they can be told").as_slice());
            let mut piece = Buffer::new(usize::try_from(2_100 + random.below(6_000)).expect("small"));
            let complete = keyspace.write_piece(&mut piece);
            written.extend_from_slice(piece.as_slice());
            for _ in 0..random.below(1 + busy) {
                let command = command_on_much(&mut random);
                execute(&mut keyspace, &command);
            }
            if complete && keyspace.changes_bytes() == 0 {
                break;
            }
        }
        assert!(written.len() <= before + keyspace.snapshot_growth(), "{seed}: {} bytes", written.len());
        keyspace.end_snapshot();
        let mut copy = Keyspace::new(1 << 30, [7, seed]);
        crate::journal::load(&written, &mut copy);
        assert!(copy.entries.keys().eq(keyspace.entries.keys()), "seed {seed}");
        for ((key, copied), value) in copy.entries.iter().zip(keyspace.entries.values()) {
            assert_same(copied, value, &format!("seed {seed}, {}", key.escape_ascii()));
        }
    }
}

/// The order of a large hash is nobody's, also when it has become small.
fn assert_same(copied: &Value, value: &Value, name: &str) {
    match (copied, value) {
        (Value::String(copied), Value::String(value)) => assert_eq!(copied, value, "{name}"),
        (Value::List(copied), Value::List(value)) => {
            let difference = copied.iter().zip(value.iter()).position(|(copied, element)| copied != element);
            assert_eq!((difference, copied.len()), (None, value.len()), "{name}");
        }
        (Value::Hash(copied), Value::Hash(value)) => {
            let (mut copied, mut fields): (Vec<_>, Vec<_>) =
                (copied.iter().collect(), value.iter().collect());
            if value.ordered().is_none() {
                copied.sort_unstable();
                fields.sort_unstable();
            }
            assert!(copied == fields, "{name}");
        }
        _ => panic!("{name} has another type"),
    }
}
