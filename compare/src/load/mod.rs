//! Load generators: ApacheBench and oha, run as programs of their own, their reports read.
//!
//! Which loads are made, and what they mean, is `measure`'s business.

mod ab;
mod oha;

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use image_build::note;
use image_build::tool::packages::table::AB;
use image_build::tool::{packages, process};

use crate::child::{self, Child};
use crate::context::Context;
use crate::record::{Method, Metric};

/// How long one answer may take; then the request has failed, and the load with it.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How long a closed loop may take; what is not answered by then is missing.
const CLOSED_SECONDS_MAX: u32 = 60;
/// How many times as long as planned an open loop may take: a service that does not keep up answers late.
const OPEN_SLOWNESS_MAX: f64 = 5.0;
/// How long a generator may take to end, beyond what its load and its last answer may.
const GRACE: Duration = Duration::from_secs(10);
/// Answers below which the slowest thousandth is less than one of them.
const P999_ANSWERS_MIN: u64 = 1000;
/// What a voter's form sends.
const FORM_TYPE: &str = "application/x-www-form-urlencoded";
const FORM: &str = "vote=a";

/// A load on one service.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Where the service is.
    pub host: SocketAddrV4,
    /// Kind of request.
    pub method: Method,
    /// Whether connections are kept.
    pub keep_alive: bool,
    /// Connections at the same time.
    pub connections: u32,
    /// Requests in all.
    pub requests: u32,
}

/// What a generator saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Completed requests each second.
    pub requests_per_second: f64,
    /// Requests that were answered with a 2xx.
    pub acknowledged: u64,
    /// Latency in milliseconds at percentiles from 0 to 100.
    pub curve: Vec<(f64, f64)>,
    /// Why the run does not count, if something was not answered as it should.
    pub flaw: Option<String>,
    /// What a reader must know beside the figures.
    pub note: Option<String>,
}

impl Outcome {
    /// Throughput and latency as a sample has them.
    pub fn metrics(&self) -> Vec<(Metric, f64)> {
        let percentiles =
            [(50.0, Metric::P50Ms), (90.0, Metric::P90Ms), (99.0, Metric::P99Ms), (99.9, Metric::P999Ms)];
        let known = |metric| metric != Metric::P999Ms || self.acknowledged >= P999_ANSWERS_MIN;
        let latencies = percentiles.iter().filter(|(_, metric)| known(*metric));
        let latencies = latencies.filter_map(|(at, metric)| Some((*metric, self.percentile(*at)?)));
        [(Metric::RequestsPerSecond, self.requests_per_second)].into_iter().chain(latencies).collect()
    }

    /// Latency in milliseconds at a percentile that the generator reports.
    fn percentile(&self, percentile: f64) -> Option<f64> {
        self.curve.iter().find(|(at, _)| (at - percentile).abs() < 1e-6).map(|(_, ms)| *ms)
    }
}

/// Gets the generators. oha takes minutes to build, so a quick run goes without where it is not there.
///
/// # Errors
/// When one cannot be installed.
pub fn prepare(context: &Context, quick: bool) -> Result<()> {
    packages::ensure(&AB)?;
    if quick && oha::program(context)?.is_none() {
        note!("oha is not built yet: this quick run takes latencies from ab alone");
        return Ok(());
    }
    oha::ensure(context).map(drop)
}

/// The generators with their versions.
pub fn versions(context: &Context) -> Vec<String> {
    let version = |program: &Path, argument: &str| {
        process::output(Command::new(program).arg(argument), "asking for a version").ok()
    };
    let ab = version(Path::new(AB.program), "-V").and_then(|text| ab::version(&text));
    let oha = oha::program(context).ok().flatten().and_then(|path| version(&path, "--version"));
    [ab, oha.map(|text| text.trim().to_owned())].into_iter().flatten().collect()
}

/// Whether there is an open-loop generator.
pub fn has_oha(context: &Context) -> bool {
    oha::program(context).is_ok_and(|program| program.is_some())
}

/// A generator at work.
pub struct Running {
    child: Child,
    files: PathBuf,
    shape: Shape,
    limit: Duration,
    /// Reads the report; also of a generator that gave up, where that is part of the result.
    read: fn(&Path, &Shape, bool) -> Result<Outcome>,
}

impl Running {
    /// Waits for its report.
    ///
    /// # Errors
    /// When it does not end in time, or has nothing to report; with its last words.
    pub fn finish(mut self) -> Result<Outcome> {
        let log = self.files.join("log");
        let said = || format!("the load generator said: {}", child::log_tail(&log));
        let success = self.child.wait(self.limit).with_context(said)?;
        (self.read)(&self.files, &self.shape, success).with_context(said)
    }
}

/// Starts ApacheBench: a closed loop, as fast as it goes. Its files are in `directory`.
///
/// # Errors
/// When it cannot be started.
pub fn closed_loop(context: &Context, directory: &Path, shape: Shape) -> Result<Running> {
    start_ab(context, directory, shape, CLOSED_SECONDS_MAX, ab::read)
}

/// The same for a time instead of a number of requests.
///
/// # Errors
/// When it cannot be started.
pub fn closed_loop_for(context: &Context, directory: &Path, shape: Shape, seconds: u32) -> Result<Running> {
    let shape = Shape { requests: ab::REQUESTS_MAX, ..shape };
    start_ab(context, directory, shape, seconds, ab::read_timed)
}

fn start_ab(
    context: &Context,
    directory: &Path,
    shape: Shape,
    seconds_max: u32,
    read: fn(&Path, &Shape, bool) -> Result<Outcome>,
) -> Result<Running> {
    let files = files(directory, "ab", &shape)?;
    let child = Child::start(context, &ab::command(&files, &shape, seconds_max), &files.join("log"))?;
    let limit = Duration::from_secs(seconds_max.into()) + ANSWER_LIMIT + GRACE;
    Ok(Running { child, files, shape, limit, read })
}

/// Starts oha at a fixed rate, in requests each second: an open loop.
///
/// # Errors
/// When it cannot be started.
pub fn open_loop(context: &Context, directory: &Path, shape: Shape, rate: f64) -> Result<Running> {
    let program = oha::program(context)?.context("oha has not been built")?;
    let files = files(directory, "oha", &shape)?;
    let child = Child::start(context, &oha::command(&program, &files, &shape, rate), &files.join("log"))?;
    let planned = Duration::try_from_secs_f64(OPEN_SLOWNESS_MAX * f64::from(shape.requests) / rate);
    let limit = planned.with_context(|| format!("{rate} requests/s is no rate"))? + ANSWER_LIMIT + GRACE;
    Ok(Running { child, files, shape, limit, read: oha::read })
}

/// A directory for a generator's input and report.
fn files(directory: &Path, generator: &str, shape: &Shape) -> Result<PathBuf> {
    let keep = if shape.keep_alive { "keep" } else { "close" };
    let name = format!("{generator}-{:?}-{keep}-{}-{}", shape.method, shape.connections, shape.host.port());
    let files = directory.join(name);
    std::fs::create_dir_all(&files).with_context(|| format!("cannot create {}", files.display()))?;
    std::fs::write(files.join("form"), FORM).context("cannot write a generator's input")?;
    Ok(files)
}

/// How many were meant, and how many of them failed in each way; none when none did.
fn flaw(requests: u64, failures: &[(u64, &str)]) -> Option<String> {
    let failures: Vec<String> = failures
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    (!failures.is_empty()).then(|| format!("of {requests} requests {}", failures.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_thousandth_of_fewer_answers_is_no_figure() {
        let outcome = |acknowledged| Outcome {
            requests_per_second: 5.0,
            acknowledged,
            curve: vec![(50.0, 1.0), (99.0, 2.0), (99.9, 3.0)],
            ..Outcome::default()
        };
        let all = [
            (Metric::RequestsPerSecond, 5.0),
            (Metric::P50Ms, 1.0),
            (Metric::P99Ms, 2.0),
            (Metric::P999Ms, 3.0),
        ];
        assert_eq!(outcome(1000).metrics(), all);
        assert_eq!(outcome(999).metrics(), all[..3]);
    }
}
