//! Upright columns: for each category one for each substrate, with whiskers from least to largest.

use maud::{Markup, html};

use super::axis::Axis;
use super::data::Panel;
use super::svg::{self, LABEL, WIDTH};
use crate::record::Metric;
use crate::statistics::Summary;

type Data = Vec<Option<Summary>>;

/// Height of the plot with its axis, and of its categories' names.
const PLOT: f64 = 168.0;
const LABELS: f64 = 20.0;
/// Its margins; the left one is for the axis' labels.
const LEFT: f64 = 38.0;
const RIGHT: f64 = WIDTH - 4.0;
const TOP: f64 = 8.0;
/// Share of a category's width that is between its columns and the next one's.
const BETWEEN: f64 = 0.2;

pub fn height(panel: &Panel<Data>) -> f64 {
    PLOT + svg::legend_height(&panel.items)
}

pub fn draw(metric: Metric, categories: &[String], panel: &Panel<Data>) -> Markup {
    let summaries = panel.items.iter().flat_map(|item| item.data.iter().flatten());
    let most = summaries.map(|summary| summary.high).fold(0.0, f64::max);
    let axis = Axis::linear(most, metric, 4.0).between(PLOT - LABELS, TOP);
    let category = (RIGHT - LEFT) / categories.len().max(1) as f64;
    let width = category * (1.0 - BETWEEN) / panel.items.len().max(1) as f64;
    html! {
        (axis.across(LEFT, RIGHT))
        @for (index, name) in categories.iter().enumerate() {
            (svg::text(name, (LEFT + category * (index as f64 + 0.5), PLOT - LABELS / 2.0), LABEL))
        }
        @for (index, item) in panel.items.iter().enumerate() {
            @for (place, summary) in item.data.iter().enumerate() {
                @if let Some(Summary { low, median, high, .. }) = *summary {
                    @let left = LEFT + category * (place as f64 + BETWEEN / 2.0) + width * index as f64;
                    @let middle = left + 0.46 * width;
                    @let corners = ((left, axis.place(median)), (left + 0.92 * width, axis.begin()));
                    (svg::rectangle(corners.0, corners.1, item.colour, 1.0))
                    (svg::whisker((middle, axis.place(low)), (middle, axis.place(high)), 0.2 * width))
                }
            }
        }
        (svg::legend(&panel.items, PLOT, false))
    }
}
