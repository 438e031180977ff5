//! Horizontal bars: a few for each substrate, with whiskers from least to largest.

use anyhow::{Context as _, Result};
use plotters::chart::ChartBuilder;
use plotters::element::{PathElement, Rectangle};
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

use super::axis::Axis;
use super::canvas::{self, Area, Caption, Lettering, WIDTH};
use super::ink::Ink;
use super::{Panel, Spread};
use crate::record::Metric;

/// Height of an item's name, and of each of its bars.
const NAME: i32 = 17;
const BAR: i32 = 14;
/// Below an item.
const GAP: i32 = 4;
/// Height of the axis' labels.
const LABELS: i32 = 22;
/// Width of a letter in the column with the figures, in tenths.
const LETTER_TENTHS: i32 = 65;
const MARGIN: i32 = 4;
/// How strongly the second and the following bars of an item are coloured.
const FADING: [f64; 4] = [1.0, 0.5, 0.75, 0.3];

/// A substrate's bars.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Its colour.
    pub ink: Ink,
    /// Each with what is written beside it.
    pub bars: Vec<(Spread, String)>,
}

/// A chart of bars.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What is said of it.
    pub caption: Caption,
    /// Which figures, for the axis.
    pub metric: Metric,
    /// Whether the axis is logarithmic, and then the same in all panels.
    pub logarithmic: bool,
    /// What is drawn.
    pub panels: Vec<Panel<Item>>,
}

impl Bars {
    /// The chart.
    ///
    /// # Errors
    /// When plotters cannot draw it.
    pub fn svg(&self) -> Result<String> {
        canvas::panels(&self.caption, &self.panels, height, |area, panel| {
            self.panel(area, panel, &self.axis(panel))
        })
    }

    /// Width of the column with the figures: the same in all panels.
    fn figures(&self) -> i32 {
        let labels = self.panels.iter().flat_map(|panel| &panel.items).flat_map(|item| &item.bars);
        let letters = labels.map(|(_, label)| label.chars().count()).max().unwrap_or(0);
        i32::try_from(letters).unwrap_or(0) * LETTER_TENTHS / 10 + 2 * MARGIN
    }

    fn axis(&self, panel: &Panel<Item>) -> Axis {
        let spreads = |panel: &Panel<Item>| -> Vec<Spread> {
            panel.items.iter().flat_map(|item| item.bars.iter().map(|(spread, _)| *spread)).collect()
        };
        if !self.logarithmic {
            let most = spreads(panel).iter().map(|spread| spread.high).fold(0.0, f64::max);
            return Axis::linear(most, self.metric, 3);
        }
        let all: Vec<Spread> = self.panels.iter().flat_map(spreads).collect();
        let least = all.iter().map(|spread| spread.low).fold(f64::MAX, f64::min);
        // A bar that has no length looks like none.
        Axis::logarithmic(least * 0.6, all.iter().map(|spread| spread.high).fold(0.0, f64::max), self.metric)
    }

    fn panel(&self, area: &Area, panel: &Panel<Item>, axis: &Axis) -> Result<()> {
        let depth = height(panel) - LABELS;
        let (plot, _) = area.split_horizontally(canvas::to_fine(WIDTH - self.figures()));
        let mut chart = ChartBuilder::on(&plot)
            .margin_left(canvas::to_fine(MARGIN))
            .margin_right(canvas::to_fine(12))
            .x_label_area_size(canvas::to_fine(LABELS))
            .build_cartesian_2d(axis.clone(), Axis::plain(f64::from(depth)..0.0))?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .set_all_tick_mark_size(canvas::to_fine(4))
            .axis_style(canvas::stroke(Ink::Grid, 8))
            .bold_line_style(canvas::stroke(Ink::Grid, 8))
            .x_label_style(canvas::style(Lettering::faint(10)))
            .draw()?;
        let mut top = 0;
        for item in &panel.items {
            canvas::text(area, &item.name, (MARGIN, top + NAME / 2 + 1), Lettering::new(11))?;
            for (index, (spread, label)) in item.bars.iter().enumerate() {
                let middle = top + NAME + BAR * i32::try_from(index)? + BAR / 2;
                draw_bar(
                    &mut chart,
                    axis,
                    item.ink,
                    FADING[index % FADING.len()],
                    *spread,
                    f64::from(middle),
                )?;
                let at = (WIDTH - MARGIN, middle);
                canvas::text(area, label, at, Lettering::new(11).at(HPos::Right))?;
            }
            top += item_height(item);
        }
        Ok(())
    }
}

type Chart<'a, 'b> = plotters::chart::ChartContext<
    'a,
    plotters::backend::SVGBackend<'b>,
    plotters::coord::cartesian::Cartesian2d<Axis, Axis>,
>;

fn draw_bar(
    chart: &mut Chart,
    axis: &Axis,
    ink: Ink,
    opacity: f64,
    spread: Spread,
    middle: f64,
) -> Result<()> {
    let half = f64::from(BAR) / 2.0 - 2.0;
    let bar = [(axis.begin(), middle - half), (spread.median, middle + half)];
    let style = RGBColor::from(ink).mix(opacity).filled();
    chart.draw_series([Rectangle::new(bar, style)])?;
    if spread.low < spread.high {
        let Spread { low, high, .. } = spread;
        let cap = |place: f64| vec![(place, middle - half + 1.0), (place, middle + half - 1.0)];
        let whisker = [vec![(low, middle), (high, middle)], cap(low), cap(high)];
        let lines = whisker.into_iter().map(|ends| PathElement::new(ends, canvas::stroke(Ink::Text, 12)));
        chart.draw_series(lines).context("whiskers cannot be drawn")?;
    }
    Ok(())
}

fn item_height(item: &Item) -> i32 {
    NAME + BAR * i32::try_from(item.bars.len()).unwrap_or(0) + GAP
}

fn height(panel: &Panel<Item>) -> i32 {
    panel.items.iter().map(item_height).sum::<i32>() + LABELS
}
