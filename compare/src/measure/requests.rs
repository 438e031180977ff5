//! Requests each second and their latency, by a closed and an open loop, and the memory held meanwhile.
//!
//! Each load begins when the service is warm and, for votes, when those of the load before are counted.

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::holder::Holder;
use super::ledger::Ledger;
use super::site::Site;
use super::vote;
use crate::load::{self, LoadReport, Shape};
use crate::record::{Generator, Load, Measure, Method, Metric, Sample};
use crate::substrate::{Application, Port};

/// Connections in a full run and in a quick one.
const CONNECTIONS: (&[u32], &[u32]) = (&[1, 16, 64, 256], &[16]);
/// How long each closed loop takes, in seconds, in a full run and in a quick one.
const CLOSED_SECONDS: (f64, f64) = (0.9, 0.7);
/// How long each open loop takes.
const OPEN_SECONDS: (f64, f64) = (1.2, 1.0);
/// Share of what the closed loop reached that the open loop asks for.
const OPEN_SHARE: f64 = 0.7;
/// The most that an open loop asks for, in requests each second. Above it the latency would be the
/// generator's own: at 100,000 on two cores it is 160 ms, at 50,000 half a millisecond.
const OPEN_RATE_MAX: f64 = 50_000.0;
/// Least requests of an open loop in a full run, so that there is a slowest thousandth.
const OPEN_REQUESTS_MIN: f64 = 1000.0;
/// Connections of the open loop whose rate is the same for all substrates.
const SAME_RATE_CONNECTIONS: u32 = 16;
/// That rate, without and with keep-alive, in requests each second: what a Linux machine still reaches
/// when it is emulated.
const SAME_RATES: (f64, f64) = (250.0, 1000.0);
/// Requests that a service is warmed up with first, and how long that lasts at least. A few milliseconds
/// of a fast one would tell its rate badly.
const WARM_REQUESTS: f64 = 300.0;
const WARM_SECONDS: f64 = 0.15;
/// Requests of one load, least and most.
const REQUESTS: (f64, f64) = (100.0, 1_000_000.0);
/// Votes of one load: all of a visit's have to fit into the store.
const VOTES_MAX: f64 = 40_000.0;
/// Connections while memory is read, in a full run and in a quick one.
const RESIDENT_CONNECTIONS: (u32, u32) = (64, 16);

/// Loads one substrate's vote page with one kind of request.
///
/// # Errors
/// When the application does not start, ends, or answers wrongly; when a generator fails.
pub fn measure(site: &Site, method: Method) -> Result<Vec<Sample>> {
    let mut application = site.substrate.application(1, site.directory)?;
    let page = &application.votes[0];
    let host = page.endpoint(Port::Vote)?.host;
    let holder = Holder::of(page);
    vote::check_page(page)?;
    let ledger = match method {
        Method::Get => None,
        Method::Post => Ledger::open(site, &application, host)?,
    };
    let mut loads = Loads { site, method, host, holder, ledger, samples: Vec::new() };
    for keep_alive in [false, true] {
        for connections in site.pick(CONNECTIONS) {
            loads.make(keep_alive, *connections)?;
            loads.check(&mut application)?;
        }
    }
    Ok(loads.finish())
}

/// The loads on one application.
struct Loads<'a> {
    site: &'a Site<'a>,
    method: Method,
    host: SocketAddrV4,
    holder: Holder,
    ledger: Option<Ledger>,
    samples: Vec<Sample>,
}

impl Loads<'_> {
    /// A closed loop, an open one at a share of its rate, and one at the rate that is the same for all.
    fn make(&mut self, keep_alive: bool, connections: u32) -> Result<()> {
        let load = |generator| Load { method: self.method, keep_alive, connections, generator };
        let [closed, open, same] = [Generator::Ab, Generator::Oha, Generator::OhaSameRate].map(load);
        let reached = match self.warm(closed)? {
            Ok(rate) => self.closed_loop(closed, rate)?,
            Err(flaw) => {
                self.void(closed, format!("warming up: {flaw}"));
                None
            }
        };
        if !load::has_oha(self.site.context) {
            return Ok(());
        }
        match reached {
            Some(rate) => self.open_loop(open, rate)?,
            None => self.void(open, "there is no rate to ask a share of".to_owned()),
        }
        if connections == SAME_RATE_CONNECTIONS { self.same_rate(same) } else { Ok(()) }
    }

    /// Loads until the service is warm; the rate that it reached, or what went wrong.
    fn warm(&mut self, load: Load) -> Result<Result<f64, String>> {
        let mut wanted = WARM_REQUESTS;
        loop {
            let shape = self.shape(load, wanted);
            let report = load::closed_loop(self.site.context, self.site.directory, shape)?.finish()?;
            let report = self.settle(report)?;
            if let Some(flaw) = report.flaw {
                return Ok(Err(flaw));
            }
            let rate = report.requests_per_second;
            let is_most = f64::from(shape.requests) < wanted.floor();
            if is_most || f64::from(shape.requests) >= rate * WARM_SECONDS {
                return Ok(Ok(rate));
            }
            wanted = (2.0 * rate * WARM_SECONDS).max(2.0 * wanted);
        }
    }

    /// As fast as it goes; the rate that was reached, if it counts.
    fn closed_loop(&mut self, load: Load, expected: f64) -> Result<Option<f64>> {
        let shape = self.shape(load, expected * self.site.pick(CLOSED_SECONDS));
        let running = load::closed_loop(self.site.context, self.site.directory, shape)?;
        if load.keep_alive && load.connections == self.site.pick(RESIDENT_CONNECTIONS) {
            self.read_memory(f64::from(shape.requests) / expected)?;
        }
        let report = self.settle(running.finish()?)?;
        let rate = report.flaw.is_none().then_some(report.requests_per_second);
        self.record(load, None, report);
        Ok(rate)
    }

    fn open_loop(&mut self, load: Load, reached: f64) -> Result<()> {
        let rate = (reached * OPEN_SHARE).min(OPEN_RATE_MAX);
        let least = if self.site.quick { REQUESTS.0 } else { OPEN_REQUESTS_MIN };
        let requests = (rate * self.site.pick(OPEN_SECONDS)).max(least);
        let is_less = rate < reached * OPEN_SHARE;
        let note = is_less.then(|| {
            let share = 100.0 * OPEN_SHARE;
            format!(
                "asked for {OPEN_RATE_MAX} requests/s, not {share:.0}% of ab's: the generator is no faster"
            )
        });
        self.offer(load, requests, rate, note)
    }

    fn same_rate(&mut self, load: Load) -> Result<()> {
        let rate = if load.keep_alive { SAME_RATES.1 } else { SAME_RATES.0 };
        self.offer(load, rate * self.site.pick(OPEN_SECONDS), rate, None)
    }

    fn offer(&mut self, load: Load, requests: f64, rate: f64, note: Option<String>) -> Result<()> {
        let shape = self.shape(load, requests);
        let report = load::open_loop(self.site.context, self.site.directory, shape, rate)?.finish()?;
        let report = self.settle(LoadReport { note, ..report })?;
        self.record(load, Some(rate), report);
        Ok(())
    }

    /// A load with a number of requests within bounds, and enough for every connection.
    fn shape(&self, load: Load, requests: f64) -> Shape {
        let Load { method, keep_alive, connections, .. } = load;
        let most = if method == Method::Post { VOTES_MAX } else { REQUESTS.1 };
        let requests = (requests.clamp(REQUESTS.0, most) as u32).max(2 * connections);
        Shape { host: self.host, method, keep_alive, connections, requests }
    }

    /// Waits until the votes of a load are counted.
    fn settle(&mut self, report: LoadReport) -> Result<LoadReport> {
        self.ledger.as_mut().map_or(Ok(()), |ledger| ledger.add(&report))?;
        Ok(report)
    }

    fn record(&mut self, load: Load, asked: Option<f64>, report: LoadReport) {
        if let Some(flaw) = report.flaw {
            return self.void(load, flaw);
        }
        let asked = asked.map(|rate| (Metric::OfferedPerSecond, rate));
        let sample = self.site.sample(Measure::Load(load), report.metrics().into_iter().chain(asked));
        self.samples.push(Sample { curve: report.curve, note: report.note, ..sample });
    }

    fn void(&mut self, load: Load, reason: String) {
        self.samples.push(self.site.voided(Measure::Load(load), reason));
    }

    /// Memory of the vote instance in the middle of a load.
    fn read_memory(&mut self, load_seconds: f64) -> Result<()> {
        if self.method == Method::Get && !self.holder.processes.is_empty() {
            // Nothing but the time tells the middle. Were the load over, its memory would still be held.
            std::thread::sleep(Duration::from_secs_f64(load_seconds / 2.0));
            self.samples.push(self.holder.sample(self.site)?);
        }
        Ok(())
    }

    /// Fails when a part of the application has ended.
    fn check(&self, application: &mut Application) -> Result<()> {
        let flaws: Vec<&str> = self.samples.iter().filter_map(|sample| sample.voided.as_deref()).collect();
        application.check().with_context(|| format!("under load ({})", flaws.join("; ")))
    }

    fn finish(self) -> Vec<Sample> {
        let unbalanced = self.ledger.and_then(Ledger::close);
        let mut samples = self.samples;
        for sample in samples.iter_mut().filter(|sample| sample.voided.is_none()) {
            sample.voided.clone_from(&unbalanced);
        }
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_s_votes_fit_into_the_store() {
        // Some 1.5 million fit. Warming up doubles its votes until they are the most or enough.
        let (warm, closed, open) = (2.0 * VOTES_MAX, VOTES_MAX, VOTES_MAX);
        let loads = 2.0 * CONNECTIONS.0.len() as f64;
        let same = (SAME_RATES.0 + SAME_RATES.1) * OPEN_SECONDS.0;
        assert!(loads * (warm + closed + open) + same < 1_400_000.0);
    }
}
