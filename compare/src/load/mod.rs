//! Load generators: ApacheBench and oha, run as programs of their own, their reports read.
//!
//! Which loads are made, and what they mean, is `measure`'s business.

mod ab;
mod oha;
mod report;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use image_build::note;
use image_build::tool::packages::table::AB;
use image_build::tool::{packages, process};

use crate::child::{self, Child};
use crate::context::Context;
use report::ANSWER_LIMIT;

pub use report::{LoadReport, Shape};

/// How long a closed loop may take; what is not answered by then is missing.
const CLOSED_SECONDS_MAX: u32 = 60;
/// How many times as long as planned an open loop may take: a service that does not keep up answers late.
const OPEN_SLOWNESS_MAX: f64 = 5.0;
/// How long a generator may take to end, beyond what its load and its last answer may.
const GRACE: Duration = Duration::from_secs(10);
/// What a voter's form sends.
const FORM: &str = "vote=a";

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
    oha::ensure(context)
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

/// Reads the report in a folder; also of a generator that gave up, where that is part of the result.
type Read = Box<dyn Fn(&Path, bool) -> Result<LoadReport>>;

/// A generator at work.
pub struct GeneratorRun {
    child: Child,
    files: PathBuf,
    limit: Duration,
    read: Read,
}

impl GeneratorRun {
    /// Waits for its report.
    ///
    /// # Errors
    /// When it does not end in time, or has nothing to report; with its last words.
    pub fn finish(mut self) -> Result<LoadReport> {
        let log = self.files.join("log");
        let said = || format!("the load generator said: {}", child::log_tail(&log));
        let success = self.child.wait(self.limit).with_context(said)?;
        (self.read)(&self.files, success).with_context(said)
    }
}

/// Starts ApacheBench: a closed loop, as fast as it goes. Its files are in `directory`.
///
/// # Errors
/// When it cannot be started.
pub fn closed_loop(context: &Context, directory: &Path, shape: Shape) -> Result<GeneratorRun> {
    start_ab(context, directory, shape, CLOSED_SECONDS_MAX, shape.requests)
}

/// The same for a time instead of a number of requests.
///
/// # Errors
/// When it cannot be started.
pub fn closed_loop_for(
    context: &Context,
    directory: &Path,
    shape: Shape,
    seconds: u32,
) -> Result<GeneratorRun> {
    start_ab(context, directory, Shape { requests: ab::REQUESTS_MAX, ..shape }, seconds, 1)
}

/// `least` requests must be answered.
fn start_ab(
    context: &Context,
    directory: &Path,
    shape: Shape,
    seconds_max: u32,
    least: u32,
) -> Result<GeneratorRun> {
    let files = files(directory, "ab", &shape)?;
    let child = Child::start(context, ab::command(&files, &shape, seconds_max), &files.join("log"))?;
    let limit = Duration::from_secs(seconds_max.into()) + ANSWER_LIMIT + GRACE;
    let read = Box::new(move |files: &Path, success| ab::read(files, least, success));
    Ok(GeneratorRun { child, files, limit, read })
}

/// Starts oha at a fixed rate, in requests each second: an open loop.
///
/// # Errors
/// When it cannot be started.
pub fn open_loop(context: &Context, directory: &Path, shape: Shape, rate: f64) -> Result<GeneratorRun> {
    let program = oha::program(context)?.context("oha has not been built")?;
    let files = files(directory, "oha", &shape)?;
    let child = Child::start(context, oha::command(&program, &files, &shape, rate), &files.join("log"))?;
    let planned = Duration::try_from_secs_f64(OPEN_SLOWNESS_MAX * f64::from(shape.requests) / rate);
    let limit = planned.with_context(|| format!("{rate} requests/s is no rate"))? + ANSWER_LIMIT + GRACE;
    let read = Box::new(move |files: &Path, success| oha::read(files, shape.requests, success));
    Ok(GeneratorRun { child, files, limit, read })
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
