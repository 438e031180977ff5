//! oha: an open loop at a fixed rate, which counts latency from when a request was due.
//!
//! Its clock ticks each millisecond: above 1,000 requests each second they come in small bursts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use image_build::note;
use image_build::tool::process;
use serde::Deserialize;

use super::report::{ANSWER_LIMIT, FORM_TYPE, LoadReport, Shape, flaw};
use crate::context::Context;
use crate::record::Method;

const VERSION: &str = "1.16.0";
/// Settings for a quick build: 230 s of processor time instead of 370 s, half of the rest in C code that
/// they do not change. With `opt-level=0` it falls behind at 10,000 connections a second.
const PROFILE: [&str; 4] = [
    "profile.release.lto=false",
    "profile.release.opt-level=1",
    "profile.release.codegen-units=256",
    "profile.release.debug=false",
];
/// Threads: one keeps the clock when the other is busy, whatever the machine has.
const THREADS: &str = "2";

/// The program, if it is in `PATH` or was built by an earlier run.
///
/// # Errors
/// When the directory of tools cannot be created.
pub fn program(context: &Context) -> Result<Option<PathBuf>> {
    if process::is_installed("oha") {
        return Ok(Some(PathBuf::from("oha")));
    }
    let built = context.artifacts("tools")?.join("bin/oha");
    Ok(built.is_file().then_some(built))
}

/// Builds it where it is not there.
///
/// # Errors
/// When the build fails.
pub fn ensure(context: &Context) -> Result<()> {
    if program(context)?.is_some() {
        return Ok(());
    }
    note!("building the load generator oha {VERSION} (once, some minutes)");
    let mut cargo = Command::new("cargo");
    // There, so that the toolchain that the workspace asks for builds it.
    process::forget_build_settings(&mut cargo).current_dir(&context.workspace.root);
    cargo.args(["install", "oha", "--version", VERSION, "--locked", "--quiet"]);
    cargo.args(["--no-default-features", "--features", "rustls", "--root"]).arg(context.artifacts("tools")?);
    // There, so that a build that is interrupted goes on where it was.
    let build = context.artifacts("oha-build")?;
    cargo.arg("--target-dir").arg(&build);
    for setting in PROFILE {
        cargo.args(["--config", setting]);
    }
    process::output(&mut cargo, "building oha")?;
    fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
    program(context)?.context("cargo built oha, but not where it was told").map(drop)
}

/// The command for a load at `rate` requests each second.
pub fn command(program: &Path, files: &Path, shape: &Shape, rate: f64) -> Command {
    let mut command = Command::new(program);
    command.args(["--no-tui", "--latency-correction", "--disable-compression", "--output-format", "json"]);
    command.args(["--worker-threads", THREADS, "-t", &format!("{}s", ANSWER_LIMIT.as_secs())]);
    command.args(["-n", &shape.requests.to_string(), "-c", &shape.connections.to_string()]);
    command.args(["-q", &rate.to_string()]).arg("--output").arg(files.join("report.json"));
    if !shape.keep_alive {
        command.arg("--disable-keepalive");
    }
    if shape.method == Method::Post {
        command.args(["-m", "POST", "-T", FORM_TYPE, "-D"]).arg(files.join("form"));
    }
    command.arg(format!("http://{}/", shape.host));
    command
}

/// The part of its report that is read; times are in seconds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    summary: Summary,
    latency_percentiles: BTreeMap<String, Option<f64>>,
    status_code_distribution: BTreeMap<String, u64>,
    error_distribution: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    requests_per_sec: f64,
    fastest: Option<f64>,
    slowest: Option<f64>,
}

/// What its report says.
///
/// # Errors
/// When it is not a report.
pub fn read(files: &Path, requests: u32, success: bool) -> Result<LoadReport> {
    ensure!(success, "oha failed");
    let path = files.join("report.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text, requests)
}

fn parse(text: &str, requests: u32) -> Result<LoadReport> {
    let report: Report = serde_json::from_str(text).context("oha's report is not what it was")?;
    let answered = |good: bool| -> u64 {
        let of = report.status_code_distribution.iter().filter(|(status, _)| status.starts_with('2') == good);
        of.map(|(_, count)| count).sum()
    };
    let errors: u64 = report.error_distribution.values().sum();
    let made = answered(true) + answered(false) + errors;
    let kinds: Vec<&str> = report.error_distribution.keys().map(String::as_str).collect();
    let failed = format!("failed ({})", kinds.join("; "));
    let short = u64::from(requests).saturating_sub(made);
    Ok(LoadReport {
        requests_per_second: report.summary.requests_per_sec,
        acknowledged: answered(true),
        curve: curve(&report),
        flaw: flaw(
            requests.into(),
            &[(errors, &failed), (answered(false), "were not answered with 2xx"), (short, "were not made")],
        ),
        note: None,
    })
}

/// Latency in milliseconds at each percentile that is reported, from the fastest answer to the slowest.
fn curve(report: &Report) -> Vec<(f64, f64)> {
    let named = report.latency_percentiles.iter();
    let named = named.filter_map(|(name, seconds)| Some((name.strip_prefix('p')?.parse().ok()?, *seconds)));
    let all = [(0.0, report.summary.fastest), (100.0, report.summary.slowest)].into_iter().chain(named);
    let mut curve: Vec<(f64, f64)> = all.filter_map(|(at, seconds)| Some((at, seconds? * 1000.0))).collect();
    curve.sort_by(|a, b| a.0.total_cmp(&b.0));
    curve
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTS: &str = include_str!("testdata/oha-post.json");
    const NOT_FOUND: &str = include_str!("testdata/oha-404.json");
    const REFUSED: &str = include_str!("testdata/oha-refused.json");

    #[test]
    fn percentiles_come_in_order_and_milliseconds() {
        let report = parse(POSTS, 2000).expect("a report");
        assert_eq!((report.acknowledged, report.flaw.clone()), (2000, None));
        let at: Vec<f64> = report.curve.iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0]);
        assert!(report.curve.is_sorted_by(|a, b| a.1 <= b.1));
        assert!((report.percentile(99.9).expect("it is there") - 0.945_605).abs() < 1e-9);
    }

    #[test]
    fn refusals_and_errors_are_flaws_and_have_no_latency() {
        let report = |text, requests| parse(text, requests).expect("a report");
        let refused = "of 500 requests 500 failed (Connection refused (os error 111))";
        assert_eq!(report(REFUSED, 500).flaw.as_deref(), Some(refused));
        assert_eq!((report(REFUSED, 500).acknowledged, report(REFUSED, 500).curve.len()), (0, 0));
        let not_found = "of 500 requests 500 were not answered with 2xx";
        assert_eq!(report(NOT_FOUND, 500).flaw.as_deref(), Some(not_found));
        assert_eq!(report(POSTS, 2001).flaw.as_deref(), Some("of 2001 requests 1 were not made"));
    }

    #[test]
    fn kinds_of_failures_are_told_together() {
        let text = POSTS
            .replace(r#""200": 2000"#, r#""200": 5, "503": 3"#)
            .replace(r#""errorDistribution": {}"#, r#""errorDistribution": {"timeout": 1}"#);
        let flaw = "of 10 requests 1 failed (timeout), 3 were not answered with 2xx, 1 were not made";
        assert_eq!(parse(&text, 10).expect("a report").flaw.as_deref(), Some(flaw));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert!(parse("{}", 1).is_err());
        assert!(parse("", 1).is_err());
    }
}
