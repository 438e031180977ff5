//! Axes: where a figure stands on one, and which places are named.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::super::number;
use crate::record::Metric;

/// Steps between the marks of an axis, to be multiplied by a power of ten.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];
/// A logarithmic axis with fewer decades than this names the steps within them.
const FEW_DECADES: f64 = 2.3;
/// Percentiles that are named.
const PERCENTILES: [(f64, &str); 4] = [(50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p99.9")];

/// How figures are mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Logarithmic,
    /// Each nine is as wide as the one before.
    Percentiles,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.max(f64::MIN_POSITIVE).log10(),
            Self::Percentiles => -(1.0 - value.min(99.999) / 100.0).log10(),
        }
    }
}

/// An axis; figures beyond its ends stand at them.
#[derive(Clone, Debug)]
pub struct Axis {
    scale: Scale,
    /// First and last figure.
    ends: Range<f64>,
    /// Figures with their names.
    marks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to a little more than `most`, with about `count` marks.
    pub fn linear(most: f64, metric: Metric, count: usize) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let step = step(most / count.max(1) as f64);
        let last = (most / step).ceil();
        let marks = (0..=last as u32).map(|index| step * f64::from(index));
        let marks = marks.map(|value| (value, number::tick(metric, value))).collect();
        Self { scale: Scale::Linear, ends: 0.0..last * step, marks }
    }

    /// From a little less than `least` to a little more than `most`; figures are above 0.
    pub fn logarithmic(least: f64, most: f64, metric: Metric) -> Self {
        let least = if least > 0.0 && least.is_finite() { least } else { 1e-3 };
        let (low, high) = (least.log10(), most.max(least * 1.01).log10());
        let room = 0.06 * (high - low).max(0.5);
        let ends = 10f64.powf(low - room)..10f64.powf(high + room);
        let steps = if high - low + 2.0 * room < FEW_DECADES { &STEPS[..] } else { &STEPS[..1] };
        let decades = low.floor() as i32 - 1..=high.ceil() as i32 + 1;
        let values = decades.flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)));
        let marks = values.filter(|value| ends.contains(value));
        let marks = marks.map(|value| (value, number::tick(metric, value))).collect();
        Self { scale: Scale::Logarithmic, ends, marks }
    }

    /// Percentiles from 50 to 99.9.
    pub fn percentiles() -> Self {
        let marks = PERCENTILES.map(|(percentile, name)| (percentile, name.to_owned())).to_vec();
        Self { scale: Scale::Percentiles, ends: PERCENTILES[0].0..PERCENTILES[3].0, marks }
    }

    /// One place after the other, each named in its middle.
    pub fn categories(names: &[String]) -> Self {
        let marks = names.iter().enumerate().map(|(index, name)| (index as f64 + 0.5, name.clone()));
        Self { scale: Scale::Linear, ends: 0.0..names.len().max(1) as f64, marks: marks.collect() }
    }

    /// Without marks.
    pub fn plain(ends: Range<f64>) -> Self {
        Self { scale: Scale::Linear, ends, marks: Vec::new() }
    }

    /// Where bars begin.
    pub fn begin(&self) -> f64 {
        self.ends.start
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let (first, last) = (self.scale.place(self.ends.start), self.scale.place(self.ends.end));
        let share = ((self.scale.place(*value) - first) / (last - first)).clamp(0.0, 1.0);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.marks.iter().map(|(value, _)| *value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.ends.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let mark = self.marks.iter().find(|(other, _)| other == value);
        mark.map(|(_, name)| name.clone()).unwrap_or_default()
    }
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn step(least: f64) -> f64 {
    let decade = 10f64.powf(least.log10().floor());
    let wide = STEPS.iter().map(|step| step * decade).find(|step| *step >= least * 0.999);
    wide.unwrap_or(10.0 * decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_begins_at_nothing_and_holds_the_most() {
        let axis = Axis::linear(73.0, Metric::MemoryMib, 4);
        assert_eq!(axis.ends, 0.0..80.0);
        let marks: Vec<f64> = axis.marks.iter().map(|(value, _)| *value).collect();
        assert_eq!(marks, [0.0, 20.0, 40.0, 60.0, 80.0]);
    }

    #[test]
    fn a_logarithmic_axis_names_decades() {
        let axis = Axis::logarithmic(7.7, 2520.0, Metric::Ms);
        let names: Vec<String> = axis.marks.iter().map(|(_, name)| name.replace('\u{a0}', " ")).collect();
        assert_eq!(names, ["10 ms", "100 ms", "1 s"]);
        let middle = (10f64 * 1000.0).sqrt();
        assert_eq!(
            axis.map(&middle, (0, 1000)) * 2,
            axis.map(&10.0, (0, 1000)) + axis.map(&1000.0, (0, 1000))
        );
    }

    #[test]
    fn each_nine_is_as_wide_as_the_one_before() {
        let axis = Axis::percentiles();
        let place = |percentile: f64| axis.map(&percentile, (0, 27_000));
        assert!((place(99.9) - place(99.0) - (place(99.0) - place(90.0))).abs() <= 1);
        assert_eq!(place(100.0), place(99.9));
    }

    #[test]
    fn figures_beyond_an_end_stand_at_it() {
        let axis = Axis::logarithmic(1.0, 10.0, Metric::Ms);
        assert_eq!((axis.map(&0.0, (0, 100)), axis.map(&1e9, (0, 100))), (0, 100));
    }
}
