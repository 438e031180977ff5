//! Faults on demand: frames between two ends of the segment are lost, delayed or blocked, for a time or until the
//! fault is cleared. The code is that of the simulator's wire: the same seed does the same to the same frames.
//!
//! Faults apply only to segments and packets. The gateway answers ARP, DHCP and DNS itself, and these always work.

use std::time::Duration;

use ether::random::Random;
use ether::{Arrival, Conditions, Ether};
use serde::{Deserialize, Serialize};
use wire::Instant;

use crate::layout::Layout;

/// Most faults at a time.
pub const FAULTS_MAX: usize = 64;
/// Longest delay, in milliseconds.
pub const DELAY_MS_MAX: u64 = 60_000;
/// Longest time that a fault lasts, in milliseconds: a day.
pub const FOR_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Percents of a hundred in a million.
const MILLION: f64 = 1e6;
/// The gateway, in orders.
pub const HOST: &str = "host";

/// A fault that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The ends: services, instances, or `host`.
    pub between: (String, String),
    /// Whether only frames from the first to the second are concerned.
    pub one_way: bool,
    /// Frames of a hundred that are lost.
    pub drop_percent: f64,
    /// Time that every frame takes longer, in milliseconds.
    pub delay_ms: u64,
    /// Most additional time, by chance, in milliseconds.
    pub jitter_ms: u64,
    /// Whether nothing passes.
    pub partition: bool,
    /// How long it lasts, in milliseconds; until it is mended, without.
    pub for_ms: Option<u64>,
    /// The seed of what is left to chance; without, one is made up.
    pub seed: Option<u64>,
}

/// A fault as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// What was asked for.
    pub fault: Fault,
    /// How long it will go on, in milliseconds.
    pub left_ms: Option<u64>,
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    until: Option<Instant>,
    ways: Vec<(usize, usize)>,
}

/// The faults of a segment. Ends are stations by their number; the gateway is the number after them.
#[derive(Debug)]
pub struct Faults {
    ether: Ether,
    active: Vec<Active>,
    ends: usize,
    /// Whether the way from the first end to the second is bad, at first * ends + second.
    bad: Vec<bool>,
}

impl Faults {
    /// No faults, on a segment with this number of stations.
    pub fn new(stations: usize, seed: u64) -> Self {
        let ends = stations + 1;
        Self { ether: Ether::new(Random::new(seed)), active: Vec::new(), ends, bad: vec![false; ends * ends] }
    }

    /// Whether frames on this way must pass through [`Faults::pass`].
    pub fn is_bad(&self, from: usize, to: usize) -> bool {
        self.bad[from * self.ends + to]
    }

    /// A frame sets out on a bad way.
    pub fn pass(&mut self, from: usize, to: usize, frame: &[u8], now: Instant) {
        self.ether.pass(from, to, frame, now);
    }

    /// Takes a frame that has arrived.
    pub fn take_arrived(&mut self, now: Instant) -> Option<Arrival> {
        self.ether.take_arrived(now)
    }

    /// When a frame arrives or a fault ends.
    pub fn next_deadline(&self) -> Option<Instant> {
        let ends = self.active.iter().filter_map(|active| active.until);
        ends.chain(self.ether.next_arrival()).min()
    }

    /// Begins a fault.
    ///
    /// # Errors
    /// With what is wrong about it and how to mend it.
    pub fn add(&mut self, layout: &Layout, fault: Fault, now: Instant) -> Result<(), String> {
        check(&fault)?;
        if self.active.len() >= FAULTS_MAX {
            return Err(format!("{FAULTS_MAX} faults are active: clear them first with --clear"));
        }
        let ways = ways(layout, &fault)?;
        if let Some(seed) = fault.seed {
            self.ether.reseed(Random::new(seed));
        }
        let until = fault.for_ms.map(|ms| now + Duration::from_millis(ms));
        self.active.push(Active { fault, until, ways });
        self.apply();
        Ok(())
    }

    /// Ends all faults. Frames that are held back still arrive.
    pub fn clear(&mut self) {
        self.active.clear();
        self.apply();
    }

    /// Ends faults whose time is over.
    pub fn expire(&mut self, now: Instant) {
        let before = self.active.len();
        self.active.retain(|active| active.until.is_none_or(|until| until > now));
        if self.active.len() != before {
            self.apply();
        }
    }

    /// The faults as they are.
    pub fn list(&self, now: Instant) -> Vec<Listed> {
        let left = |until: Instant| until.as_micros().saturating_sub(now.as_micros()) / 1000;
        let listed =
            |active: &Active| Listed { fault: active.fault.clone(), left_ms: active.until.map(left) };
        self.active.iter().map(listed).collect()
    }

    /// Works out anew what each way is like.
    fn apply(&mut self) {
        for from in 0..self.ends {
            for to in 0..self.ends {
                let faults: Vec<&Fault> = self
                    .active
                    .iter()
                    .filter(|it| it.ways.contains(&(from, to)))
                    .map(|it| &it.fault)
                    .collect();
                self.bad[from * self.ends + to] = !faults.is_empty();
                self.ether.connect(from, to, !faults.iter().any(|fault| fault.partition));
                self.ether.set_way(from, to, (!faults.is_empty()).then(|| conditions(&faults)));
            }
        }
    }
}

/// What frames meet on a way with these faults: delays add up, losses are independent.
fn conditions(faults: &[&Fault]) -> Conditions {
    let arrives: f64 = faults.iter().map(|fault| 1.0 - fault.drop_percent / 100.0).product();
    let sum = |of: fn(&Fault) -> u64| Duration::from_millis(faults.iter().map(|fault| of(fault)).sum());
    Conditions {
        latency: sum(|fault| fault.delay_ms),
        jitter: sum(|fault| fault.jitter_ms),
        // A share of a million; the cast takes what is out of range to its ends.
        lost_per_million: ((1.0 - arrives) * MILLION).round() as u32,
        duplicated_per_million: 0,
    }
}

fn check(fault: &Fault) -> Result<(), String> {
    let Fault { drop_percent, delay_ms, jitter_ms, partition, for_ms, .. } = *fault;
    if !(0.0..=100.0).contains(&drop_percent) {
        return Err(format!("--drop {drop_percent} is no share: give 0 to 100 (percent)"));
    }
    for (option, ms) in [("--delay", delay_ms), ("--jitter", jitter_ms)] {
        if ms > DELAY_MS_MAX {
            return Err(format!("{option} {ms}ms is too long: give at most {DELAY_MS_MAX}ms"));
        }
    }
    if for_ms.is_some_and(|ms| ms == 0 || ms > FOR_MS_MAX) {
        return Err("--for: give a time from 1ms to 24h, or leave it out and use --clear".to_owned());
    }
    if drop_percent == 0.0 && delay_ms == 0 && jitter_ms == 0 && !partition {
        return Err("no fault is asked for: give --drop, --delay, --jitter or --partition".to_owned());
    }
    Ok(())
}

fn ways(layout: &Layout, fault: &Fault) -> Result<Vec<(usize, usize)>, String> {
    let (one, other) = (&fault.between.0, &fault.between.1);
    let (from, to) = (ends(layout, one)?, ends(layout, other)?);
    let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to)));
    let there: Vec<_> = pairs.filter(|(from, to)| from != to).collect();
    if there.is_empty() {
        return Err(format!("--between {one},{other}: these are the same: name two"));
    }
    let host = layout.stations().len();
    let meet = |(from, to): (usize, usize)| from == host || to == host || layout.share_network(from, to);
    if !there.iter().any(|way| meet(*way)) {
        return Err(format!("--between {one},{other}: they share no network, so nothing passes anyway"));
    }
    let back = there.iter().map(|(from, to)| (*to, *from)).filter(|_| !fault.one_way);
    Ok(back.chain(there.iter().copied()).collect())
}

fn ends(layout: &Layout, name: &str) -> Result<Vec<usize>, String> {
    let named = if name == HOST { vec![layout.stations().len()] } else { layout.named(name) };
    if named.is_empty() {
        let mut known: Vec<&str> = layout.stations().iter().map(|station| station.service.as_str()).collect();
        known.push(HOST);
        known.dedup();
        return Err(format!("there is no service or instance {name:?}: choose one of {}", known.join(", ")));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::voting;

    fn fault(one: &str, other: &str) -> Fault {
        Fault {
            between: (one.to_owned(), other.to_owned()),
            one_way: false,
            drop_percent: 0.0,
            delay_ms: 0,
            jitter_ms: 0,
            partition: false,
            for_ms: None,
            seed: Some(7),
        }
    }

    /// Which of 1,000 frames from the worker to the store arrive.
    fn arrivals(faults: &mut Faults, now: Instant) -> Vec<u16> {
        (0..1000_u16).for_each(|number| faults.pass(1, 0, &number.to_be_bytes(), now));
        let later = now + Duration::from_secs(10);
        std::iter::from_fn(|| faults.take_arrived(later))
            .map(|arrival| u16::from_be_bytes([arrival.frame[0], arrival.frame[1]]))
            .collect()
    }

    #[test]
    fn a_share_of_the_frames_is_lost_and_a_seed_decides_which() {
        let run = || {
            let mut faults = Faults::new(5, 1);
            let lossy = Fault { drop_percent: 10.0, ..fault("worker", "store") };
            faults.add(&voting(), lossy, Instant::ZERO).expect("a fault");
            assert!(faults.is_bad(1, 0) && faults.is_bad(0, 1) && !faults.is_bad(2, 0));
            arrivals(&mut faults, Instant::ZERO)
        };
        let arrived = run();
        assert!((850..950).contains(&arrived.len()) && arrived.is_sorted(), "{}", arrived.len());
        assert_eq!(arrived, run());
    }

    #[test]
    fn delays_add_up_and_end_when_their_time_is_over() {
        let mut faults = Faults::new(5, 1);
        let ms = Instant::from_millis;
        let slow = Fault { delay_ms: 30, for_ms: Some(1000), ..fault("worker", "store-1") };
        faults.add(&voting(), slow, ms(0)).expect("a fault");
        faults.add(&voting(), Fault { delay_ms: 20, ..fault("store", "worker") }, ms(0)).expect("a fault");
        faults.pass(1, 0, b"x", ms(0));
        assert_eq!(faults.next_deadline(), Some(ms(50)));
        assert!(faults.take_arrived(ms(49)).is_none() && faults.take_arrived(ms(50)).is_some());
        assert_eq!(faults.list(ms(400)).iter().map(|it| it.left_ms).collect::<Vec<_>>(), [Some(600), None]);
        faults.expire(ms(1000));
        assert!(faults.is_bad(1, 0) && faults.list(ms(1000)).len() == 1);
        faults.clear();
        assert!(!faults.is_bad(1, 0));
    }

    #[test]
    fn a_partition_can_be_one_way_and_meet_the_host() {
        let mut faults = Faults::new(5, 1);
        let cut = Fault { partition: true, one_way: true, ..fault("worker", "store") };
        faults.add(&voting(), cut, Instant::ZERO).expect("a fault");
        assert!(faults.is_bad(1, 0) && !faults.is_bad(0, 1));
        assert!(arrivals(&mut faults, Instant::ZERO).is_empty());
        faults
            .add(&voting(), Fault { partition: true, ..fault("vote", HOST) }, Instant::ZERO)
            .expect("a fault");
        assert!(faults.is_bad(2, 5) && faults.is_bad(5, 2));
    }

    #[test]
    fn what_is_no_fault_is_refused_with_the_way_out() {
        let refusal = |fault| Faults::new(5, 1).add(&voting(), fault, Instant::ZERO).expect_err("refused");
        assert!(refusal(fault("worker", "store")).contains("give --drop"));
        let partition = |one, other| Fault { partition: true, ..fault(one, other) };
        let unknown = refusal(partition("worker", "sotre"));
        assert!(
            unknown.contains("\"sotre\"") && unknown.contains("store, worker, vote, result"),
            "{unknown}"
        );
        assert!(refusal(partition("store", "store")).contains("name two"));
        assert!(refusal(partition("store", "stranger")).contains("share no network"));
        for drop_percent in [-1.0, 101.0, f64::NAN] {
            assert!(refusal(Fault { drop_percent, ..fault("worker", "store") }).contains("0 to 100"));
        }
        assert!(refusal(Fault { delay_ms: 60_001, ..fault("worker", "store") }).contains("at most"));
        assert!(refusal(Fault { for_ms: Some(0), ..partition("worker", "store") }).contains("--for"));
    }
}
