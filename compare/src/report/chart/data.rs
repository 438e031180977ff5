//! What a chart shows.

use crate::record::{Execution, Metric};
use crate::statistics::Summary;

pub use crate::report::drawing::Colour;

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
