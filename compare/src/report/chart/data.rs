//! What a chart shows, and in which colours.

use crate::record::{Execution, Metric};
use crate::report::labels;
use crate::statistics::Summary;
use crate::substrate::CANDIDATES;

pub struct Chart {
    pub title: String,
    /// How it is to be read.
    pub how: &'static str,
    /// Which figures, for the axis.
    pub metric: Metric,
    pub plot: Plot,
}

/// What is drawn of each substrate, in panels of those that run alike.
pub enum Plot {
    /// Bars with what is written beside each; a logarithmic scale is the same in all panels.
    Bars { logarithmic: bool, panels: Vec<Panel<Vec<(Summary, String)>>> },
    /// A column for each category, where there is a figure.
    Columns { categories: Vec<String>, panels: Vec<Panel<Vec<Option<Summary>>>> },
    /// Percentiles with their latency, and the same scale in all panels.
    Curves(Vec<Panel<Vec<(f64, f64)>>>),
    /// Stages of a start with the milliseconds after which each was reached. Names have the number and the colour of
    /// their place among all.
    Timeline { names: Vec<String>, panels: Vec<Panel<Vec<(String, f64)>>> },
}

/// Part of a chart whose items run alike; never drawn without its heading.
pub struct Panel<T> {
    pub execution: Execution,
    /// What else the heading says.
    pub remark: &'static str,
    pub items: Vec<Item<T>>,
}

/// What is drawn of one substrate.
#[derive(Clone)]
pub struct Item<T> {
    pub name: String,
    pub colour: Colour,
    /// Whether its curve is dashed.
    pub dashed: bool,
    pub data: T,
}

/// Stages that have a colour of their own; later ones begin again.
const STAGES: usize = 6;

/// A colour by its meaning. The colours themselves, light and dark, are in `style.css`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Text,
    /// Of text that matters less.
    Faint,
    /// Of the lines of a grid.
    Grid,
    /// Of text on a colour.
    Paper,
    /// Behind the heading of what runs so.
    Heading(Execution),
    /// Of a stage of a start.
    Stage(usize),
    /// Of a substrate, by its place among all of them.
    Substrate(usize),
}

impl Colour {
    /// The colour of a substrate: the same in every chart of every report.
    pub fn of(substrate: &str) -> Self {
        let place = CANDIDATES.iter().position(|candidate| candidate.id == substrate);
        Self::Substrate(place.unwrap_or(CANDIDATES.len()))
    }

    /// The style sheet's variable, as a value of a style.
    pub fn css(self) -> String {
        match self {
            Self::Text => "var(--text)".to_owned(),
            Self::Faint => "var(--faint)".to_owned(),
            Self::Grid => "var(--grid)".to_owned(),
            Self::Paper => "var(--paper)".to_owned(),
            Self::Heading(execution) => format!("var(--{})", labels::execution(execution)),
            Self::Stage(stage) => format!("var(--stage-{})", stage % STAGES),
            Self::Substrate(place) => format!("var(--substrate-{place})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_is_in_the_style_sheet_light_and_dark() {
        let executions = [Execution::Emulated, Execution::Accelerated, Execution::Native];
        let all = [Colour::Text, Colour::Faint, Colour::Grid, Colour::Paper].into_iter();
        let all = all.chain(executions.map(Colour::Heading)).chain((0..STAGES).map(Colour::Stage));
        let (light, dark) =
            include_str!("../style.css").split_once("prefers-color-scheme: dark").expect("a dark block");
        for colour in all.chain((0..=CANDIDATES.len()).map(Colour::Substrate)) {
            let definition = colour.css().replace("var(", "").replace(')', ":");
            assert!(light.contains(&definition) && dark.contains(&definition), "no {definition}");
        }
    }
}
