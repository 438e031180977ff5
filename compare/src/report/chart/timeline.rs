//! Stages of a start, one after the other in a horizontal bar for each substrate.

use maud::{Markup, html};

use super::data::{Colour, Item, Panel};
use super::svg::{self, Lettering, TEXT, WIDTH};
use crate::record::Metric;
use crate::report::number;

type Stages = Vec<(String, f64)>;

const NAME: f64 = 17.0;
const BAR: f64 = 15.0;
const ITEM: f64 = NAME + BAR + 6.0;
const MARGIN: f64 = 4.0;
/// Stages narrower than this have no number in them.
const NUMBER_WIDTH: f64 = 13.0;

/// What the heading of a panel says that shows some items of another one again.
pub const MAGNIFIED: &str = " · the short ones again, magnified";

/// Milliseconds until the last stage.
pub fn end(stages: &[(String, f64)]) -> f64 {
    stages.iter().map(|(_, ms)| *ms).fold(0.0, f64::max)
}

/// The numbers of stages among `names`, with their beginning and end in milliseconds.
pub fn spans(stages: &[(String, f64)], names: &[String]) -> Vec<(usize, f64, f64)> {
    let mut begin = 0.0;
    let span = |(name, reached): &(String, f64)| {
        let from = begin;
        begin = reached.max(from);
        (names.iter().position(|other| other == name).unwrap_or(0), from, begin)
    };
    stages.iter().map(span).collect()
}

/// Names of the stages of all items, each once: in the order of the item with the most, then the others'.
pub fn names<'a>(items: impl Iterator<Item = &'a Stages>) -> Vec<String> {
    let mut items: Vec<&Stages> = items.collect();
    items.sort_by_key(|stages| std::cmp::Reverse(stages.len()));
    let mut names: Vec<String> = Vec::new();
    for (name, _) in items.into_iter().flatten() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

pub fn height(panel: &Panel<Stages>) -> f64 {
    ITEM * panel.items.len() as f64
}

pub fn draw(metric: Metric, names: &[String], panel: &Panel<Stages>) -> Markup {
    let most = panel.items.iter().map(|item| end(&item.data)).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - 2.0 * MARGIN) / most;
    html! {
        @for (index, item) in panel.items.iter().enumerate() {
            (start(metric, names, item, scale, ITEM * index as f64))
        }
    }
}

fn start(metric: Metric, names: &[String], item: &Item<Stages>, scale: f64, top: f64) -> Markup {
    let (line, bar) = (top + NAME / 2.0 + 1.0, top + NAME);
    let figure = number::figure(metric, end(&item.data));
    let in_bar = Lettering { bold: true, colour: Colour::Paper, size: 10, anchor: "middle" };
    html! {
        (svg::text(&item.name, (MARGIN, line), TEXT))
        (svg::text(&figure, (WIDTH - MARGIN, line), Lettering { anchor: "end", ..TEXT }))
        @for (stage, from, to) in spans(&item.data, names) {
            @let (left, right) = (MARGIN + from * scale, MARGIN + to * scale);
            (svg::rectangle((left, bar), (right, bar + BAR), Colour::Stage(stage), 1.0))
            @if right - left >= NUMBER_WIDTH {
                (svg::text(&(stage + 1).to_string(), ((left + right) / 2.0, bar + BAR / 2.0), in_bar))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(stages: &[(&str, f64)]) -> Stages {
        stages.iter().map(|(name, ms)| ((*name).to_owned(), *ms)).collect()
    }

    #[test]
    fn a_stage_has_the_same_number_in_every_start() {
        let starts = [
            stages(&[("answers", 9.0)]),
            stages(&[("kernel", 2.0), ("answers", 3.0)]),
            stages(&[("extra", 1.0)]),
        ];
        assert_eq!(names(starts.iter()), ["kernel", "answers", "extra"]);
    }

    #[test]
    fn a_stage_that_medians_put_before_its_predecessor_takes_no_time() {
        let stages = stages(&[("a", 5.0), ("b", 4.0), ("c", 7.0)]);
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(spans(&stages, &names), [(0, 0.0, 5.0), (1, 5.0, 5.0), (2, 5.0, 7.0)]);
        assert_eq!(end(&stages), 7.0);
    }
}
