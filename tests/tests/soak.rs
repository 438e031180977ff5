//! The short variant of `cargo run --package tests --bin soak`.

use tests::soak::soak;

#[test]
fn memory_stays_flat_over_twenty_thousand_requests() {
    let outcome = soak(20_000, |_, _| {});
    assert!(outcome.answered >= 20_000);
    assert!(outcome.is_flat(), "{outcome:?}");
}
