//! Axes: where a figure stands on one, which places are named, and the lines of their grid.

use std::ops::Range;

use maud::{Markup, html};

use super::data::Colour;
use super::svg::{self, LABEL, Lettering};
use crate::record::Metric;
use crate::report::number;

/// Steps between the marks of an axis, to be multiplied by a power of ten.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];
/// A logarithmic axis with fewer decades than this names the steps within them.
const FEW_DECADES: f64 = 2.3;
/// Percentiles that are named.
const PERCENTILES: [(f64, &str); 4] = [(50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p99.9")];

/// Where a figure is on an axis, before it is stretched to the axis' length.
type Scale = fn(f64) -> f64;

/// An axis from one place of a chart to another; figures beyond its ends stand at them.
#[derive(Clone)]
pub struct Axis {
    scale: Scale,
    /// First and last figure.
    ends: Range<f64>,
    /// Figures with their names.
    marks: Vec<(f64, String)>,
    /// Where the ends are in the chart.
    span: (f64, f64),
}

impl Axis {
    /// From 0 to a little more than `most`, with about `count` marks.
    pub fn linear(most: f64, metric: Metric, count: f64) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let step = step(most / count);
        let last = (most / step).ceil();
        let marks = (0..=last as u32).map(|index| step * f64::from(index));
        Self::new(|value| value, 0.0..last * step, marks, metric)
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
        let marks: Vec<f64> = values.filter(|value| ends.contains(value)).collect();
        Self::new(|value| value.max(f64::MIN_POSITIVE).log10(), ends, marks.into_iter(), metric)
    }

    /// Percentiles from 50 to 99.9, each nine as wide as the one before.
    pub fn percentiles() -> Self {
        let marks = PERCENTILES.map(|(percentile, name)| (percentile, name.to_owned())).to_vec();
        let scale = |value: f64| -(1.0 - value.min(99.999) / 100.0).log10();
        Self { scale, ends: PERCENTILES[0].0..PERCENTILES[3].0, marks, span: (0.0, 1.0) }
    }

    fn new(scale: Scale, ends: Range<f64>, marks: impl Iterator<Item = f64>, metric: Metric) -> Self {
        let marks = marks.map(|value| (value, number::tick(metric, value))).collect();
        Self { scale, ends, marks, span: (0.0, 1.0) }
    }

    /// The same between two places of a chart.
    pub fn between(&self, from: f64, to: f64) -> Self {
        Self { span: (from, to), ..self.clone() }
    }

    /// Where a figure stands.
    pub fn place(&self, value: f64) -> f64 {
        let (first, last) = ((self.scale)(self.ends.start), (self.scale)(self.ends.end));
        let share = (((self.scale)(value) - first) / (last - first)).clamp(0.0, 1.0);
        self.span.0 + share * (self.span.1 - self.span.0)
    }

    /// Where bars begin.
    pub fn begin(&self) -> f64 {
        self.span.0
    }

    /// Upright lines from `top` to `bottom`, their names below.
    pub fn upright(&self, top: f64, bottom: f64) -> Markup {
        html! {
            @for (value, name) in &self.marks {
                @let x = self.place(*value);
                (svg::line((x, top), (x, bottom + 3.0), Colour::Grid))
                (svg::text(name, (x, bottom + 11.0), LABEL))
            }
        }
    }

    /// Lines across from `left` to `right`, their names before them.
    pub fn across(&self, left: f64, right: f64) -> Markup {
        html! {
            @for (value, name) in &self.marks {
                @let y = self.place(*value);
                (svg::line((left - 3.0, y), (right, y), Colour::Grid))
                (svg::text(name, (left - 6.0, y), Lettering { anchor: "end", ..LABEL }))
            }
        }
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
    fn a_linear_axis_runs_from_zero_to_the_largest_value() {
        let axis = Axis::linear(73.0, Metric::MemoryMib, 4.0);
        assert_eq!(axis.ends, 0.0..80.0);
        let marks: Vec<f64> = axis.marks.iter().map(|(value, _)| *value).collect();
        assert_eq!(marks, [0.0, 20.0, 40.0, 60.0, 80.0]);
    }

    #[test]
    fn a_logarithmic_axis_names_decades() {
        let axis = Axis::logarithmic(7.7, 2520.0, Metric::Ms);
        let names: Vec<String> = axis.marks.iter().map(|(_, name)| name.replace('\u{a0}', " ")).collect();
        assert_eq!(names, ["10 ms", "100 ms", "1 s"]);
        let middle = axis.place((10f64 * 1000.0).sqrt());
        assert!((middle * 2.0 - axis.place(10.0) - axis.place(1000.0)).abs() < 1e-9);
    }

    #[test]
    fn each_nine_is_as_wide_as_the_one_before() {
        let axis = Axis::percentiles();
        let (p90, p99, p999) = (axis.place(90.0), axis.place(99.0), axis.place(99.9));
        assert!((p999 - p99 - (p99 - p90)).abs() < 1e-9);
        assert_eq!(axis.place(100.0), p999);
    }

    #[test]
    fn figures_beyond_an_end_stand_at_it() {
        let axis = Axis::logarithmic(1.0, 10.0, Metric::Ms).between(0.0, 100.0);
        assert_eq!((axis.place(0.0), axis.place(1e9)), (0.0, 100.0));
    }
}
