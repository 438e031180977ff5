//! The whole application: what it costs while nobody votes, and how soon a vote is on the result page.
//!
//! Makes no load: `requests` does.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Deserialize;

use super::site::Site;
use crate::child;
use crate::client;

use crate::record::{Measure, Metric, Sample};
use crate::substrate::{Application, Port};

/// How long the idle application is watched, in a full run and in a quick one.
const IDLE: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(2));
/// What it is left alone for before.
const SETTLE: Duration = Duration::from_millis(500);
/// Votes that are followed, in a full run and in a quick one.
const VOTES: (u64, u64) = (20, 6);
/// A vote is sent at another time after the event before it, spread over this: the result page asks for
/// news every 100 ms, and a vote right after an event would always wait for the whole of it.
const BEAT: Duration = Duration::from_millis(100);
/// Share of the beat from one vote's time to the next one's: the golden ratio spreads any number evenly.
const STEP: f64 = 0.618_033_988_75;
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
    let idle = idle_percent(&application, site.pick(IDLE))?;
    let mut samples = vec![site.sample(Measure::Idle, [(Metric::CorePercent, idle)])];
    if site.substrate.is_whole() {
        let times = follow(&application, site.pick(VOTES))?;
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
            thread::sleep(BEAT.mul_f64((number as f64 * STEP).fract()));
            follow_one(vote, &mut events, first + number)
        })
        .collect()
}

/// Sends a vote and waits for the event that shows `total` votes, which may come before the answer.
fn follow_one(host: SocketAddrV4, events: &mut Events, total: u64) -> Result<Duration> {
    let sent = Instant::now();
    thread::scope(|scope| {
        let vote = scope.spawn(|| client::vote(host, "b"));
        let shown = events.await_total(total, sent + EVENT_LIMIT).map(|()| sent.elapsed());
        let answer =
            vote.join().map_err(|_| anyhow!("the voter panicked"))?.context("a vote is not answered")?;
        ensure!(answer.status == 200, "a vote is answered with {}: {:.300}", answer.status, answer.text());
        shown
    })
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

    /// Waits for an event with `total`.
    fn await_total(&mut self, total: u64, until: Instant) -> Result<()> {
        loop {
            let shown = self.next_total().with_context(|| format!("waiting for {total} votes"))?;
            ensure!(shown <= total, "the result page shows {shown} votes of {total}");
            if shown == total {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "the result page shows {shown} of {total} votes after {} s",
                EVENT_LIMIT.as_secs()
            );
        }
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
