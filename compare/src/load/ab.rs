//! ApacheBench: its command line and its report.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use image_build::packages::Packaged;

use super::{FORM_TYPE, Outcome, Shape, flaw};
use crate::record::Method;

/// Where it comes from.
pub const PACKAGED: Packaged =
    Packaged { program: "ab", apt: "apache2-utils", dnf: "httpd-tools", pacman: "apache", brew: "httpd" };

/// The command for a load; it writes its percentiles beside its report.
pub fn command(files: &Path, shape: &Shape) -> Command {
    let mut command = Command::new("ab");
    command.args(["-q", "-n", &shape.requests.to_string(), "-c", &shape.connections.to_string()]);
    if shape.keep_alive {
        command.arg("-k");
    }
    if shape.method == Method::Post {
        command.args(["-T", FORM_TYPE, "-p"]).arg(files.join("form"));
    }
    command.arg("-e").arg(files.join("percentiles.csv")).arg(format!("http://{}/", shape.host));
    command
}

/// What its report says.
///
/// # Errors
/// When it is not a report.
pub fn read(files: &Path, shape: &Shape) -> Result<Outcome> {
    let log = files.join("log");
    let report = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    // Where nothing was answered there are no percentiles.
    let percentiles = fs::read_to_string(files.join("percentiles.csv")).unwrap_or_default();
    parse(&report, &percentiles, shape.requests)
}

fn parse(report: &str, percentiles: &str, requests: u32) -> Result<Outcome> {
    let number = |name: &str| -> Option<f64> {
        let line = report.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let whole = |name| number(name).unwrap_or(0.0) as u64;
    let completed = number("Complete requests:").context("ab's report has no count of requests")? as u64;
    let (failed, refused) = (whole("Failed requests:"), whole("Non-2xx responses:"));
    let short = u64::from(requests).saturating_sub(completed);
    Ok(Outcome {
        requests_per_second: number("Requests per second:").context("ab's report has no rate")?,
        acknowledged: completed.saturating_sub(failed + refused),
        curve: curve(percentiles),
        flaw: flaw(
            requests,
            &[(failed, "failed"), (refused, "were not answered with 2xx"), (short, "were not made")],
        ),
    })
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

    const REPORT: &str = "Complete requests:      1000\nFailed requests:        0\n\
        Requests per second:    20163.55 [#/sec] (mean)\n";

    #[test]
    fn a_clean_report_is_a_rate_and_percentiles() {
        let csv = "Percentage served,Time in ms\n0,0.016\n50,0.042\n99,0.149\n100,0.665\n";
        let outcome = parse(REPORT, csv, 1000).expect("a report");
        assert_eq!((outcome.requests_per_second, outcome.acknowledged), (20163.55, 1000));
        assert_eq!(outcome.flaw, None);
        assert_eq!((outcome.percentile(99.0), outcome.percentile(99.9)), (Some(0.149), None));
    }

    #[test]
    fn errors_are_counted_by_kind() {
        let report = "Complete requests:      990\nFailed requests:        3\n   (Connect: 0, Receive: 3)\n\
            Non-2xx responses:      7\nRequests per second:    5.0 [#/sec] (mean)\n";
        let outcome = parse(report, "", 1000).expect("a report");
        let flaw = "of 1000 requests 3 failed, 7 were not answered with 2xx, 10 were not made";
        assert_eq!(outcome.flaw.as_deref(), Some(flaw));
        assert_eq!(outcome.acknowledged, 980);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert!(parse("apr_socket_recv: Connection reset by peer (104)\n", "", 10).is_err());
    }
}
