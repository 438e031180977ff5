//! The whole application under faults: 500 seeds, each run twice. `cargo run --bin simulate` runs
//! any number.
//!
//! What goes wrong and what must hold is written in `tests::simulation`.

use tests::simulation::many::{check_all, threads};

const SEEDS: u64 = 500;

/// What must have gone wrong in every tenth seed, or the invariants would say nothing.
const KINDS: [&str; 25] = [
    "bad disks",
    "blackouts",
    "clock jumps",
    "failed writes kept in the cache",
    "frames cut off",
    "frames doubled",
    "frames lost",
    "frames overtaken",
    "instances gone or come",
    "isolated nodes",
    "killed processes",
    "one-way partitions",
    "partitions",
    "pauses",
    "pauses with the clock",
    "power cuts",
    "reads failed",
    "rough networks",
    "stutters",
    "transactions refused",
    "writes failed",
    "writes left in the cache by a process",
    "writes torn",
    "writes without space",
    "wrong clocks",
];
/// The same in every fiftieth: not every application has a database, or goes back.
const RARE_KINDS: [&str; 9] = [
    "bad databases",
    "commits unheard of",
    "full memories",
    "losses accepted",
    "older copies of the store",
    "rotten sectors",
    "starts refused on a damaged disk",
    "transactions dropped",
    "unreadable sectors",
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
    for (kinds, least) in [(&KINDS[..], SEEDS / 10), (&RARE_KINDS, SEEDS / 50)] {
        for kind in kinds {
            assert!(counts.faults.get(kind).is_some_and(|count| *count >= least), "{kind}: {counts}");
        }
    }
    for answer in ["accepted", "refused", "lost"] {
        assert!(counts.answers[answer] >= SEEDS, "{answer}: {counts}");
    }
}
