//! One, two and four vote instances, each with a generator of its own.
//!
//! The generators share the host's cores with the instances: on few cores more instances gain little.

use anyhow::Result;

use super::Site;
use crate::load::{self, Shape};
use crate::record::{Measure, Method, Metric, Sample};
use crate::substrate::Port;

const INSTANCES: [u32; 3] = [1, 2, 4];
const CONNECTIONS: u32 = 16;
/// Requests that tell an instance's rate.
const WARM_UP: u32 = 300;
/// How long each load takes, in seconds, if the instances do not slow each other.
const SECONDS: f64 = 1.0;
/// Requests of one generator.
const REQUESTS: std::ops::RangeInclusive<f64> = 500.0..=100_000.0;

/// A sample for each number of instances.
///
/// # Errors
/// When an application does not start, or a generator fails.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    let possible = INSTANCES.into_iter().filter(|instances| *instances <= site.substrate.votes_max());
    possible.map(|instances| scale(site, instances)).collect()
}

fn scale(site: &Site, instances: u32) -> Result<Sample> {
    let mut application = site.substrate.application(instances, site.directory)?;
    let shape = |vote: &crate::substrate::Instance| -> Result<Shape> {
        let host = vote.endpoint(Port::Vote)?.host;
        Ok(Shape { host, method: Method::Get, keep_alive: true, connections: CONNECTIONS, requests: WARM_UP })
    };
    let mut running = Vec::new();
    for vote in &application.votes {
        let warm = load::closed_loop(site.context, site.directory, shape(vote)?)?.finish()?;
        running.push((vote, warm.requests_per_second));
    }
    let started: Result<Vec<_>> = running
        .into_iter()
        .map(|(vote, rate)| {
            let requests = (rate * SECONDS).clamp(*REQUESTS.start(), *REQUESTS.end()) as u32;
            load::closed_loop(site.context, site.directory, Shape { requests, ..shape(vote)? })
        })
        .collect();
    let mut sum = 0.0;
    for generator in started? {
        let outcome = generator.finish()?;
        if let Some(flaw) = outcome.flaw {
            return Ok(site.voided(Measure::Scaling { instances }, flaw));
        }
        sum += outcome.requests_per_second;
    }
    application.check()?;
    Ok(site.sample(Measure::Scaling { instances }, [(Metric::RequestsPerSecond, sum)]))
}
