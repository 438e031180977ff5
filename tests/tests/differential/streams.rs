//! Random streams of commands, errors and transactions among them.

use tests::differential::{Coverage, Mix, Pair, STREAM_COMMANDS};

/// Commands of each mix.
const OPEN_COMMANDS: usize = 100_000;
const LOCKED_COMMANDS: usize = 10_000;
const LARGE_HASHES_COMMANDS: usize = 10_000;

/// Plays so many commands of a mix.
fn compare(mix: Mix, commands: usize) -> Coverage {
    let pair = Pair::start(mix);
    let mut coverage = Coverage::default();
    for seed in 0..commands.div_ceil(STREAM_COMMANDS) as u64 {
        if let Err(difference) = pair.check(seed, &mut coverage) {
            panic!("{difference}");
        }
    }
    println!("{}", coverage.table());
    assert!(coverage.commands >= commands);
    coverage
}

#[test]
fn every_reply_is_that_of_redis() {
    let coverage = compare(Mix::Open, OPEN_COMMANDS);
    assert_eq!(coverage.gaps(), [""; 0]);
}

#[test]
fn every_reply_is_that_of_a_redis_with_a_password() {
    compare(Mix::Locked, LOCKED_COMMANDS);
}

#[test]
fn every_reply_is_that_of_redis_with_large_hashes() {
    compare(Mix::LargeHashes, LARGE_HASHES_COMMANDS);
}
