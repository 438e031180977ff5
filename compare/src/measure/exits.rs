//! Exits under KVM per boot, GET, POST and second of rest: in a machine with an emulated KVM where this one has none,
//! which counts alike and gives no times.

use anyhow::Result;

use super::site::Site;
use crate::exit_check;
use crate::record::{Metric, Sample};
use crate::substrate;

/// A sample for each thing that is counted, where KVM runs the guest or could.
///
/// # Errors
/// When the guest does not start, or its exits cannot be read.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    if !substrate::find(&site.context.peers, site.id)?.counts_exits() {
        return Ok(Vec::new());
    }
    let counts = exit_check::count_one(site.context, site.id)?;
    Ok(counts.into_iter().map(|(measure, count)| site.sample(measure, [(Metric::Exits, count)])).collect())
}
