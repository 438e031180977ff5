//! Requests each second and their latency, by a closed and an open loop, and the memory held meanwhile.
//!
//! A vote counts only if the application counts it: after the votes, the result page must have as many.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{Site, vote};
use crate::child;
use crate::client;
use crate::compose::Application;
use crate::load::{self, Outcome, Shape};
use crate::record::{Generator, Load, Measure, Method, Metric, Sample};
use crate::substrate::Port;

/// Connections in a full run and in a quick one.
const CONNECTIONS: (&[u32], &[u32]) = (&[1, 16, 64, 256], &[16]);
/// How long each closed loop takes, in seconds, in a full run and in a quick one.
const CLOSED_SECONDS: (f64, f64) = (0.9, 0.7);
/// How long each open loop takes.
const OPEN_SECONDS: (f64, f64) = (1.2, 1.0);
/// Share of what the closed loop reached that the open loop asks for.
const OPEN_SHARE: f64 = 0.7;
/// Connections of the open loop whose rate is the same for all substrates.
const SAME_RATE_CONNECTIONS: u32 = 16;
/// That rate, without and with keep-alive, in requests each second: what a Linux machine still reaches
/// when it is emulated.
const SAME_RATES: (f64, f64) = (250.0, 1000.0);
/// Requests that warm a service up and tell its rate.
const WARM_UP: u32 = 300;
/// Requests of one load.
const REQUESTS: std::ops::RangeInclusive<f64> = 100.0..=150_000.0;
/// Connections while memory is read.
const RESIDENT_CONNECTIONS: u32 = 16;
/// How long the worker may take to count what is queued.
const COUNT_LIMIT: Duration = Duration::from_secs(20);

/// Loads one substrate's vote page with one kind of request.
///
/// # Errors
/// When the application does not start, answers wrongly, or a generator fails.
pub fn measure(site: &Site, method: Method) -> Result<Vec<Sample>> {
    let mut application = site.substrate.application(1, site.directory)?;
    let host = application.votes[0].endpoint(Port::Vote)?.host;
    let mut votes = check_answers(&application, method)?;
    let mut samples = Vec::new();
    for keep_alive in [false, true] {
        let connections = if site.quick { CONNECTIONS.1 } else { CONNECTIONS.0 };
        for connections in connections {
            let shape = Shape { host, method, keep_alive, connections: *connections, requests: WARM_UP };
            loads(site, shape, &mut samples, &mut votes)?;
            application.check()?;
        }
        same_rate(
            site,
            Shape { host, method, keep_alive, connections: SAME_RATE_CONNECTIONS, requests: 0 },
            &mut samples,
            &mut votes,
        )?;
    }
    match method {
        Method::Get => samples.push(resident(site, &application)?),
        Method::Post => void_unless_counted(site, &application, votes, &mut samples)?,
    }
    Ok(samples)
}

/// Asks once for what will be asked for many times; the votes that this made.
fn check_answers(application: &Application, method: Method) -> Result<u64> {
    let host = application.votes[0].endpoint(Port::Vote)?.host;
    vote::check_page(host)?;
    if method == Method::Get {
        return Ok(0);
    }
    let answer = client::vote(host, "a").context("a vote is not answered")?;
    ensure!(answer.status == 200, "a vote is answered with {}: {:.300}", answer.status, answer.body);
    Ok(1)
}

/// A closed loop, and an open one at a share of its rate.
fn loads(site: &Site, warm_up: Shape, samples: &mut Vec<Sample>, votes: &mut u64) -> Result<()> {
    let warm = load::closed_loop(site.context, site.directory, warm_up)?.finish()?;
    *votes += warm.acknowledged;
    let (closed_seconds, open_seconds) =
        if site.quick { (CLOSED_SECONDS.1, OPEN_SECONDS.1) } else { (CLOSED_SECONDS.0, OPEN_SECONDS.0) };
    let shape = Shape { requests: requests(warm.requests_per_second * closed_seconds, &warm_up), ..warm_up };
    let closed = load::closed_loop(site.context, site.directory, shape)?.finish()?;
    *votes += closed.acknowledged;
    let rate = closed.requests_per_second * OPEN_SHARE;
    samples.push(sample(site, &shape, Generator::Ab, None, closed));
    if load::has_oha(site.context) {
        let shape = Shape { requests: requests(rate * open_seconds, &shape), ..shape };
        let open = load::open_loop(site.context, site.directory, shape, rate)?.finish()?;
        *votes += open.acknowledged;
        samples.push(sample(site, &shape, Generator::Oha, Some(rate), open));
    }
    Ok(())
}

fn same_rate(site: &Site, shape: Shape, samples: &mut Vec<Sample>, votes: &mut u64) -> Result<()> {
    if !load::has_oha(site.context) {
        return Ok(());
    }
    let rate = if shape.keep_alive { SAME_RATES.1 } else { SAME_RATES.0 };
    let seconds = if site.quick { OPEN_SECONDS.1 } else { OPEN_SECONDS.0 };
    let shape = Shape { requests: requests(rate * seconds, &shape), ..shape };
    let open = load::open_loop(site.context, site.directory, shape, rate)?.finish()?;
    *votes += open.acknowledged;
    samples.push(sample(site, &shape, Generator::OhaSameRate, Some(rate), open));
    Ok(())
}

/// A number of requests within bounds, and enough for every connection.
fn requests(wanted: f64, shape: &Shape) -> u32 {
    (wanted.clamp(*REQUESTS.start(), *REQUESTS.end()) as u32).max(shape.connections * 2)
}

fn sample(site: &Site, shape: &Shape, generator: Generator, rate: Option<f64>, outcome: Outcome) -> Sample {
    let Shape { method, keep_alive, connections, .. } = *shape;
    let measure = Measure::Load(Load { method, keep_alive, connections, generator });
    if let Some(flaw) = outcome.flaw {
        return site.voided(measure, flaw);
    }
    let percentiles =
        [(50.0, Metric::P50Ms), (90.0, Metric::P90Ms), (99.0, Metric::P99Ms), (99.9, Metric::P999Ms)];
    let metrics = percentiles.iter().filter_map(|(at, metric)| Some((*metric, outcome.percentile(*at)?)));
    let rates = [
        Some((Metric::RequestsPerSecond, outcome.requests_per_second)),
        rate.map(|rate| (Metric::OfferedPerSecond, rate)),
    ];
    let metrics: Vec<(Metric, f64)> = metrics.chain(rates.into_iter().flatten()).collect();
    Sample { curve: outcome.curve, ..site.sample(measure, metrics) }
}

/// Memory of the vote instance while it is loaded.
fn resident(site: &Site, application: &Application) -> Result<Sample> {
    let vote = &application.votes[0];
    let host = vote.endpoint(Port::Vote)?.host;
    let shape = Shape {
        host,
        method: Method::Get,
        keep_alive: true,
        connections: RESIDENT_CONNECTIONS,
        requests: WARM_UP,
    };
    let warm = load::closed_loop(site.context, site.directory, shape)?.finish()?;
    let shape = Shape { requests: requests(warm.requests_per_second, &shape), ..shape };
    let running = load::closed_loop(site.context, site.directory, shape)?;
    let memory = child::memory_mib(&vote.processes);
    let outcome = running.finish()?;
    let (memory, measure) = (memory?, Measure::Resident);
    Ok(match outcome.flaw {
        Some(flaw) => site.voided(measure, flaw),
        None => site.sample(measure, [(Metric::MemoryMib, memory)]),
    })
}

/// Voids the samples unless the result page counts every vote that was acknowledged, and no other.
fn void_unless_counted(
    site: &Site,
    application: &Application,
    votes: u64,
    samples: &mut [Sample],
) -> Result<()> {
    if !site.substrate.is_whole() || samples.iter().any(|sample| sample.voided.is_some()) {
        return Ok(());
    }
    let host = application.result().endpoint(Port::Result)?.host;
    let total = format!("\"total\":{votes}}}");
    if let Err(error) = client::await_body(host, "/api/scores", COUNT_LIMIT, |body| body.contains(&total)) {
        for sample in samples {
            sample.voided = Some(format!("{votes} votes were acknowledged, but {error:#}"));
        }
    }
    Ok(())
}
