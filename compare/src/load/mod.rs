//! Load generators: ApacheBench and oha, run as programs of their own, their reports read.
//!
//! Which loads are made, and what they mean, is `measure`'s business.

mod ab;
mod oha;

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use image_build::{packages, process};

use crate::child::{self, Child};
use crate::context::Context;
use crate::record::Method;

/// How long a generator may take beyond what its load takes at the rate that was expected.
const GRACE: Duration = Duration::from_secs(30);
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
}

impl Outcome {
    /// Latency in milliseconds at a percentile that the generator reports.
    pub fn percentile(&self, percentile: f64) -> Option<f64> {
        self.curve.iter().find(|(at, _)| (at - percentile).abs() < 1e-6).map(|(_, ms)| *ms)
    }
}

/// Gets the generators. oha takes minutes to build, so a quick run goes without where it is not there.
///
/// # Errors
/// When one cannot be installed.
pub fn prepare(context: &Context, quick: bool) -> Result<()> {
    packages::ensure(&ab::PACKAGED)?;
    if quick && oha::program(context)?.is_none() {
        eprintln!("oha is not built yet: this quick run takes latencies from ab alone");
        return Ok(());
    }
    oha::ensure(context).map(drop)
}

/// The generators with their versions.
pub fn versions(context: &Context) -> Vec<String> {
    let oha = oha::program(context).ok().flatten();
    let commands = [Some((PathBuf::from("ab"), "-V")), oha.map(|path| (path, "--version"))];
    let version = |(program, argument): (PathBuf, &str)| {
        let text = process::output(Command::new(program).arg(argument), "asking for a version").ok()?;
        Some(text.lines().next()?.split(" <").next()?.to_owned())
    };
    commands.into_iter().flatten().filter_map(version).collect()
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
    read: fn(&Path, &Shape) -> Result<Outcome>,
}

impl Running {
    /// Waits for its report.
    ///
    /// # Errors
    /// When it does not end in time, or has nothing to report; with its last words.
    pub fn finish(mut self) -> Result<Outcome> {
        let log = self.files.join("log");
        let finished = self.child.wait(self.limit).with_context(|| child::log_tail(&log))?;
        ensure!(finished, "the load generator failed:\n{}", child::log_tail(&log));
        (self.read)(&self.files, &self.shape)
    }
}

/// Starts ApacheBench: a closed loop, as fast as it goes. Its files are in `directory`.
///
/// # Errors
/// When it cannot be started.
pub fn closed_loop(context: &Context, directory: &Path, shape: Shape) -> Result<Running> {
    let files = files(directory, "ab", &shape)?;
    let child = Child::start(context, &ab::command(&files, &shape), &files.join("log"))?;
    // Whatever answers slower than this is not worth waiting for.
    let limit = Duration::from_millis(u64::from(shape.requests) * 10) + GRACE;
    Ok(Running { child, files, shape, limit, read: ab::read })
}

/// Starts oha at a fixed rate, in requests each second: an open loop.
///
/// # Errors
/// When it cannot be started.
pub fn open_loop(context: &Context, directory: &Path, shape: Shape, rate: f64) -> Result<Running> {
    let program = oha::program(context)?.context("oha has not been built")?;
    let files = files(directory, "oha", &shape)?;
    let child = Child::start(context, &oha::command(&program, &files, &shape, rate), &files.join("log"))?;
    let limit = Duration::from_secs_f64(f64::from(shape.requests) / rate) + GRACE;
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
fn flaw(requests: u32, failures: &[(u64, &str)]) -> Option<String> {
    let failures: Vec<String> = failures
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    (!failures.is_empty()).then(|| format!("of {requests} requests {}", failures.join(", ")))
}
