//! The measurements, one module for each group of them.
//!
//! How an instance is started is the substrate's business; what is done with samples is `results`'.

mod application;
mod density;
mod exits;
mod holder;
mod instructions;
mod least_memory;
mod ledger;
mod requests;
mod scaling;
mod site;
mod size;
mod start;
mod vote;

use anyhow::Result;

use crate::record::{Group, Method, Sample};

pub use site::Site;

/// Measures a group on a substrate. No samples: it does not apply there.
///
/// # Errors
/// When an instance cannot be started, ends, or answers wrongly; with its log.
pub fn measure(site: &Site, group: Group) -> Result<Vec<Sample>> {
    let mut samples = match group {
        Group::Size => size::measure(site),
        Group::Start => start::measure(site),
        Group::LeastMemory => least_memory::measure(site),
        Group::Get => requests::measure(site, Method::Get),
        Group::Post => requests::measure(site, Method::Post),
        Group::Application => application::measure(site),
        Group::Scaling => scaling::measure(site),
        Group::Density => density::measure(site),
        Group::Instructions => instructions::measure(site),
        Group::Exits => exits::measure(site),
    }?;
    for sample in &mut samples {
        sample.note = sample.note.take().or_else(|| site.substrate.note());
    }
    Ok(samples)
}
