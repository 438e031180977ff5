//! The whole application: what it costs while nobody votes, and how soon a vote is on the result page.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::Site;
use crate::child;
use crate::client;
use crate::compose::Application;
use crate::record::{Measure, Metric, Sample};
use crate::substrate::Port;

/// How long the idle application is watched, in a full run and in a quick one.
const IDLE: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(2));
/// What it is left alone for before.
const SETTLE: Duration = Duration::from_millis(500);
/// Votes that are followed, in a full run and in a quick one.
const VOTES: (u64, u64) = (20, 6);
/// By how much later each is sent after the event of the one before.
const PHASE: Duration = Duration::from_millis(17);
/// How long one may take to the result page.
const EVENT_LIMIT: Duration = Duration::from_secs(5);
/// Longest line of an event.
const LINE_BYTES_MAX: u64 = 1 << 16;

/// Idle processor time, and a sample for each vote that is followed.
///
/// # Errors
/// When the application does not start, or a vote does not arrive.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    let mut application = site.substrate.application(1, site.directory)?;
    thread::sleep(SETTLE);
    let idle = idle_percent(&application, if site.quick { IDLE.1 } else { IDLE.0 })?;
    let mut samples = vec![site.sample(Measure::Idle, [(Metric::CorePercent, idle)])];
    if site.substrate.is_whole() {
        let times = follow(&application, if site.quick { VOTES.1 } else { VOTES.0 })?;
        let sample =
            |time: &Duration| site.sample(Measure::EndToEnd, [(Metric::Ms, time.as_secs_f64() * 1000.0)]);
        samples.extend(times.iter().map(sample));
    }
    application.check()?;
    Ok(samples)
}

fn idle_percent(application: &Application, time: Duration) -> Result<f64> {
    let pids = application.processes();
    let (begun, before) = (Instant::now(), child::processor_seconds(&pids)?);
    thread::sleep(time);
    Ok((child::processor_seconds(&pids)? - before) / begun.elapsed().as_secs_f64() * 100.0)
}

/// Time from sending each vote to the event that shows it.
fn follow(application: &Application, votes: u64) -> Result<Vec<Duration>> {
    let vote = application.votes[0].endpoint(Port::Vote)?.host;
    let mut events = Events::open(application.result().endpoint(Port::Result)?.host)?;
    let first = events.next_total()?;
    (1..=votes)
        .map(|number| {
            // The result page asks the store every so often: each vote meets another moment of that.
            thread::sleep(PHASE * u32::try_from(number).unwrap_or(0));
            let sent = Instant::now();
            let answer = client::vote(vote, "b").context("a vote is not answered")?;
            ensure!(answer.status == 200, "a vote is answered with {}", answer.status);
            while events.next_total()? < first + number {
                ensure!(
                    sent.elapsed() < EVENT_LIMIT,
                    "a vote was not shown within {} s",
                    EVENT_LIMIT.as_secs()
                );
            }
            Ok(sent.elapsed())
        })
        .collect()
}

/// The result page's events (HTML standard, section 9.2).
struct Events(BufReader<TcpStream>);

#[derive(Deserialize)]
struct Scores {
    a: u64,
    b: u64,
}

impl Events {
    fn open(host: SocketAddrV4) -> Result<Self> {
        let mut stream = TcpStream::connect_timeout(&host.into(), EVENT_LIMIT)?;
        stream.set_read_timeout(Some(EVENT_LIMIT))?;
        stream.write_all(format!("GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The total of the next event.
    fn next_total(&mut self) -> Result<u64> {
        loop {
            let mut line = String::new();
            let mut limited = std::io::Read::take(&mut self.0, LINE_BYTES_MAX);
            let bytes = limited.read_line(&mut line).context("the result page sends no event")?;
            ensure!(bytes > 0, "the result page ended its events");
            if let Some(total) = total(&line) {
                return Ok(total);
            }
        }
    }
}

/// The total in a line of an event, if it has one.
fn total(line: &str) -> Option<u64> {
    let scores: Scores = serde_json::from_str(line.strip_prefix("data:")?.trim()).ok()?;
    Some(scores.a + scores.b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_in_the_data_of_an_event_only() {
        assert_eq!(total("data: {\"a\":1,\"b\":2}\r\n"), Some(3));
        assert_eq!(total("data: {\"ready\":true}\n"), None);
        assert_eq!(total("event: scores\r\n"), None);
        assert_eq!(total(": keep-alive\n"), None);
        assert_eq!(total("data: {\"a\":\n"), None);
    }
}
