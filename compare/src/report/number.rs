//! Figures as people read them: three digits that matter, a unit, thin spaces between thousands.
//!
//! Rounds for reading only; `results.json` has the whole figures.

use indicatif::HumanCount;

use crate::record::Metric;
use crate::statistics::{Ratio, Summary};

/// Between groups of three digits: narrow, and no line ends at it.
const THIN: &str = "\u{202f}";
/// Between a figure and its unit: no line ends at it.
const TIE: &str = "\u{a0}";

/// A figure with its unit.
pub fn figure(metric: Metric, value: f64) -> String {
    match metric {
        Metric::RequestsPerSecond | Metric::OfferedPerSecond => format!("{}/s", count(value)),
        Metric::Ms | Metric::P50Ms | Metric::P90Ms | Metric::P99Ms | Metric::P999Ms => time(value),
        Metric::Bytes | Metric::CompressedBytes => bytes(value),
        Metric::MemoryMib | Metric::GuestMemoryMib | Metric::VmmMemoryMib => unit(&short(value), "MiB"),
        Metric::CorePercent => unit(&short(value), "%"),
        Metric::Instances => grouped(value),
        Metric::Instructions => instructions(value),
        Metric::DeviceAccesses | Metric::Exits => short(value),
    }
}

/// A figure for an axis: the same, without digits that say nothing.
pub fn tick(metric: Metric, value: f64) -> String {
    match metric {
        _ if value == 0.0 => "0".to_owned(),
        Metric::RequestsPerSecond | Metric::OfferedPerSecond if value >= 1000.0 => {
            format!("{}k", short(value / 1000.0))
        }
        Metric::RequestsPerSecond | Metric::OfferedPerSecond => short(value),
        Metric::Instructions if value >= 1e6 => unit(&short(value / 1e6), "M"),
        Metric::Instructions if value >= 1e3 => format!("{}k", short(value / 1e3)),
        _ => figure(metric, value),
    }
}

/// Least to largest, where there is more than one figure.
pub fn spread(metric: Metric, summary: &Summary) -> Option<String> {
    let (low, high) = (figure(metric, summary.low), figure(metric, summary.high));
    (summary.count > 1 && low != high).then(|| format!("{} – {high}", without_same_unit(&low, &high)))
}

/// How many times, such as `21.4×`.
pub fn times(factor: f64) -> String {
    let digits = if factor >= 100.0 { 0 } else { 1 + usize::from(factor < 10.0) };
    let text = if digits == 0 { grouped(factor) } else { format!("{factor:.digits$}") };
    format!("{}×", text.trim_end_matches(".0").trim_end_matches(".00"))
}

/// A ratio's interval, such as `20.1 – 24.9`; why there is none otherwise.
pub fn interval(ratio: &Ratio) -> String {
    match (ratio.low, ratio.high) {
        (Some(low), Some(high)) => format!("{} – {}", times(low), times(high)),
        _ => "one pair".to_owned(),
    }
}

fn time(ms: f64) -> String {
    if ms >= 999.5 { unit(&short(ms / 1000.0), "s") } else { unit(&short(ms), "ms") }
}

fn bytes(value: f64) -> String {
    let units = [(999_500_000.0, 1e9, "GB"), (999_500.0, 1e6, "MB"), (1000.0, 1e3, "kB"), (0.0, 1.0, "B")];
    let (_, divisor, name) = units.into_iter().find(|(least, ..)| value >= *least).unwrap_or(units[3]);
    unit(&short(value / divisor), name)
}

/// Four digits of millions, as a change of 2% must be seen; smaller counts whole.
fn instructions(value: f64) -> String {
    match value {
        value if value >= 1e9 => unit(&grouped(value / 1e6), "M"),
        value if value >= 1e6 => unit(&format!("{:.1}", value / 1e6), "M"),
        value => grouped(value),
    }
}

fn count(value: f64) -> String {
    if value >= 100.0 { grouped(value) } else { short(value) }
}

/// Three digits that matter.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        size if size >= 99.95 => return grouped(value),
        size if size >= 9.995 => 1,
        size if size >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// A whole number with thin spaces between its thousands, from five digits on: four read well without.
pub fn grouped(value: f64) -> String {
    match value.round() {
        size if size.abs() < 10_000.0 => format!("{:.0}", size + 0.0),
        size => HumanCount(size.abs() as u64).to_string().replace(',', THIN),
    }
}

fn unit(figure: &str, unit: &str) -> String {
    format!("{figure}{TIE}{unit}")
}

/// The lower end of a spread does not repeat the unit of the upper one.
fn without_same_unit<'a>(low: &'a str, high: &str) -> &'a str {
    let (low_figure, low_unit) = low.split_once(TIE).unwrap_or((low.trim_end_matches("/s"), ""));
    let high_unit = high.split_once(TIE).map_or("", |(_, unit)| unit);
    if low_unit == high_unit { low_figure } else { low }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        text.replace(THIN, " ").replace(TIE, " ")
    }

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let of = |metric, value| plain(&figure(metric, value));
        assert_eq!(of(Metric::Ms, 0.4249), "0.42 ms");
        assert_eq!(of(Metric::Ms, 7.7), "7.7 ms");
        assert_eq!(of(Metric::Ms, 106.4), "106 ms");
        assert_eq!(of(Metric::P99Ms, 999.6), "1 s");
        assert_eq!(of(Metric::Ms, 2520.0), "2.52 s");
        assert_eq!(of(Metric::Bytes, 576_167.0), "576 kB");
        assert_eq!(of(Metric::CompressedBytes, 1_674_800.0), "1.67 MB");
        assert_eq!(of(Metric::MemoryMib, 80.0), "80 MiB");
        assert_eq!(of(Metric::CorePercent, 0.0), "0 %");
        assert_eq!(of(Metric::RequestsPerSecond, 14_512.4), "14 512/s");
        assert_eq!(of(Metric::RequestsPerSecond, 73.26), "73.3/s");
    }

    #[test]
    fn instructions_show_a_change_of_two_percent() {
        let of = |value| plain(&figure(Metric::Instructions, value));
        assert_eq!(of(28_700.0), "28 700");
        assert_eq!(of(87_780_000.0), "87.8 M");
        assert_eq!(of(1_650_000_000.0), "1650 M");
    }

    #[test]
    fn thousands_are_apart_from_five_digits_on() {
        assert_eq!(plain(&grouped(9999.0)), "9999");
        assert_eq!(plain(&grouped(1_234_567.0)), "1 234 567");
        assert_eq!(grouped(-0.2), "0");
    }

    #[test]
    fn a_spread_names_a_common_unit_once() {
        let summary = Summary { median: 2.0, low: 1.0, high: 1200.0, p95: 3.0, count: 3 };
        assert_eq!(plain(&spread(Metric::Ms, &summary).expect("a spread")), "1 ms – 1.2 s");
        let summary = Summary { high: 3.0, ..summary };
        assert_eq!(plain(&spread(Metric::Ms, &summary).expect("a spread")), "1 – 3 ms");
        assert_eq!(plain(&spread(Metric::RequestsPerSecond, &summary).expect("a spread")), "1 – 3/s");
        assert_eq!(spread(Metric::Ms, &Summary { count: 1, ..summary }), None);
    }

    #[test]
    fn factors_keep_the_digits_that_matter() {
        assert_eq!([1.046, 21.37, 215.4].map(times), ["1.05×", "21.4×", "215×"]);
        assert_eq!([8.0, 22.01, 1.999].map(times), ["8×", "22×", "2×"]);
        let ratio = Ratio { ratio: 2.0, low: Some(1.5), high: Some(2.5), pairs: 3 };
        assert_eq!(interval(&ratio), "1.50× – 2.50×");
        assert_eq!(interval(&Ratio { low: None, ..ratio }), "one pair");
    }
}
