//! Noise with a known truth beneath it.

use exercise_12_1::{Ratio, Verdict, median, ratio, verdict};

#[test]
fn a_median() {
    let came = median(&[81.0, 74.0, 129.0]);
    assert!(
        came == Some(81.0),
        "expected 81 as the median of 81, 74 and 129 (sort them first); came {came:?}"
    );
    let came = median(&[9.0, 80.0, 1000.0, 85.0]);
    assert!(
        came == Some(82.5),
        "expected 82.5 as the median of 9, 80, 1000 and 85, the mean of the two in the middle of the sorted values; \
         came {came:?}"
    );
    let came = median(&[]);
    assert!(came.is_none(), "expected none as the median of no values; came {came:?}");
}

#[test]
fn b_noise_that_both_meet_cancels() {
    // The machine is half as fast in the second round and a quarter as fast in the third.
    let came = ratio(&[(40_000.0, 10_000.0), (20_000.0, 5_000.0), (10_000.0, 2_500.0)]);
    let expected = Ratio { low: 4.0, median: 4.0, high: 4.0 };
    assert!(
        came == Some(expected),
        "expected 4 to 4, for both programs became slower together and the ratio within each round stayed 4; \
         came {came:?}"
    );
}

#[test]
fn c_noise_that_one_meets_shows() {
    let came = ratio(&[(11_000.0, 2_200.0), (12_000.0, 1_200.0), (9_000.0, 3_000.0)]);
    let expected = Ratio { low: 3.0, median: 5.0, high: 10.0 };
    assert!(
        came == Some(expected),
        "expected 3, 5 and 10 as the ratios of three rounds (5, 10 and 3); came {came:?}"
    );
    let came = ratio(&[]);
    assert!(came.is_none(), "expected none of no rounds; came {came:?}");
}

#[test]
fn d_claims() {
    let rounds = [(11_000.0, 2_200.0), (12_000.0, 1_200.0), (9_000.0, 3_000.0)];
    for (claim, expected, why) in [
        (3.0, Verdict::Supported, "every round reaches it"),
        (4.0, Verdict::Open, "the median is 5, but one round says 3: rounds disagree, so nothing is shown"),
        (6.0, Verdict::Open, "one round says 10, the others 5 and 3"),
        (11.0, Verdict::Refuted, "no round reaches it"),
    ] {
        let came = verdict(&rounds, claim);
        assert!(
            came == expected,
            "expected {expected:?} for a claim of {claim} times ({why}); came {came:?}"
        );
    }
}

#[test]
fn e_too_few_rounds() {
    for rounds in [&[][..], &[(8.0, 1.0)], &[(8.0, 1.0), (9.0, 1.0)]] {
        let (count, came) = (rounds.len(), verdict(rounds, 2.0));
        assert!(came == Verdict::Open, "expected Open from {count} rounds, fewer than three; came {came:?}");
    }
}
