//! Upright columns: for each category one for each substrate, with whiskers from least to largest.

use anyhow::{Context as _, Result};
use plotters::chart::ChartBuilder;
use plotters::element::{PathElement, Rectangle};
use plotters::style::{Color, RGBColor};

use super::axis::Axis;
use super::canvas::{self, Area, Caption, Lettering};
use super::ink::Ink;
use super::{Panel, Spread, legend};
use crate::record::Metric;

/// Height of the plot with its axis.
const PLOT: i32 = 168;
/// Height of the categories' names.
const LABELS: i32 = 20;
/// Width of the axis' labels.
const TICKS: i32 = 38;
/// Share of a category's width that is between its columns and the next one's.
const BETWEEN: f64 = 0.2;

/// A substrate's columns.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Its colour.
    pub ink: Ink,
    /// A column for each category, where there is a figure.
    pub columns: Vec<Option<Spread>>,
}

/// A chart of columns.
#[derive(Clone, Debug)]
pub struct Columns {
    /// What is said of it.
    pub caption: Caption,
    /// Which figures, for the axis.
    pub metric: Metric,
    /// Names of the categories.
    pub categories: Vec<String>,
    /// What is drawn; each panel has a scale of its own.
    pub panels: Vec<Panel<Item>>,
}

impl Columns {
    /// The chart.
    ///
    /// # Errors
    /// When plotters cannot draw it.
    pub fn svg(&self) -> Result<String> {
        let height =
            |panel: &Panel<Item>| PLOT + legend::height(panel.items.iter().map(|item| item.name.as_str()));
        canvas::panels(&self.caption, &self.panels, height, |area, panel| {
            let (plot, below) = area.split_vertically(canvas::to_fine(PLOT));
            self.plot(&plot, panel)?;
            let keys = panel.items.iter().map(|item| (item.ink, item.name.as_str(), false));
            legend::draw(&below, keys)
        })
    }

    fn plot(&self, area: &Area, panel: &Panel<Item>) -> Result<()> {
        let spreads = panel.items.iter().flat_map(|item| item.columns.iter().flatten());
        let axis = Axis::linear(spreads.map(|spread| spread.high).fold(0.0, f64::max), self.metric, 4);
        let mut chart = ChartBuilder::on(area)
            .margin_top(canvas::to_fine(8))
            .margin_right(canvas::to_fine(4))
            .x_label_area_size(canvas::to_fine(LABELS))
            .y_label_area_size(canvas::to_fine(TICKS))
            .build_cartesian_2d(Axis::categories(&self.categories), axis.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .set_all_tick_mark_size(canvas::to_fine(4))
            .axis_style(canvas::stroke(Ink::Grid, 8))
            .bold_line_style(canvas::stroke(Ink::Grid, 8))
            .label_style(canvas::style(Lettering::faint(10)))
            .draw()?;
        let width = (1.0 - BETWEEN) / panel.items.len().max(1) as f64;
        for (index, item) in panel.items.iter().enumerate() {
            let offset = BETWEEN / 2.0 + width * index as f64;
            let found = item.columns.iter().enumerate();
            let found = found.filter_map(|(place, spread)| Some((place as f64 + offset, (*spread)?)));
            let columns: Vec<(f64, Spread)> = found.collect();
            let style = RGBColor::from(item.ink).filled();
            let rectangle = |(left, spread): &(f64, Spread)| {
                let right = left + 0.92 * width;
                Rectangle::new([(*left, axis.begin()), (right, spread.median)], style)
            };
            chart.draw_series(columns.iter().map(rectangle)).context("columns cannot be drawn")?;
            let whiskers = columns.iter().flat_map(|(left, spread)| whisker(*left, width, spread));
            chart.draw_series(whiskers).context("whiskers cannot be drawn")?;
        }
        Ok(())
    }
}

fn whisker(left: f64, width: f64, spread: &Spread) -> Vec<PathElement<(f64, f64)>> {
    if spread.low >= spread.high {
        return Vec::new();
    }
    let (low, high, middle) = (spread.low, spread.high, left + 0.46 * width);
    let cap = |place: f64| vec![(middle - 0.2 * width, place), (middle + 0.2 * width, place)];
    let lines = [vec![(middle, low), (middle, high)], cap(low), cap(high)];
    lines.into_iter().map(|ends| PathElement::new(ends, canvas::stroke(Ink::Text, 10))).collect()
}
