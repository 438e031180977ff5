//! Latency over percentiles, a curve for each substrate.

use maud::{Markup, html};

use super::axis::Axis;
use super::data::Panel;
use super::svg::{self, WIDTH};
use crate::record::Metric;

type Data = Vec<(f64, f64)>;

/// Height of the plot with its axis, and of the percentiles' names.
const PLOT: f64 = 190.0;
const LABELS: f64 = 20.0;
/// Its margins; the left one is for the axis' labels.
const LEFT: f64 = 48.0;
const RIGHT: f64 = WIDTH - 18.0;
const TOP: f64 = 8.0;

pub fn height(panel: &Panel<Data>) -> f64 {
    PLOT + svg::legend_height(&panel.items)
}

/// The axis that all panels have.
pub fn axis(metric: Metric, panels: &[Panel<Data>]) -> Axis {
    let latencies =
        || panels.iter().flat_map(|panel| &panel.items).flat_map(|item| &item.data).map(|(_, ms)| *ms);
    Axis::logarithmic(latencies().fold(f64::MAX, f64::min), latencies().fold(0.0, f64::max), metric)
}

pub fn draw(axis: &Axis, panel: &Panel<Data>) -> Markup {
    let (latency, percentile) = (axis.between(PLOT - LABELS, TOP), Axis::percentiles().between(LEFT, RIGHT));
    let point = |(at, ms): &(f64, f64)| (percentile.place(*at), latency.place(*ms));
    html! {
        (latency.across(LEFT, RIGHT))
        (percentile.upright(TOP, PLOT - LABELS))
        @for item in &panel.items { (svg::curve(item.data.iter().map(point), item.colour, item.dashed)) }
        (svg::legend(&panel.items, PLOT, true))
    }
}
