//! The fuzz targets over their corpora, and over inputs made of those by chance, on a stable compiler.
//!
//! `FUZZ_SECONDS` says how long each target goes on, `FUZZ_SEED` which inputs it gets.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use tests::fuzzed::{Mutator, TARGETS, Target};

const SECONDS_DEFAULT: u64 = 2;
const SEED_DEFAULT: u64 = 20_260_101;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

fn try_one((name, check): Target, input: &[u8]) {
    let outcome = catch_unwind(|| check(input));
    assert!(outcome.is_ok(), "{name} fails with b\"{}\"", input.escape_ascii());
}

#[test]
fn parsers_keep_their_invariants_on_mutated_seeds() {
    let time = Duration::from_secs(number("FUZZ_SECONDS", SECONDS_DEFAULT));
    let seed = number("FUZZ_SEED", SEED_DEFAULT);
    for target in TARGETS {
        let corpus = corpus(target.0);
        assert!(corpus.len() >= 2, "{} has no corpus", target.0);
        corpus.iter().for_each(|input| try_one(target, input));
        let mut mutator = Mutator::new(corpus, seed);
        let (begun, mut inputs) = (Instant::now(), 0_u64);
        while begun.elapsed() < time {
            try_one(target, &mutator.input());
            inputs += 1;
        }
        println!("{}: {inputs} inputs", target.0);
    }
}
