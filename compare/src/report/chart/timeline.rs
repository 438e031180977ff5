//! Stages of a start, one after the other in a horizontal bar for each substrate.

use anyhow::Result;
use plotters::style::text_anchor::HPos;

use super::super::number;
use super::Panel;
use super::canvas::{self, Area, Caption, Lettering, WIDTH};
use super::ink::Ink;
use crate::record::Metric;

const NAME: i32 = 17;
const BAR: i32 = 15;
const GAP: i32 = 6;
const MARGIN: i32 = 4;
/// Stages narrower than this have no number in them.
const NUMBER_WIDTH: i32 = 13;

/// A substrate's start.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Stages with the milliseconds after which each was reached.
    pub stages: Vec<(String, f64)>,
}

impl Item {
    /// Milliseconds until the last stage.
    pub fn end(&self) -> f64 {
        self.stages.iter().map(|(_, ms)| *ms).fold(0.0, f64::max)
    }

    /// Stages with their beginning and end in milliseconds.
    pub fn spans(&self) -> Vec<(&str, f64, f64)> {
        let mut begin = 0.0;
        let mut span = |reached: f64| {
            let from = begin;
            begin = reached.max(from);
            (from, begin)
        };
        let spans = self.stages.iter().map(|(name, reached)| (name.as_str(), span(*reached)));
        spans.map(|(name, (from, to))| (name, from, to)).collect()
    }
}

/// A chart of starts.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// What is said of it.
    pub caption: Caption,
    /// Names of stages, each with the number and the colour of its place.
    pub names: Vec<String>,
    /// What is drawn; each panel has a scale of its own.
    pub panels: Vec<Panel<Item>>,
}

/// Names of the stages of all items, each once: in the order of the item with the most, then the others'.
pub fn names<'a>(items: impl Iterator<Item = &'a Item>) -> Vec<String> {
    let mut items: Vec<&Item> = items.collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.stages.len()));
    let mut names: Vec<String> = Vec::new();
    for (name, _) in items.iter().flat_map(|item| &item.stages) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

impl Timeline {
    /// The chart.
    ///
    /// # Errors
    /// When plotters cannot draw it.
    pub fn svg(&self) -> Result<String> {
        let height = |panel: &Panel<Item>| (NAME + BAR + GAP) * i32::try_from(panel.items.len()).unwrap_or(0);
        canvas::panels(&self.caption, &self.panels, height, |area, panel| {
            let most = panel.items.iter().map(Item::end).fold(f64::MIN_POSITIVE, f64::max);
            let tops = (0..).step_by((NAME + BAR + GAP).unsigned_abs() as usize);
            for (item, top) in panel.items.iter().zip(tops) {
                draw_item(area, item, &self.names, most, top)?;
            }
            Ok(())
        })
    }
}

fn draw_item(area: &Area, item: &Item, names: &[String], most: f64, top: i32) -> Result<()> {
    canvas::text(area, &item.name, (MARGIN, top + NAME / 2 + 1), Lettering::new(11))?;
    let end = number::figure(Metric::Ms, item.end());
    let right = (WIDTH - MARGIN, top + NAME / 2 + 1);
    canvas::text(area, &end, right, Lettering::new(11).at(HPos::Right))?;
    let width = f64::from(WIDTH - 2 * MARGIN);
    let place = |ms: f64| MARGIN + (ms / most * width).round() as i32;
    for (name, from, to) in item.spans() {
        let index = names.iter().position(|other| other == name).unwrap_or(0);
        let (left, right) = (place(from), place(to));
        canvas::rectangle(area, (left, top + NAME), (right, top + NAME + BAR), Ink::Stage(index), 1.0)?;
        if right - left >= NUMBER_WIDTH {
            let at = ((left + right) / 2, top + NAME + BAR / 2);
            let lettering = Lettering { bold: true, ink: Ink::Paper, ..Lettering::new(10) };
            canvas::text(area, &(index + 1).to_string(), at, lettering.at(HPos::Center))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(stages: &[(&str, f64)]) -> Item {
        let stages = stages.iter().map(|(name, ms)| ((*name).to_owned(), *ms)).collect();
        Item { name: String::new(), stages }
    }

    #[test]
    fn a_stage_has_the_same_number_in_every_start() {
        let items =
            [item(&[("answers", 9.0)]), item(&[("kernel", 2.0), ("answers", 3.0)]), item(&[("extra", 1.0)])];
        assert_eq!(names(items.iter()), ["kernel", "answers", "extra"]);
    }

    #[test]
    fn a_stage_that_medians_put_before_its_predecessor_takes_no_time() {
        let item = item(&[("a", 5.0), ("b", 4.0), ("c", 7.0)]);
        assert_eq!(item.spans(), [("a", 0.0, 5.0), ("b", 5.0, 5.0), ("c", 5.0, 7.0)]);
        assert_eq!(item.end(), 7.0);
    }
}
