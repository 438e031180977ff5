//! A vote service in a virtual machine of KVM's, whose exits are counted: for its boot, for requests, and at rest.

use std::net::SocketAddrV4;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::counters::{Counters, Exits};
use super::voters::{Questions, Voters};
use crate::client;
use crate::record::{Counted, Measure, Method};
use crate::statistics::undisturbed;
use crate::substrate::{HOST_FROM_GUEST, Instance, Order, Port, Program, Substrate, deepen_backlogs, ready};

/// Name of the figure for a boot with its first answer.
pub const BOOT: &str = "boot";
/// Name of the figure for a second of rest.
const REST: &str = "second-of-rest";
/// How long a machine may take to boot where KVM is emulated.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// How often the store is asked whether the vote service is there. The machine notices nothing of it.
const STORE_POLL: Duration = Duration::from_millis(100);
/// What the store's health page says once it is.
const STORE_HAS_CLIENT: &str = "\nstore_clients 1\n";
/// Requests at the same time, and how often they are sent in each part of a count.
const LOADS: [(usize, usize); 2] = [(1, 12), (16, 3)];
/// Parts of a count, of which the least disturbed ones tell.
const PARTS: usize = 6;
/// How often requests are sent before that.
const WARM_UP: usize = 2;
/// How long a machine is left alone before its rest is counted: connections end, and timers run out.
const SETTLE: Duration = Duration::from_secs(4);
/// How long its rest is counted.
const REST_TIME: Duration = Duration::from_secs(15);

/// A counted vote service, and a store beside it as a process of this host.
pub struct Vote {
    counters: Counters,
    host: SocketAddrV4,
    boot: Exits,
    _vote: Instance,
    _store: Instance,
}

impl Vote {
    /// Boots it until it has given one answer, with the store from `stores`, and logs in `directory`.
    ///
    /// # Errors
    /// When one of the two does not start, or KVM's counters cannot be read.
    pub fn boot(substrate: &dyn Substrate, stores: &dyn Substrate, directory: &Path) -> Result<Self> {
        let log = ("LOG", "warn");
        let store = stores.start(&Order::new(Program::Store, "store", &[log], directory))?;
        let store = ready(store, Program::Store)?;
        let url = format!("redis://{HOST_FROM_GUEST}:{}", store.endpoint(Port::Store)?.host.port());
        let settings = [log, ("REDIS_URL", &url)];
        let mut vote = substrate.vote(&Order::new(Program::Vote, "vote", &settings, directory))?;
        await_client(&mut vote, store.endpoint(Port::StoreHealth)?.host)?;
        deepen_backlogs(&vote);
        let host = vote.endpoint(Port::Vote)?.host;
        Voters::new(questions(host, (Method::Get, false), 1))?.ask()?;
        let pid = *vote.processes.first().context("a machine without a process")?;
        let counters = Counters::of_process(pid)?;
        let boot = counters.read()?;
        Ok(Self { counters, host, boot, _vote: vote, _store: store })
    }

    /// Every figure by its name: exits of the boot, for a request, and in a second of rest.
    ///
    /// # Errors
    /// When a request is not answered well.
    pub fn count(&self) -> Result<Vec<(String, f64)>> {
        let mut figures = vec![(BOOT.to_owned(), self.boot.of_guest() as f64)];
        for of in Counted::ALL {
            let Some(kind) = of.request() else { continue };
            for (connections, rounds) in LOADS {
                let questions = questions(self.host, kind, connections);
                figures.push((name(of, connections), self.per_request(questions, rounds)?));
            }
        }
        figures.push((REST.to_owned(), self.per_second_of_rest()?));
        Ok(figures)
    }

    fn per_request(&self, questions: Questions, rounds: usize) -> Result<f64> {
        let mut voters = Voters::new(questions)?;
        (0..WARM_UP).try_for_each(|_| voters.ask())?;
        let mut part = || -> Result<f64> {
            let before = self.counters.read()?;
            (0..rounds).try_for_each(|_| voters.ask())?;
            let exits = (self.counters.read()? - before).of_guest();
            Ok(exits as f64 / (rounds * questions.connections) as f64)
        };
        let counts: Result<_> = (0..PARTS).map(|_| part()).collect();
        Ok(undisturbed(counts?, 2))
    }

    fn per_second_of_rest(&self) -> Result<f64> {
        sleep(SETTLE);
        let (begun, before) = (Instant::now(), self.counters.read()?);
        sleep(REST_TIME);
        let exits = (self.counters.read()? - before).of_guest();
        Ok(exits as f64 / begun.elapsed().as_secs_f64())
    }
}

/// Waits until the store has a client. Until then nobody asks the machine anything, or the questions would count.
fn await_client(vote: &mut Instance, health: SocketAddrV4) -> Result<()> {
    let begun = Instant::now();
    while !client::get(health, "/metrics")?.text().contains(STORE_HAS_CLIENT) {
        vote.check()?;
        ensure!(
            begun.elapsed() < BOOT_LIMIT,
            "{vote} does not come to its store within {} s",
            BOOT_LIMIT.as_secs()
        );
        sleep(STORE_POLL);
    }
    Ok(())
}

fn questions(host: SocketAddrV4, (method, keep_alive): (Method, bool), connections: usize) -> Questions {
    Questions { host, method, keep_alive, connections }
}

/// The name of a figure for a request, of so many at the same time.
fn name(of: Counted, connections: usize) -> String {
    format!("{}-{connections}", of.name())
}

/// What the figure of this name is called in a comparison.
pub fn measure(name: &str) -> Option<Measure> {
    if name == REST {
        return Some(Measure::ExitsAtRest);
    }
    if name == BOOT {
        return Some(Measure::Exits { of: Counted::Boot, connections: 1 });
    }
    let loads = Counted::ALL.into_iter().flat_map(|of| LOADS.map(|(connections, _)| (of, connections)));
    let mut loads = loads.filter(|(of, _)| of.request().is_some());
    let (of, connections) = loads.find(|(of, connections)| self::name(*of, *connections) == name)?;
    Some(Measure::Exits { of, connections: u32::try_from(connections).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_has_its_measure() {
        let boot = Measure::Exits { of: Counted::Boot, connections: 1 };
        let post = Measure::Exits { of: Counted::PostKeepAlive, connections: 16 };
        for (name, expected) in [
            ("boot", Some(boot)),
            ("post-keep-alive-16", Some(post)),
            ("second-of-rest", Some(Measure::ExitsAtRest)),
            ("get-close-2", None),
            ("boot-1", None),
        ] {
            assert_eq!(measure(name), expected, "{name}");
        }
    }
}
