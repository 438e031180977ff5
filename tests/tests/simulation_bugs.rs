//! The proof that the simulation can fail: it catches each of the deliberate bugs.
//!
//! The bugs, and within how many seeds each must be caught, are listed in `tests::simulation::bugs`.

use tests::simulation::bugs::Bug;
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
