//! Five rounds of crashes; `cargo run -p tests --bin crash` does any number.

use tests::crash;

/// Gives, in five rounds, kills of the store alone, of another machine alone, and of all at once.
const SEED: u64 = 4;

#[test]
fn scores_are_what_was_acknowledged_after_crashes_of_every_machine() {
    let folder = std::env::temp_dir().join(format!("voting-app-crash-{}", std::process::id()));
    let report = crash::run(&folder, SEED, 5).unwrap_or_else(|error| panic!("{error:#}"));
    println!("{report}");
    assert!(report.kills >= 5 && report.acknowledged > 1_000, "{report}");
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}
