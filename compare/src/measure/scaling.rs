//! One, two and four vote instances in front of one store, each with a generator of its own at the same
//! time.
//!
//! The generators share the host's cores with the instances: on few cores more instances gain little.

use std::net::SocketAddrV4;

use anyhow::Result;

use super::site::Site;
use crate::load::{self, GeneratorRun, LoadReport, Shape};
use crate::record::{Measure, Method, Metric, SCALING, Sample};
use crate::substrate::Port;

/// Connections to each.
const CONNECTIONS: u32 = 16;
/// Seconds of each load, and of one before to warm up. A time, not a number of requests: a generator that
/// went on alone would have the cores of those that are done.
const SECONDS: u32 = 1;

/// A sample for each number of instances.
///
/// # Errors
/// When an application does not start, or a generator fails.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    let possible = SCALING.into_iter().filter(|instances| *instances <= site.substrate.votes_max());
    possible.map(|instances| scale(site, instances)).collect()
}

fn scale(site: &Site, instances: u32) -> Result<Sample> {
    let mut application = site.substrate.application(instances, site.directory)?;
    let hosts: Result<Vec<SocketAddrV4>> =
        application.votes.iter().map(|vote| Ok(vote.endpoint(Port::Vote)?.host)).collect();
    let hosts = hosts?;
    load_all(site, &hosts)?;
    let reports = load_all(site, &hosts)?;
    application.check()?;
    let measure = Measure::Scaling { instances };
    let flaws: Vec<&str> = reports.iter().filter_map(|report| report.flaw.as_deref()).collect();
    if !flaws.is_empty() {
        return Ok(site.voided(measure, flaws.join("; ")));
    }
    let sum = reports.iter().map(|report| report.requests_per_second).sum();
    Ok(site.sample(measure, [(Metric::RequestsPerSecond, sum)]))
}

/// Loads all of them at the same time.
fn load_all(site: &Site, hosts: &[SocketAddrV4]) -> Result<Vec<LoadReport>> {
    let start = |host: &SocketAddrV4| {
        let (method, connections) = (Method::Get, CONNECTIONS);
        let shape = Shape { host: *host, method, keep_alive: true, connections, requests: 0 };
        load::closed_loop_for(site.context, site.directory, shape, SECONDS)
    };
    let running: Result<Vec<GeneratorRun>> = hosts.iter().map(start).collect();
    running?.into_iter().map(GeneratorRun::finish).collect()
}
