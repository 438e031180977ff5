//! Keeps the wall clock right: by KVM's clock where there is one, else by the edges of the real-time clock.
//!
//! Waits for nothing while services run; it says when it wants to look. The start costs no wait for an edge either:
//! the host tool says when it has started the machine. It is needed for more than the start: QEMU's clock begins
//! with a whole second, so that its edges are not those of the host's seconds.

use core::fmt;
use core::time::Duration;

use super::clock::Clock;
use super::kvm_clock::KvmClock;
use super::rtc::{Rtc, UPDATE_TIME_MAX};
use crate::settings::Settings;
use crate::timekeeping::edge::{Edge, EdgeSearch, Search};
use crate::timekeeping::wall::STEP_MIN;
use wire::Instant;

/// The host's time when the machine was started, in microseconds since 1970.
const STARTED_AT: &str = "STARTED_AT";
/// From then until QEMU's counter begins to count.
const START_TIME: Duration = Duration::from_millis(80);
/// How much that may be off, on a busy host.
const START_TIME_ERROR_MAX: Duration = Duration::from_millis(300);
/// How often the clock is checked for having been held, as by a snapshot.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How near to an edge the check does not count.
const CHECK_TOLERANCE: Duration = Duration::from_millis(100);
/// How many seconds ours and the clock's may differ while its edge is still looked for.
const LEAP_SECONDS: u64 = 3;
/// How often an edge is looked for.
const EDGE_INTERVAL: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// Where the time of day comes from.
enum Source {
    Kvm(KvmClock),
    Rtc(RtcSource),
    /// Nowhere: the clock goes on as it was set.
    None,
}

struct RtcSource {
    rtc: Rtc,
    /// How far the clock's edges are behind those of the host's seconds, once one was seen.
    lag: Option<Duration>,
    /// Whether the wall clock came from the host, so that it tells the lag.
    knows_host: bool,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Searching(EdgeSearch),
    Settled { edge: Instant, search_at: Instant },
}

/// There is no clock that tells the time of day.
pub struct NoClock;

impl fmt::Display for NoClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no time of day: there is no KVM clock, and the real-time clock at port 0x70 gave no time in {} ms; log \
             lines begin in 1970 (QEMU's microvm: rtc=on)",
            UPDATE_TIME_MAX.as_millis()
        )
    }
}

/// The keeper of a machine's wall clock.
pub struct Timekeeper {
    clock: Clock,
    source: Source,
    look_at: Instant,
}

impl Timekeeper {
    /// Sets the clock as well as that can be done without waiting; with the reason when it cannot.
    #[cold]
    pub fn start(clock: Clock, kvm: Option<KvmClock>, settings: &Settings) -> (Self, Option<NoClock>) {
        // Written by the host tool; without it, or with nonsense in its place, the other sources serve.
        let started = settings.get(STARTED_AT).and_then(|text| text.parse().ok());
        let started = started.map(|micros| Duration::from_micros(micros) + START_TIME);
        let source = if let Some((kvm, unix)) = kvm.and_then(|kvm| kvm.unix_time().map(|unix| (kvm, unix))) {
            clock.set(clock.now(), unix);
            Source::Kvm(kvm)
        } else if let Some((rtc, shown)) = Rtc::find(clock) {
            Source::Rtc(RtcSource::start(clock, rtc, Duration::from_secs(shown), started))
        } else {
            clock.set(Instant::ZERO, started.unwrap_or_default());
            Source::None
        };
        let obstacle = (matches!(source, Source::None) && started.is_none()).then_some(NoClock);
        (Self { clock, source, look_at: clock.now() }, obstacle)
    }

    /// The clock that is kept right.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// When the source is to be looked at again.
    pub fn look_at(&self) -> Instant {
        self.look_at
    }

    /// Looks at the source, if it is time for it.
    pub fn look(&mut self, now: Instant) {
        if now < self.look_at {
            return;
        }
        let clock = self.clock;
        self.look_at = match &mut self.source {
            Source::Kvm(kvm) => {
                if let Some(right) = kvm.unix_time() {
                    tell(clock.steer(clock.now(), right));
                }
                now + CHECK_INTERVAL
            }
            Source::Rtc(source) => source.look(clock, now),
            Source::None => now + EDGE_INTERVAL,
        };
    }
}

impl RtcSource {
    /// Sets the clock by the second that is shown, or by the start, if the two agree.
    fn start(clock: Clock, rtc: Rtc, shown: Duration, started: Option<Duration>) -> Self {
        let now = clock.now();
        let told = started.map(|started| started + now.since(Instant::ZERO));
        // The clock shows a whole second, and is behind by less than another one.
        let latest = shown + 2 * SECOND + START_TIME_ERROR_MAX;
        let told = told.filter(|told| *told + START_TIME_ERROR_MAX >= shown && *told <= latest);
        clock.set(now, told.unwrap_or(shown + SECOND / 2));
        let state = State::Searching(EdgeSearch::new());
        Self { rtc, lag: None, knows_host: told.is_some(), state }
    }

    /// Looks, and says when to look next.
    #[cold]
    fn look(&mut self, clock: Clock, now: Instant) -> Instant {
        match self.state {
            State::Searching(search) => self.search(clock, search),
            State::Settled { edge, search_at } if now >= search_at => {
                let (search, at) = EdgeSearch::around(edge, now);
                self.state = State::Searching(search);
                at
            }
            State::Settled { .. } => {
                if !self.agrees(clock) {
                    self.take_over(clock);
                }
                now + CHECK_INTERVAL
            }
        }
    }

    fn search(&mut self, clock: Clock, mut search: EdgeSearch) -> Instant {
        let before = clock.now();
        let second = self.rtc.second();
        let after = clock.now();
        if second.is_some_and(|second| has_leapt(clock, second)) {
            self.take_over(clock);
            return after + CHECK_INTERVAL;
        }
        let edge = match second.map_or(Search::GivenUp, |second| search.look(before, after, second)) {
            Search::LookAt(at) => {
                self.state = State::Searching(search);
                return at;
            }
            Search::Found(edge) => self.use_edge(clock, edge),
            Search::GivenUp => None,
        };
        // Without an edge the clock goes on as it is until the next search, which knows of none either.
        self.state = match edge {
            Some(edge) => State::Settled { edge, search_at: after + EDGE_INTERVAL },
            None => State::Searching(EdgeSearch::new()),
        };
        after + if edge.is_some() { CHECK_INTERVAL } else { EDGE_INTERVAL }
    }

    /// Steers the clock by an edge, if what it began is still shown.
    fn use_edge(&mut self, clock: Clock, edge: Edge) -> Option<Instant> {
        let shown = self.rtc.unix_seconds(clock)?;
        if shown % 60 != u64::from(edge.second) {
            return None;
        }
        let shown = Duration::from_secs(shown);
        let lag = self.lag.unwrap_or_else(|| {
            let said = if self.knows_host { clock.unix_time_at(edge.at) } else { shown };
            // Who was told the host's time a little early finds the clock ahead of it by that.
            said.checked_sub(shown).filter(|lag| *lag <= SECOND + START_TIME_ERROR_MAX).unwrap_or_default()
        });
        self.lag = Some(lag);
        let now = clock.now();
        tell(clock.steer(now, shown + lag + now.since(edge.at)));
        Some(edge.at)
    }

    /// Whether the clock shows the second that it should.
    fn agrees(&self, clock: Clock) -> bool {
        let Some(second) = self.rtc.second() else { return true };
        let expected = clock.unix_time().saturating_sub(self.lag.unwrap_or_default());
        [expected.saturating_sub(CHECK_TOLERANCE), expected + CHECK_TOLERANCE]
            .iter()
            .any(|time| time.as_secs() % 60 == u64::from(second))
    }

    /// Takes over what the clock shows, as well as that can be done at once, and looks for its edge.
    fn take_over(&mut self, clock: Clock) {
        if let Some(shown) = self.rtc.unix_seconds(clock) {
            let right = Duration::from_secs(shown) + SECOND / 2 + self.lag.unwrap_or_default();
            tell(clock.steer(clock.now(), right));
            self.state = State::Searching(EdgeSearch::new());
        }
    }
}

/// Whether the clock shows another second than one near ours, which it does when the machine was held.
fn has_leapt(clock: Clock, second: u8) -> bool {
    let behind = (60 + u64::from(second) - clock.unix_time().as_secs() % 60) % 60;
    behind.min(60 - behind) > LEAP_SECONDS
}

/// Says that the machine was held.
fn tell(behind_micros: i64) {
    if behind_micros >= STEP_MIN.as_micros() as i64 {
        log::info!("the clock was {} ms behind, as after a pause", behind_micros / 1000);
    }
}
