//! Latency over percentiles, a curve for each substrate. Unikernels' are whole, the others' dashed.

use anyhow::{Context as _, Result};
use plotters::chart::ChartBuilder;
use plotters::series::{DashedLineSeries, LineSeries};

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
/// The least percentile that is drawn.
const FIRST: f64 = 50.0;

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
        let height = |panel: &Panel<Item>| PLOT + legend::height(panel.items.len());
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
        self.points.iter().copied().filter(|(percentile, ms)| *percentile >= FIRST && *ms > 0.0)
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
        .axis_style(canvas::stroke(Ink::Grid, 8))
        .bold_line_style(canvas::stroke(Ink::Grid, 8))
        .label_style(canvas::style(Lettering::faint(10)))
        .draw()?;
    for item in &panel.items {
        let points: Vec<(f64, f64)> = item.drawn().collect();
        let stroke = canvas::stroke(item.ink, 20);
        if item.dashed {
            let (dash, gap) = (canvas::to_fine(5), canvas::to_fine(3));
            chart.draw_series(DashedLineSeries::new(points, dash, gap, stroke)).context("a curve")?;
        } else {
            chart.draw_series(LineSeries::new(points, stroke)).context("a curve cannot be drawn")?;
        }
    }
    Ok(())
}
