//! Requests to the application, by curl and ApacheBench as people use them.
//!
//! Judges nothing: the tests do.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::run;
use crate::programs::program;

/// How long one request may take.
const REQUEST_SECONDS: &str = "10";
/// How long between two looks at a condition.
const POLL: Duration = Duration::from_millis(50);

/// A response as far as tests look at it.
#[derive(Debug, Default)]
pub struct Response {
    /// Status code; 0 when there was no response.
    pub status: u16,
    /// Header lines, lower-case names.
    pub headers: Vec<(String, String)>,
    /// Body of the response.
    pub body: String,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// One request by curl with these further arguments.
pub fn curl(url: &str, arguments: &[&str]) -> Response {
    let mut command = program("curl");
    command.args([
        "--silent",
        "--include",
        "--http1.1",
        "--max-time",
        REQUEST_SECONDS,
        "--header",
        "Expect:",
    ]);
    parse(&run(command.args(arguments).arg(url)).stdout)
}

/// A vote by form, with the cookie of a voter if there is one.
pub fn vote(url: &str, choice: &str, cookie: Option<&str>) -> Response {
    let form = format!("vote={choice}");
    let mut arguments = vec!["--data", form.as_str()];
    arguments.extend(cookie.iter().flat_map(|cookie| ["--cookie", cookie]));
    curl(url, &arguments)
}

/// Votes for a and for b as the result page at this address (such as `http://127.0.0.1:8081`) has them now; none while
/// it does not tell.
pub fn scores(result: &str) -> Option<(u64, u64)> {
    let answer = curl(&format!("{result}/api/scores"), &[]);
    let scores: Value = serde_json::from_str(&answer.body).ok().filter(|_| answer.status == 200)?;
    Some((scores["a"].as_u64()?, scores["b"].as_u64()?))
}

fn parse(text: &str) -> Response {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Response::default() };
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Response {
        status: status.unwrap_or(0),
        headers: lines.filter_map(header).collect(),
        body: body.to_owned(),
    }
}

/// `ab` with these arguments; its report. Any failed request or status other than 2xx is an error.
///
/// # Errors
/// Runs ApacheBench and returns its report.
pub fn ab(arguments: &[&str]) -> Result<String, String> {
    let outcome = run(program("ab").arg("-q").args(arguments));
    let report = outcome.stdout + &outcome.stderr;
    let clean =
        outcome.success && report.contains("Failed requests:        0") && !report.contains("Non-2xx");
    if clean { Ok(report) } else { Err(report) }
}

/// Waits until `condition` gives something, for `limit` at most.
pub fn wait_for<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return Some(found);
        }
        if start.elapsed() >= limit {
            return None;
        }
        std::thread::sleep(POLL);
    }
}
