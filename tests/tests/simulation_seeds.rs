//! The whole application under faults: 200 seeds, each run twice. `cargo run -p tests --bin simulate` runs
//! any number.
//!
//! What goes wrong and what must hold is written in `tests::simulation`.

use tests::simulation::many::{check_all, threads};

const SEEDS: u64 = 200;

/// What must have gone wrong, or the invariants would say nothing.
const KINDS: [&str; 15] = [
    "bad disks",
    "blackouts",
    "crashes",
    "frames cut off",
    "frames doubled",
    "frames lost",
    "frames overtaken",
    "isolated nodes",
    "one-way partitions",
    "partitions",
    "rough networks",
    "writes failed",
    "writes torn",
    "writes without space",
    "wrong clocks",
];

#[test]
fn no_vote_is_lost_or_counted_twice_whatever_goes_wrong() {
    let results = check_all(0..SEEDS, None, threads(), |_| {});
    if let Some(failure) = results.failures.first() {
        panic!("{} of {SEEDS} seeds fail\n{failure}", results.failures.len());
    }
    let counts = &results.counts;
    println!("{counts}");
    assert_eq!(counts.runs, SEEDS);
    for kind in KINDS {
        assert!(counts.faults.get(kind).is_some_and(|count| *count >= SEEDS / 10), "{kind}: {counts}");
    }
    for answer in ["accepted", "refused", "lost"] {
        assert!(counts.answers[answer] >= SEEDS, "{answer}: {counts}");
    }
}
