//! The proof that the simulation can fail: it catches each of the deliberate bugs.
//!
//! The bugs, and within how many seeds each must be caught, are listed in `tests::simulation::bugs`.

use tests::simulation::bugs::Bug;
use tests::simulation::check;
use tests::simulation::many::{catch_all, threads};

#[test]
fn every_deliberate_bug_is_caught() {
    let caught = catch_all(threads());
    for (bug, first) in &caught {
        println!("{}: {first:?}", bug.name());
    }
    let missed: Vec<_> =
        caught.iter().filter(|(_, first)| first.is_none()).map(|(bug, _)| bug.name()).collect();
    assert_eq!(missed, [""; 0], "of {} bugs these were not caught", Bug::ALL.len());
}

#[test]
fn a_failing_seed_leaves_what_is_needed_to_understand_it() {
    let failure = check(0, Some(Bug::CountVotes)).expect_err("votes are counted instead of voters");
    assert_eq!(failure.command(), "cargo run --bin simulate -- --seed 0 --bug count-votes");
    assert!(
        failure.to_string().contains(&failure.command()) && failure.to_string().contains(&failure.violation)
    );
    assert!(failure.capture.starts_with(&0xa1b2_c3d4_u32.to_le_bytes()), "a capture file");
    assert!(failure.capture.len() > 10_000, "with frames");
    for word in ["Plan {", " votes ", "hears: Accepted"] {
        assert!(failure.chronicle.contains(word), "{word} is not in {}", failure.chronicle);
    }
}
