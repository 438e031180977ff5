//! oha: an open loop at a fixed rate, which counts latency from when a request was due.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use image_build::process;
use serde::Deserialize;

use super::{FORM_TYPE, Outcome, Shape, flaw};
use crate::context::Context;
use crate::record::Method;

const VERSION: &str = "1.16.0";
/// Settings that halve the time of its build; it spends its time in the kernel.
const PROFILE: [&str; 3] =
    ["profile.release.lto=false", "profile.release.opt-level=2", "profile.release.codegen-units=64"];

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
pub fn ensure(context: &Context) -> Result<PathBuf> {
    if let Some(program) = program(context)? {
        return Ok(program);
    }
    eprintln!("building the load generator oha {VERSION} (once, some minutes)");
    let mut cargo = Command::new("cargo");
    process::forget_build_settings(&mut cargo);
    cargo.args(["install", "oha", "--version", VERSION, "--locked", "--quiet"]);
    cargo.args(["--no-default-features", "--features", "rustls", "--root"]).arg(context.artifacts("tools")?);
    for setting in PROFILE {
        cargo.args(["--config", setting]);
    }
    process::output(&mut cargo, "building oha")?;
    program(context)?.context("cargo built oha, but not where it was told")
}

/// The command for a load at `rate` requests each second.
pub fn command(program: &Path, files: &Path, shape: &Shape, rate: f64) -> Command {
    let mut command = Command::new(program);
    command.args(["--no-tui", "--latency-correction", "--disable-compression", "--output-format", "json"]);
    command.args(["-n", &shape.requests.to_string(), "-c", &shape.connections.to_string()]);
    command.args(["-q", &format!("{rate:.0}")]).arg("--output").arg(files.join("report.json"));
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
}

/// What its report says.
///
/// # Errors
/// When it is not a report.
pub fn read(files: &Path, shape: &Shape) -> Result<Outcome> {
    let path = files.join("report.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text, shape.requests)
}

fn parse(text: &str, requests: u32) -> Result<Outcome> {
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
    let mut curve: Vec<(f64, f64)> = report
        .latency_percentiles
        .iter()
        .filter_map(|(name, seconds)| Some((name.strip_prefix('p')?.parse().ok()?, (*seconds)? * 1000.0)))
        .collect();
    curve.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(Outcome {
        requests_per_second: report.summary.requests_per_sec,
        acknowledged: answered(true),
        curve,
        flaw: flaw(
            requests,
            &[(errors, &failed), (answered(false), "were not answered with 2xx"), (short, "were not made")],
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_in_order_and_milliseconds() {
        let text = r#"{"summary":{"requestsPerSec":1997.7},
            "latencyPercentiles":{"p10":0.0001,"p50":0.00015,"p99":0.0003,"p99.9":0.0009,"p99.99":null},
            "statusCodeDistribution":{"200":2000},"errorDistribution":{}}"#;
        let outcome = parse(text, 2000).expect("a report");
        assert_eq!((outcome.acknowledged, outcome.flaw.clone()), (2000, None));
        assert_eq!(outcome.curve.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [10.0, 50.0, 99.0, 99.9]);
        assert!((outcome.percentile(99.9).expect("it is there") - 0.9).abs() < 1e-9);
    }

    #[test]
    fn refusals_and_errors_are_flaws() {
        let text = r#"{"summary":{"requestsPerSec":1.0},"latencyPercentiles":{},
            "statusCodeDistribution":{"200":5,"503":3},
            "errorDistribution":{"Connection refused (os error 111)":1}}"#;
        let flaw = parse(text, 10).expect("a report").flaw.expect("a flaw");
        let expected = "of 10 requests 1 failed (Connection refused (os error 111)), \
                        3 were not answered with 2xx, 1 were not made";
        assert_eq!(flaw, expected);
    }
}
