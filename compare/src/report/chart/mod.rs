//! Charts as SVG that stands in a page: as wide as a phone's screen, in colours that the page decides.
//!
//! Draws what it is given; which figures belong into a chart is `figures`' business.

pub mod axis;
pub mod bars;
pub mod canvas;
pub mod columns;
pub mod curves;
pub mod ink;
mod legend;
pub mod timeline;

use crate::substrate::Execution;

use super::labels;

/// A middle with its ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl From<crate::statistics::Summary> for Spread {
    fn from(summary: crate::statistics::Summary) -> Self {
        Self { median: summary.median, low: summary.low, high: summary.high }
    }
}

/// Part of a chart whose items run alike; never drawn without its heading.
#[derive(Clone, Debug)]
pub struct Panel<T> {
    /// What runs the instructions of all its items.
    pub execution: Execution,
    /// What else the heading says.
    pub remark: &'static str,
    /// What is drawn.
    pub items: Vec<T>,
}

impl<T> Panel<T> {
    /// The label that stands over it.
    pub fn heading(&self) -> String {
        format!("{}{}", labels::execution(self.execution).to_uppercase(), self.remark)
    }
}
