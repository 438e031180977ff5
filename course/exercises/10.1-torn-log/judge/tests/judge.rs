//! Cuts the power after every byte of a write, over whatever the disk held before, and damages what was durable.

use std::panic;

use exercise_10_1::{Damaged, HEADER_BYTES, Position, Recovered, append, recover};

const DISK_BYTES: usize = 256;
const LIFE: u32 = 0x1234_5678;
const OLD_LIFE: u32 = 0x0bad_cafe;
const PAYLOADS: [&str; 4] = ["SET a 1", "SET b 22", "DEL a", "SET c 333"];

/// What the bytes were before the log came there.
const BEFORE: [(&str, fn() -> Vec<u8>); 4] = [
    ("zeros", || vec![0; DISK_BYTES]),
    ("bytes of 0xff", || vec![0xff; DISK_BYTES]),
    ("an older log with other commands", || older(|at| format!("SET old {at}"))),
    ("an older log with the same commands", || older(|at| PAYLOADS[at % PAYLOADS.len()].to_owned())),
];

/// A disk full of records of another log.
fn older(payload: impl Fn(usize) -> String) -> Vec<u8> {
    let mut disk = vec![0; DISK_BYTES];
    let mut position = Position::first(OLD_LIFE);
    for at in 0.. {
        let Some(behind) = append(&mut disk, position, payload(at).as_bytes()) else { break };
        position = behind;
    }
    disk
}

/// Writes the first `count` records; the positions before each of them and behind the last.
fn write(disk: &mut [u8], count: usize) -> Vec<Position> {
    let mut positions = vec![Position::first(LIFE)];
    for payload in &PAYLOADS[..count] {
        let behind = append(disk, positions[positions.len() - 1], payload.as_bytes()).expect("room");
        positions.push(behind);
    }
    positions
}

/// Recovers, and turns a panic into a sentence.
fn recovered(disk: &[u8], when: &str) -> Result<Recovered, Damaged> {
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(|| recover(disk, Position::first(LIFE)));
    let _ = panic::take_hook();
    result.unwrap_or_else(|_| {
        panic!(
            "expected an answer {when}; `recover` panicked: a length from a disk may be any number, so ask with `get` \
             whether there are so many bytes"
        )
    })
}

fn texts(recovered: &Recovered) -> Vec<String> {
    recovered.payloads.iter().map(|payload| String::from_utf8_lossy(payload).into_owned()).collect()
}

#[test]
fn judge() {
    whole_log();
    full_disk();
    BEFORE.iter().for_each(|(name, before)| torn_writes(name, &before()));
    damage();
}

fn expect(found: &Result<Recovered, Damaged>, count: usize, end: Position, when: &str) {
    let Ok(found) = found else {
        panic!(
            "expected {count} records {when}; came {found:?}: no later record of this log follows, so it is no damage"
        )
    };
    let expected = &PAYLOADS[..count];
    assert!(texts(found) == expected, "expected the records {expected:?} {when}; came {:?}", texts(found));
    assert!(
        found.end == end,
        "expected the next record at {end:?} {when}; came {:?}: what is written elsewhere is not found at the next start",
        found.end
    );
}

fn whole_log() {
    for (name, before) in BEFORE {
        let mut disk = before();
        let positions = write(&mut disk, 3);
        let when = format!("for a log of 3 records over {name}");
        expect(&recovered(&disk, &when), 3, positions[3], &when);
    }
}

fn full_disk() {
    let bytes = PAYLOADS.iter().map(|payload| HEADER_BYTES + payload.len()).sum();
    let mut disk = vec![0; bytes];
    let positions = write(&mut disk, PAYLOADS.len());
    let when = "for a log that ends with the disk's last byte";
    expect(&recovered(&disk, when), PAYLOADS.len(), positions[PAYLOADS.len()], when);
}

fn torn_writes(name: &str, before: &[u8]) {
    let mut disk = before.to_vec();
    let positions = write(&mut disk, 4);
    let (torn, behind) = (positions[3], positions[4]);
    for bytes in 0..behind.at - torn.at {
        let mut cut = disk.clone();
        cut[torn.at + bytes..].copy_from_slice(&before[torn.at + bytes..]);
        // What is missing may have been there before.
        let (count, end) = if cut == disk { (4, behind) } else { (3, torn) };
        let when = format!("when the power was cut after {bytes} bytes of record 4, over {name}");
        expect(&recovered(&cut, &when), count, end, &when);
    }
}

fn damage() {
    for (name, before) in BEFORE {
        let mut disk = before();
        let positions = write(&mut disk, 4);
        for at in positions[1].at..positions[2].at {
            let mut disk = disk.clone();
            disk[at] ^= 0x10;
            let byte = at - positions[1].at;
            let when = format!("when a bit of byte {byte} of record 2 has flipped, over {name}");
            let found = recovered(&disk, &when);
            assert!(
                found == Err(Damaged { number: 2 }),
                "expected Err(Damaged {{ number: 2 }}) {when}; came {found:?}: records 3 and 4 follow it, and they were \
                 written after record 2 was durable, so this is no torn write, and acknowledged records would be lost"
            );
        }
    }
}
