//! The measurements, one module for each group of them.
//!
//! How an instance is started is the substrate's business; what is done with samples is `results`'.

mod application;
mod density;
mod instructions;
mod least_memory;
mod ledger;
mod requests;
mod scaling;
mod size;
mod start;
mod vote;

use std::path::Path;

use anyhow::Result;

use crate::context::Context;
use crate::record::{Group, Measure, Method, Metric, Sample};
use crate::substrate::Substrate;

/// Where and how a group is measured.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The run's surroundings.
    pub context: &'a Context,
    /// The substrate.
    pub substrate: &'a dyn Substrate,
    /// Its identifier.
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
}

/// Measures a group on a substrate. No samples: it does not apply there.
///
/// # Errors
/// When an instance cannot be started, ends, or answers wrongly; with its log.
pub fn measure(site: &Site, group: Group) -> Result<Vec<Sample>> {
    let mut samples = measure_group(site, group)?;
    for sample in &mut samples {
        sample.note = sample.note.take().or_else(|| site.substrate.note());
    }
    Ok(samples)
}

fn measure_group(site: &Site, group: Group) -> Result<Vec<Sample>> {
    match group {
        Group::Size => size::measure(site),
        Group::Start => start::measure(site),
        Group::LeastMemory => least_memory::measure(site),
        Group::Get => requests::measure(site, Method::Get),
        Group::Post => requests::measure(site, Method::Post),
        Group::Application => application::measure(site),
        Group::Scaling => scaling::measure(site),
        Group::Density => density::measure(site),
        Group::Instructions => instructions::measure(site),
    }
}
