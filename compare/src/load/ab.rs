//! ApacheBench: its command line and its report.
//!
//! It sends a connection's next request when it has the answer to the last: its latency leaves out the time
//! that a request would have waited for a connection. `oha`'s does not.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use image_build::tool::packages::table::AB;

use super::report::{ANSWER_LIMIT, FORM_TYPE, LoadReport, Shape, flaw};
use crate::record::Method;

/// Requests that it has room for when it runs for a time: more than any service answers in it.
pub const REQUESTS_MAX: u32 = 5_000_000;
/// Share of answers over kept connections below which a reader is told.
const KEPT_SHARE: f64 = 0.9;

/// The command for a load of at most so many seconds; it writes its percentiles beside its report.
pub fn command(files: &Path, shape: &Shape, seconds_max: u32) -> Command {
    let mut command = Command::new(AB.program);
    command.args(["-q", "-s", &ANSWER_LIMIT.as_secs().to_string()]);
    // A time implies a number of requests, which therefore has to come after it.
    command.args(["-t", &seconds_max.to_string(), "-n", &shape.requests.to_string()]);
    command.args(["-c", &shape.connections.to_string()]);
    if shape.keep_alive {
        command.arg("-k");
    }
    if shape.method == Method::Post {
        command.args(["-T", FORM_TYPE, "-p"]).arg(files.join("form"));
    }
    command.arg("-e").arg(files.join("percentiles.csv")).arg(format!("http://{}/", shape.host));
    command
}

/// `ab 2.3` from `This is ApacheBench, Version 2.3 <$Revision$>`.
pub fn version(text: &str) -> Option<String> {
    let version = text.split_once("Version ")?.1.split_whitespace().next()?;
    Some(format!("{} {version}", AB.program))
}

/// What its report says of a load of which `least` requests must be answered.
///
/// # Errors
/// When it is not a report.
pub fn read(files: &Path, least: u32, success: bool) -> Result<LoadReport> {
    let log = files.join("log");
    let report = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    if !success {
        let Some(flaw) = given_up(&report) else { bail!("ab failed") };
        return Ok(LoadReport { flaw: Some(flaw), ..LoadReport::default() });
    }
    // Where nothing was answered there are no percentiles.
    let percentiles = fs::read_to_string(files.join("percentiles.csv")).unwrap_or_default();
    parse(&report, &percentiles, least)
}

/// Why it gave up, if that was for what the network told it: then it is part of the result.
fn given_up(report: &str) -> Option<String> {
    let reason = report[report.find("apr_")?..].lines().next()?;
    let made = report.lines().find_map(|line| line.strip_prefix("Total of ")?.split(' ').next());
    Some(format!("ab gave up after {} requests: {reason}", made.unwrap_or("0")))
}

fn parse(report: &str, percentiles: &str, least: u32) -> Result<LoadReport> {
    let number = |name: &str| -> Option<f64> {
        let line = report.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let whole = |name| number(name).unwrap_or(0.0) as u64;
    let completed = number("Complete requests:").context("ab's report has no count of requests")? as u64;
    let (failed, refused) = (whole("Failed requests:"), whole("Non-2xx responses:"));
    let short = u64::from(least).saturating_sub(completed);
    let kinds = report.lines().find_map(|line| line.trim().strip_prefix("(Connect: "));
    let failed_how = kinds.map_or_else(|| "failed".to_owned(), |kinds| format!("failed (Connect: {kinds}"));
    Ok(LoadReport {
        requests_per_second: number("Requests per second:").context("ab's report has no rate")?,
        acknowledged: completed.saturating_sub(failed + refused),
        curve: curve(percentiles),
        flaw: flaw(
            completed.max(least.into()),
            &[
                (failed, &failed_how),
                (refused, "were not answered with 2xx"),
                (whole("Write errors:"), "could not be sent"),
                (short, "were not answered in time"),
            ],
        ),
        note: number("Keep-Alive requests:").and_then(|kept| few_kept(kept, completed as f64)),
    })
}

/// Says so where a load with keep-alive was mostly one without.
fn few_kept(kept: f64, completed: f64) -> Option<String> {
    let percent = 100.0 * kept / completed;
    (kept < KEPT_SHARE * completed)
        .then(|| format!("the service keeps connections for only {percent:.0}% of the requests"))
}

/// The lines `percent,milliseconds` after the heading.
fn curve(percentiles: &str) -> Vec<(f64, f64)> {
    let point = |line: &str| {
        let (percent, ms) = line.split_once(',')?;
        Some((percent.parse().ok()?, ms.trim().parse().ok()?))
    };
    percentiles.lines().filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTS: &str = include_str!("testdata/ab-post.txt");
    const NOT_FOUND: &str = include_str!("testdata/ab-404.txt");
    const SHORTER: &str = include_str!("testdata/ab-length.txt");
    const REFUSED: &str = include_str!("testdata/ab-refused.txt");
    const RESET: &str = include_str!("testdata/ab-reset.txt");
    const PERCENTILES: &str = include_str!("testdata/ab.csv");

    #[test]
    fn a_clean_report_is_a_rate_and_percentiles() {
        let report = parse(POSTS, PERCENTILES, 5000).expect("a report");
        assert_eq!((report.requests_per_second, report.acknowledged), (76722.42, 5000));
        assert_eq!((report.flaw.clone(), report.note.clone()), (None, None));
        assert_eq!((report.curve.len(), report.curve[100]), (101, (100.0, 4.123)));
        assert_eq!((report.percentile(99.0), report.percentile(99.9)), (Some(1.456), None));
    }

    #[test]
    fn errors_are_counted_by_kind() {
        let flaw = |report, least| parse(report, "", least).expect("a report").flaw.expect("a flaw");
        assert_eq!(flaw(NOT_FOUND, 500), "of 500 requests 500 were not answered with 2xx");
        let failed = "of 100 requests 33 failed (Connect: 0, Receive: 0, Length: 33, Exceptions: 0)";
        assert_eq!(flaw(SHORTER, 1), failed);
        assert_eq!(flaw(POSTS, 5003), "of 5003 requests 3 were not answered in time");
        assert_eq!(parse(NOT_FOUND, "", 500).expect("a report").acknowledged, 0);
    }

    #[test]
    fn network_errors_are_results_and_usage_errors_are_failures() {
        let refused = "ab gave up after 0 requests: apr_socket_recv: Connection refused (111)";
        assert_eq!(given_up(REFUSED).as_deref(), Some(refused));
        let reset = "ab gave up after 17 requests: apr_socket_recv: Connection reset by peer (104)";
        assert_eq!(given_up(RESET).as_deref(), Some(reset));
        assert_eq!(given_up("ab: Cannot use concurrency level greater than number of requests"), None);
    }

    #[test]
    fn a_service_without_keep_alive_is_reported() {
        let report = POSTS.replace("Keep-Alive requests:    5000", "Keep-Alive requests:    2500");
        let note = "the service keeps connections for only 50% of the requests";
        assert_eq!(parse(&report, "", 5000).expect("a report").note.as_deref(), Some(note));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert!(parse(RESET, "", 10).is_err());
    }

    #[test]
    fn the_version_is_read() {
        assert_eq!(version(POSTS).as_deref(), Some("ab 2.3"));
        assert_eq!(version("something else"), None);
    }
}
