//! The chart of votes over time, as HTML: lines, labels and texts.
//!
//! The style sheet defines its look, and the page decides when to draw it.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use core::time::Duration;

use kernel_app::assets::fill;

use crate::history::Sample;
use crate::scores::votes;

const TEMPLATE: &str = include_str!("../assets/chart.html");
/// Size of the picture in its own units, as the template's `viewBox` has it. The browser stretches it.
const WIDTH: u64 = 600;
const HEIGHT: u64 = 100;
/// Left and right of what is seen: lines begin and end there, so that they enclose the area under them.
const LEFT: &str = "-9,100 -9";
const RIGHT: &str = "609,100";

/// The chart of these samples, the earliest of which comes first, for options of these names, which are HTML.
/// Nothing, when there are none.
pub fn draw(names: &[String; 2], samples: &[Sample]) -> String {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return String::new() };
    let top = samples.iter().map(|sample| sample.scores.a.max(sample.scores.b)).max().unwrap_or(0).max(1);
    let age = age(last.at.since(first.at));
    let change = |name: &str, from: u64, to: u64| format!("{name} from {from} to {}", votes(to));
    let values = [
        ("a", names[0].as_str()),
        ("b", &names[1]),
        ("a_points", &points(samples, top, |sample| sample.scores.a)),
        ("b_points", &points(samples, top, |sample| sample.scores.b)),
        ("top", &format!("{top}")),
        ("age", &age),
        (
            "summary",
            &format!(
                "In {age}: {}, {}",
                change(&names[0], first.scores.a, last.scores.a),
                change(&names[1], first.scores.b, last.scores.b)
            ),
        ),
    ];
    fill(TEMPLATE, &values)
}

/// The corners of a line, and of the area under it.
fn points(samples: &[Sample], top: u64, count: impl Fn(&Sample) -> u64) -> String {
    let begin = samples[0].at;
    let span = samples[samples.len() - 1].at.since(begin).max(Duration::from_micros(1));
    let x = |sample: &Sample| scaled(sample.at.since(begin).as_micros(), span.as_micros(), WIDTH);
    let y = |sample: &Sample| HEIGHT - scaled(count(sample).into(), top.into(), HEIGHT);
    let mut points = format!("{LEFT},{}", y(&samples[0]));
    for sample in samples {
        // Writing to a string cannot fail.
        let _ = write!(points, " {},{}", x(sample), y(sample));
    }
    let _ = write!(points, " 609,{} {RIGHT}", y(&samples[samples.len() - 1]));
    points
}

/// Where `part` of `whole` is on a line of this length, rounded.
fn scaled(part: u128, whole: u128, length: u64) -> u64 {
    u64::try_from((part * u128::from(length) + whole / 2) / whole).unwrap_or(length)
}

/// A span of time in the largest unit of which there are two.
fn age(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds >= 2 * size).unwrap_or((1, "s"));
    format!("{} {unit}", seconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_app::Instant;
    use votes::Scores;

    fn sample(second: u64, a: u64, b: u64) -> Sample {
        Sample { at: Instant::from_millis(second * 1_000), scores: Scores { a, b } }
    }

    fn chart(samples: &[Sample]) -> String {
        draw(&["Cats".into(), "Dogs".into()], samples)
    }

    #[test]
    fn lines_go_from_the_first_to_the_last_sample_and_up_to_the_largest_count() {
        let chart = chart(&[sample(10, 0, 0), sample(40, 50, 20), sample(130, 200, 100)]);
        for part in [
            "<polyline class=\"a\" points=\"-9,100 -9,100 0,100 150,75 600,0 609,0 609,100\"/>",
            "<polyline class=\"b\" points=\"-9,100 -9,100 0,100 150,90 600,50 609,50 609,100\"/>",
            "<span>200</span></figcaption>",
            "<span>2 min ago</span>",
            "aria-label=\"In 2 min: Cats from 0 to 200 votes, Dogs from 0 to 100 votes\"",
        ] {
            assert!(chart.contains(part), "{part} is not in {chart}");
        }
        assert!(!chart.contains(['{', '}']), "every placeholder is filled: {chart}");
    }

    #[test]
    fn one_sample_is_a_level_line_and_none_are_no_chart() {
        let one = chart(&[sample(10, 0, 1)]);
        assert!(one.contains("class=\"a\" points=\"-9,100 -9,100 0,100 609,100 609,100\""), "{one}");
        assert!(one.contains("class=\"b\" points=\"-9,100 -9,0 0,0 609,0 609,100\""), "{one}");
        assert!(one.contains("Dogs from 1 to 1 vote\""), "{one}");
        assert_eq!(chart(&[]), "");
    }

    #[test]
    fn counts_of_any_size_and_of_nobody_stay_within_the_picture() {
        let largest = chart(&[sample(0, 0, 0), sample(u64::MAX / 2_000_000, u64::MAX, 1)]);
        assert!(largest.contains(" 0,100 600,0 609,0"), "{largest}");
        let nobody = chart(&[sample(0, 0, 0), sample(1, 0, 0)]);
        assert!(nobody.contains(" 0,100 600,100 609,100"), "{nobody}");
    }

    #[test]
    fn times_are_shown_in_a_unit_that_is_not_too_coarse() {
        let told = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(|at| age(Duration::from_secs(at)));
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]);
    }
}
