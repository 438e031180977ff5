//! Judges exercise 08.1: each case with its reason, once for each place in the space of numbers.

use exercise_08_1::{is_acceptable, is_before};

/// Where a stream may stand: in the middle, and around both places where something changes its sign.
const PLACES: [u32; 6] = [1_000, 0, u32::MAX - 1, u32::MAX, i32::MAX as u32, 1 << 31];

#[test]
fn judge() {
    PLACES.iter().for_each(|place| numbers_are_ordered(*place));
    PLACES.iter().for_each(|place| segments_are_judged(*place));
}

fn numbers_are_ordered(place: u32) {
    for (distance, expected) in [(1, true), (0, false), (70_000, true), (i32::MAX as u32, true)] {
        let other = place.wrapping_add(distance);
        check_order(place, other, expected);
        check_order(other, place, false);
    }
}

fn check_order(one: u32, other: u32, expected: bool) {
    let came = is_before(one, other);
    let why = if (one < other) == expected { "" } else { ": the numbers have begun again at 0 between them" };
    assert!(came == expected, "is_before({one}, {other}): expected {expected}; came {came}{why}");
}

fn segments_are_judged(next: u32) {
    // Window, distance of the first byte from the next one, length, and why the answer is as it is.
    let cases: [(u32, i32, u32, bool, &str); 15] = [
        (1_000, 0, 100, true, "it is the next one"),
        (1_000, 500, 100, true, "it lies in the window, behind a gap"),
        (1_000, 999, 100, true, "its first byte has room"),
        (1_000, 1_000, 100, false, "it begins behind the window"),
        (1_000, -100, 150, true, "the end of the segment is new, though its first byte is not"),
        (1_000, -100, 101, true, "its last byte is the next one: the end of the segment is new"),
        (1_000, -100, 100, false, "all of it was received before"),
        (1_000, -500, 100, false, "all of it was received before"),
        (1_000, 0, 0, true, "it has no data, and its number is in the window"),
        (1_000, 999, 0, true, "it has no data, and its number is in the window"),
        (1_000, 1_000, 0, false, "it has no data, and its number is behind the window"),
        (
            1_000,
            -1,
            0,
            false,
            "it has no data, and its number is before the window: so a keep-alive is answered",
        ),
        (0, 0, 0, true, "without a window an acknowledgement of the right number is still read"),
        (0, 0, 1, false, "there is no room for data"),
        (0, 1, 0, false, "without a window only the next number is right"),
    ];
    for (window, distance, length, expected, why) in cases {
        let number = next.wrapping_add_signed(distance);
        let came = is_acceptable(next, window, number, length);
        assert!(
            came == expected,
            "is_acceptable with next = {next}, window = {window}, and a segment of {length} bytes from {number}: \
             expected {expected}, as {why}; came {came}"
        );
    }
}
