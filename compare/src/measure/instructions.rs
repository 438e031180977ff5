//! Guest instructions per boot, GET and POST, and accesses to emulated devices per GET and POST, with 16
//! connections at a time.
//!
//! The median of some runs: how many requests a guest finds at once, and so what each takes, depends on
//! the host. What does not depend on it is checked, see `instruction_check`.

use anyhow::Result;

use super::site::Site;
use crate::counted::CountedVote;
use crate::load::{self, Shape};
use crate::record::{Counted, Measure, Metric, Sample};
use crate::statistics;

/// Runs of each load, in a full run and in a quick one.
const RUNS: (usize, usize) = (5, 1);
/// Requests of a run, likewise, and of the one in which QEMU reports each access to a device.
const REQUESTS: (u32, u32) = (1600, 640);
const REQUESTS_REPORTED: u32 = 320;
const CONNECTIONS: u32 = 16;

/// A sample for each thing that is counted, where a guest's instructions can be.
///
/// # Errors
/// When the guest does not start, or answers wrongly.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    if !site.substrate.counts_instructions() {
        return Ok(Vec::new());
    }
    let mut vote = CountedVote::start(site.substrate, site.directory)?;
    Counted::ALL.into_iter().map(|of| count(site, &mut vote, of)).collect()
}

fn count(site: &Site, vote: &mut CountedVote, of: Counted) -> Result<Sample> {
    let measure = Measure::Instructions { of };
    let Some((method, keep_alive)) = of.request() else {
        return Ok(site.sample(measure, [(Metric::Instructions, vote.boot as f64)]));
    };
    let shape = |requests| Shape { host: vote.host, method, keep_alive, connections: CONNECTIONS, requests };
    let (requests, runs) = (site.pick(REQUESTS), site.pick(RUNS));
    let (shape, reported) = (shape(requests), shape(REQUESTS_REPORTED));
    let load = |shape| load::closed_loop(site.context, site.directory, shape)?.finish();
    let mut counts = Vec::new();
    // The first run warms up.
    for _ in 0..=runs {
        let (report, count) = vote.count(|| load(shape))?;
        if let Some(flaw) = report.flaw {
            return Ok(site.voided(measure, flaw));
        }
        counts.push(count as f64 / f64::from(requests));
    }
    let median = statistics::summary(&counts.split_off(1)).map_or(0.0, |summary| summary.median);
    let (report, accesses) = vote.count_accesses(|| load(reported))?;
    if let Some(flaw) = report.flaw {
        return Ok(site.voided(measure, flaw));
    }
    let accesses = accesses as f64 / f64::from(REQUESTS_REPORTED);
    let metrics = [(Metric::Instructions, median), (Metric::DeviceAccesses, accesses)];
    let about = if vote.has_own_store { "; store, worker and result page are in the count" } else { "" };
    Ok(Sample {
        note: Some(format!("median of {runs} runs of {requests} requests, {CONNECTIONS} at a time{about}")),
        ..site.sample(measure, metrics)
    })
}
