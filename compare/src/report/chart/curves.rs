//! Latency over percentiles, a curve for each substrate. Unikernels' are whole, the others' dashed.

use anyhow::{Context as _, Result};
use plotters::chart::ChartBuilder;
use plotters::series::LineSeries;
use plotters::style::{Color, RGBColor};

use super::axis::Axis;
use super::canvas::{self, Area, Caption, Lettering};
use super::ink::Ink;
use super::{Panel, legend};
use crate::record::Metric;

/// Height of the plot with its axis.
const PLOT: i32 = 190;
/// Height of the percentiles' names.
const LABELS: i32 = 20;
/// Width of the axis' labels.
const TICKS: i32 = 48;
/// Percentiles that are drawn.
const FIRST: f64 = 50.0;
const LAST: f64 = 99.9;

/// Widths of curves in plotters' units. The style sheet dashes those of the second one: plotters would
/// make an element of each dash.
const WHOLE_WIDTH: u32 = 32;
const DASHED_WIDTH: u32 = 33;

/// A substrate's curve.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Its colour.
    pub ink: Ink,
    /// Whether it is dashed.
    pub dashed: bool,
    /// Percentiles with their latency in milliseconds.
    pub points: Vec<(f64, f64)>,
}

/// A chart of curves.
#[derive(Clone, Debug)]
pub struct Curves {
    /// What is said of it.
    pub caption: Caption,
    /// What is drawn; all panels have the same scale.
    pub panels: Vec<Panel<Item>>,
}

impl Curves {
    /// The chart.
    ///
    /// # Errors
    /// When plotters cannot draw it.
    pub fn svg(&self) -> Result<String> {
        let all = self.panels.iter().flat_map(|panel| &panel.items).flat_map(Item::drawn);
        let latencies: Vec<f64> = all.map(|(_, ms)| ms).collect();
        let least = latencies.iter().copied().fold(f64::MAX, f64::min);
        let axis = Axis::logarithmic(least, latencies.iter().copied().fold(0.0, f64::max), Metric::Ms);
        let height =
            |panel: &Panel<Item>| PLOT + legend::height(panel.items.iter().map(|item| item.name.as_str()));
        canvas::panels(&self.caption, &self.panels, height, |area, panel| {
            let (plot, below) = area.split_vertically(canvas::to_fine(PLOT));
            draw_plot(&plot, panel, &axis)?;
            let keys = panel.items.iter().map(|item| (item.ink, item.name.as_str(), item.dashed));
            legend::draw(&below, keys)
        })
    }
}

impl Item {
    /// Whether there is something to draw.
    pub fn is_drawn(&self) -> bool {
        self.drawn().count() > 1
    }

    fn drawn(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points
            .iter()
            .copied()
            .filter(|(percentile, ms)| (FIRST..=LAST).contains(percentile) && *ms > 0.0)
    }
}

fn draw_plot(area: &Area, panel: &Panel<Item>, latency: &Axis) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(canvas::to_fine(8))
        .margin_right(canvas::to_fine(18))
        .x_label_area_size(canvas::to_fine(LABELS))
        .y_label_area_size(canvas::to_fine(TICKS))
        .build_cartesian_2d(Axis::percentiles(), latency.clone())?;
    chart
        .configure_mesh()
        .set_all_tick_mark_size(canvas::to_fine(4))
        .axis_style(canvas::stroke(Ink::Grid, 8))
        .bold_line_style(canvas::stroke(Ink::Grid, 8))
        .label_style(canvas::style(Lettering::faint(10)))
        .draw()?;
    for item in &panel.items {
        let points: Vec<(f64, f64)> = item.drawn().collect();
        let width = if item.dashed { DASHED_WIDTH } else { WHOLE_WIDTH };
        let stroke = RGBColor::from(item.ink).stroke_width(width);
        chart.draw_series(LineSeries::new(points, stroke)).context("a curve cannot be drawn")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_dashes_what_is_to_be_dashed() {
        let rule = format!("polyline[stroke-width=\"{DASHED_WIDTH}\"] {{ stroke-dasharray:");
        assert!(include_str!("../html/style.css").contains(&rule));
    }
}
