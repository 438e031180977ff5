//! The visit that a measurement is part of: where it measures, and the samples that it gives.

use std::path::Path;

use crate::context::Context;
use crate::record::{Measure, Metric, Sample};
use crate::substrate::Substrate;

/// Where and how a group is measured.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The run's surroundings.
    pub context: &'a Context,
    pub substrate: &'a dyn Substrate,
    pub id: &'a str,
    /// The round, from 0.
    pub round: u32,
    /// Whether it is the short run.
    pub quick: bool,
    /// Directory for logs and other files of this visit.
    pub directory: &'a Path,
}

impl Site<'_> {
    /// A sample of this visit.
    pub fn sample(&self, measure: Measure, metrics: impl IntoIterator<Item = (Metric, f64)>) -> Sample {
        Sample {
            round: self.round,
            substrate: self.id.to_owned(),
            measure,
            metrics: metrics.into_iter().collect(),
            curve: Vec::new(),
            timeline: Vec::new(),
            voided: None,
            note: None,
        }
    }

    /// A sample that does not count.
    pub fn voided(&self, measure: Measure, reason: String) -> Sample {
        Sample { voided: Some(reason), ..self.sample(measure, []) }
    }

    /// The first in a full run, the second in a quick one.
    pub fn pick<T>(&self, (full, quick): (T, T)) -> T {
        if self.quick { quick } else { full }
    }
}
