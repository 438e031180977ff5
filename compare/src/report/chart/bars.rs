//! Horizontal bars: a few for each substrate, with whiskers from least to largest.

use maud::{Markup, html};

use super::axis::Axis;
use super::data::{Item, Panel};
use super::svg::{self, Lettering, TEXT, WIDTH};
use crate::record::Metric;
use crate::statistics::Summary;

type Data = Vec<(Summary, String)>;

/// Height of an item's name, and of each of its bars.
const NAME: f64 = 17.0;
const BAR: f64 = 14.0;
/// Below an item.
const GAP: f64 = 4.0;
/// Height of the axis' labels.
const LABELS: f64 = 22.0;
/// Width of a letter in the column with the figures.
const LETTER: f64 = 6.5;
const MARGIN: f64 = 4.0;
/// How strongly the second and the following bars of an item are coloured.
const FADING: [f64; 4] = [1.0, 0.5, 0.75, 0.3];

/// What all panels have in common.
pub struct Bars {
    metric: Metric,
    /// The axis of all panels; none where each has its own.
    axis: Option<Axis>,
    /// Where the column with the figures begins.
    right: f64,
}

impl Bars {
    pub fn new(metric: Metric, logarithmic: bool, panels: &[Panel<Data>]) -> Self {
        let bars = || panels.iter().flat_map(bars);
        let letters = bars().map(|(_, label)| label.chars().count()).max().unwrap_or(0);
        let least = bars().map(|(summary, _)| summary.low).fold(f64::MAX, f64::min);
        // A bar that has no length looks like none.
        let axis = || Axis::logarithmic(least * 0.6, most(bars()), metric);
        let right = WIDTH - letters as f64 * LETTER - 2.0 * MARGIN - 12.0;
        Self { metric, axis: logarithmic.then(axis), right }
    }

    pub fn draw(&self, panel: &Panel<Data>) -> Markup {
        let axis = self.axis.clone().unwrap_or_else(|| Axis::linear(most(bars(panel)), self.metric, 3.0));
        let axis = axis.between(MARGIN, self.right);
        let mut top = 0.0;
        let placed = panel.items.iter().map(|item| {
            let place = top;
            top += item_height(item);
            (place, item)
        });
        html! {
            (axis.upright(0.0, height(panel) - LABELS))
            @for (top, item) in placed {
                (svg::text(&item.name, (MARGIN, top + NAME / 2.0 + 1.0), TEXT))
                @for (index, (summary, label)) in item.data.iter().enumerate() {
                    @let middle = top + NAME + BAR * index as f64 + BAR / 2.0;
                    (bar(&axis, item, index, summary, middle))
                    (svg::text(label, (WIDTH - MARGIN, middle), Lettering { anchor: "end", ..TEXT }))
                }
            }
        }
    }
}

fn bar(axis: &Axis, item: &Item<Data>, index: usize, summary: &Summary, middle: f64) -> Markup {
    let half = BAR / 2.0 - 2.0;
    let [low, median, high] = [summary.low, summary.median, summary.high].map(|value| axis.place(value));
    let (from, to) = ((axis.begin(), middle - half), (median, middle + half));
    html! {
        (svg::rectangle(from, to, item.colour, FADING[index % FADING.len()]))
        (svg::whisker((low, middle), (high, middle), half - 1.0))
    }
}

fn bars(panel: &Panel<Data>) -> impl Iterator<Item = &(Summary, String)> {
    panel.items.iter().flat_map(|item| &item.data)
}

fn most<'a>(bars: impl Iterator<Item = &'a (Summary, String)>) -> f64 {
    bars.map(|(summary, _)| summary.high).fold(0.0, f64::max)
}

fn item_height(item: &Item<Data>) -> f64 {
    NAME + BAR * item.data.len() as f64 + GAP
}

pub fn height(panel: &Panel<Data>) -> f64 {
    panel.items.iter().map(item_height).sum::<f64>() + LABELS
}
