//! Guest instructions per boot, GET and POST, with 16 connections at a time.
//!
//! The median of some runs: how many requests a guest finds at once, and so what each takes, depends on
//! the host. What does not depend on it is gated, see `gate`.

use anyhow::Result;

use super::Site;
use crate::counted::{self, CountedVote};
use crate::load::{self, Shape};
use crate::record::{Counted, Measure, Metric, Sample};

/// Runs of each load, in a full run and in a quick one.
const RUNS: (usize, usize) = (5, 3);
/// Requests of a run.
const REQUESTS: u32 = 1600;
const CONNECTIONS: u32 = 16;
/// How long a guest may take to come to rest.
const REST_LIMIT: std::time::Duration = std::time::Duration::from_secs(20);

/// A sample for each thing that is counted, where a guest's instructions can be.
///
/// # Errors
/// When the guest does not start, or answers wrongly.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    if !site.substrate.counts_instructions() {
        return Ok(Vec::new());
    }
    let mut vote = CountedVote::start(site.substrate, site.directory)?;
    counted::ALL.into_iter().map(|of| count(site, &mut vote, of)).collect()
}

fn count(site: &Site, vote: &mut CountedVote, of: Counted) -> Result<Sample> {
    let measure = Measure::Instructions { of };
    let Some((method, keep_alive)) = counted::kind(of) else {
        return Ok(site.sample(measure, [(Metric::Instructions, vote.boot as f64)]));
    };
    let shape = Shape { host: vote.host, method, keep_alive, connections: CONNECTIONS, requests: REQUESTS };
    let runs = if site.quick { RUNS.1 } else { RUNS.0 };
    let mut counts = Vec::new();
    // The first run warms up.
    for _ in 0..=runs {
        let before = vote.monitor.instructions_at_rest(REST_LIMIT)?;
        let outcome = load::closed_loop(site.context, site.directory, shape)?.finish()?;
        if let Some(flaw) = outcome.flaw {
            return Ok(site.voided(measure, flaw));
        }
        counts.push((vote.monitor.instructions_at_rest(REST_LIMIT)? - before) as f64 / f64::from(REQUESTS));
    }
    let counts = counts.split_off(1);
    let median = crate::statistics::summary(&counts).map_or(0.0, |summary| summary.median);
    let sample = site.sample(measure, [(Metric::Instructions, median)]);
    Ok(Sample {
        note: Some(format!("median of {runs} runs of {REQUESTS} requests, {CONNECTIONS} at a time")),
        ..sample
    })
}
