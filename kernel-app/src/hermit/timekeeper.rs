//! Keeps the wall clock right: with KVM's clock if there is one; otherwise with the time that the host tool gives,
//! and with the edges of the real-time clock.
//!
//! It never waits while services run: it says when it wants to read a clock next. The start does not wait for an edge
//! either: the host tool passes the time at which it started the machine, and answers a question for the time. The
//! real-time clock alone would not do: in QEMU it begins with a whole second when QEMU starts, so its edges are not
//! those of the host's seconds.

use core::fmt::{self, Write};
use core::time::Duration;

use super::clock::Clock;
use super::console::Console;
use super::kvm_clock::KvmClock;
use super::rtc::{Rtc, UPDATE_TIME_MAX};
use crate::settings::Settings;
use crate::timekeeping::asked::{QUESTION, Questions};
use crate::timekeeping::edge::{Edge, EdgeSearch, Search};
use wire::Instant;

/// The host's time when the machine was started, in microseconds since 1970.
const STARTED_AT: &str = "STARTED_AT";
/// Set where questions for the time are answered on the serial line.
const TIME_SERVER: &str = "TIME_SERVER";
/// From then until QEMU's counter begins to count.
const START_TIME: Duration = Duration::from_millis(80);
/// How much that may be off, on a busy host.
const START_TIME_ERROR_MAX: Duration = Duration::from_millis(300);
/// How often KVM's clock is read at most: when the loop is awake anyhow, for it need not be woken for that.
const KVM_INTERVAL: Duration = Duration::from_secs(1);
/// How often the clock is checked for having been held, as by a snapshot.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// So long before each edge it is checked as well: whatever is behind by a little more has seen it already.
const CHECK_BEFORE_EDGE: Duration = Duration::from_millis(20);
/// How near to an edge a check does not count.
const CHECK_TOLERANCE: Duration = Duration::from_millis(15);
/// How many seconds ours and the clock's may differ while its edge is still looked for.
const LEAP_SECONDS: u64 = 3;
/// How often an edge is looked for, and how soon after the first: it tells the counter's rate.
const EDGE_INTERVAL: Duration = Duration::from_secs(60);
const EDGE_INTERVAL_FIRST: Duration = Duration::from_secs(21);
/// The log reports a clock that was behind by more than this; smaller errors are not a paused machine.
const HELD_MIN: Duration = Duration::from_secs(1);
const SECOND: Duration = Duration::from_secs(1);

/// Where the time of day comes from.
enum Source {
    Kvm(KvmClock),
    Rtc(RtcSource),
    /// From nowhere but the start.
    Start,
}

struct RtcSource {
    rtc: Rtc,
    /// How far the clock's edges are behind those of the host's seconds, once one was seen.
    lag: Option<Duration>,
    /// Whether the wall clock came from the host, so that it tells the lag.
    knows_host: bool,
    state: State,
    next_interval: Duration,
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
    /// Whoever started the machine is asked for the time.
    questions: Option<Questions>,
    look_at: Instant,
}

/// Says where the time comes from.
impl fmt::Display for Timekeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (&self.source, self.questions) {
            (Source::Kvm(_), _) => "KVM's clock",
            (Source::Rtc(_), None) => "the real-time clock",
            (Source::Rtc(_), Some(_)) => "the real-time clock and the serial line",
            (Source::Start, None) => "the start",
            (Source::Start, Some(_)) => "the serial line",
        })
    }
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
            Source::Start
        };
        let obstacle = (matches!(source, Source::Start) && started.is_none()).then_some(NoClock);
        let is_asked = settings.get(TIME_SERVER).is_some() && !matches!(source, Source::Kvm(_));
        let questions = is_asked.then(|| Questions::new(clock.now()));
        let mut keeper = Self { clock, source, questions, look_at: clock.now() };
        keeper.ask();
        (keeper, obstacle)
    }

    /// The clock that is kept right.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// When the loop must be awake for a look, if it must: KVM's clock is exact without any.
    pub fn wake_at(&self) -> Option<Instant> {
        (!matches!(self.source, Source::Kvm(_))).then(|| self.due_at())
    }

    fn due_at(&self) -> Instant {
        let ask_at = self.questions.as_ref().and_then(Questions::ask_at);
        ask_at.map_or(self.look_at, |at| at.min(self.look_at))
    }

    /// Looks at the source, if it is time for it.
    pub fn look(&mut self, now: Instant) {
        if now < self.due_at() {
            return;
        }
        self.ask();
        if now < self.look_at {
            return;
        }
        let clock = self.clock;
        self.look_at = match &mut self.source {
            Source::Kvm(kvm) => {
                if let Some(right) = kvm.unix_time() {
                    tell(clock.steer(clock.now(), right));
                }
                now + KVM_INTERVAL
            }
            Source::Rtc(source) => source.look(clock, now, &mut self.questions),
            Source::Start => {
                restart(&mut self.questions, now);
                now + EDGE_INTERVAL
            }
        };
    }

    /// The host's time when it was asked for it last.
    pub fn hear(&mut self, told: Duration) {
        let now = self.clock.now();
        let Some(right) = self.questions.as_mut().and_then(|questions| questions.answer(told, now)) else {
            return;
        };
        tell(self.clock.steer(now, right));
        if let Source::Rtc(source) = &mut self.source {
            // What the clock's edges are behind by is told by the next one.
            (source.lag, source.knows_host) = (None, true);
            source.state = State::Searching(EdgeSearch::new());
            self.look_at = now;
        }
    }

    fn ask(&mut self) {
        let now = self.clock.now();
        if self.questions.as_mut().is_some_and(|questions| questions.ask(now)) {
            // The console never fails.
            let _ = Console.write_str(QUESTION);
        }
    }
}

/// Asks again from the beginning, if somebody is there.
fn restart(questions: &mut Option<Questions>, now: Instant) {
    if let Some(questions) = questions.as_mut().filter(|questions| questions.is_answered()) {
        *questions = Questions::new(now);
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
        clock.set(now, told.unwrap_or(shown));
        // Who was told the time has some for the edge.
        let search = if told.is_some() { EdgeSearch::new() } else { EdgeSearch::urgent() };
        let (state, next_interval) = (State::Searching(search), EDGE_INTERVAL_FIRST);
        Self { rtc, lag: None, knows_host: told.is_some(), state, next_interval }
    }

    /// Looks, and says when to look next.
    #[cold]
    fn look(&mut self, clock: Clock, now: Instant, questions: &mut Option<Questions>) -> Instant {
        match self.state {
            State::Searching(search) => self.search(clock, search, questions),
            State::Settled { edge, search_at } if now >= search_at => {
                let (search, at) = EdgeSearch::around(edge, now);
                self.state = State::Searching(search);
                at
            }
            State::Settled { .. } => {
                if !self.agrees(clock) {
                    self.take_over(clock, questions);
                }
                self.next_check(clock)
            }
        }
    }

    fn search(&mut self, clock: Clock, mut search: EdgeSearch, questions: &mut Option<Questions>) -> Instant {
        let before = clock.now();
        let second = self.rtc.second();
        let after = clock.now();
        if second.is_some_and(|second| is_far(clock, second)) {
            self.take_over(clock, questions);
            return after;
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
        let Some(edge) = edge else {
            self.state = State::Searching(EdgeSearch::new());
            return after + EDGE_INTERVAL;
        };
        self.state = State::Settled { edge, search_at: after + self.next_interval };
        self.next_interval = EDGE_INTERVAL;
        self.next_check(clock)
    }

    /// Steers the clock by an edge, if what it began is still shown.
    fn use_edge(&mut self, clock: Clock, edge: Edge) -> Option<Instant> {
        let shown = self.rtc.unix_seconds(clock)?;
        if shown % 60 != u64::from(edge.second) {
            return None;
        }
        let (shown, said) = (Duration::from_secs(shown), clock.unix_time_at(edge.at));
        let lag = self.lag.unwrap_or_else(|| {
            let said = if self.knows_host { said } else { shown };
            // Who was told the host's time a little early finds the clock ahead of it by that.
            said.checked_sub(shown).filter(|lag| *lag <= SECOND + START_TIME_ERROR_MAX).unwrap_or_default()
        });
        self.lag = Some(lag);
        let now = clock.now();
        // What may be right as well as the edge is left as it is.
        let right = if said.abs_diff(shown + lag) <= edge.error { said } else { shown + lag };
        tell(clock.steer(now, right + now.since(edge.at)));
        Some(edge.at)
    }

    /// What the clock should show.
    fn expected(&self, clock: Clock) -> Duration {
        clock.unix_time().saturating_sub(self.lag.unwrap_or_default())
    }

    /// Whether it shows the second that it should.
    fn agrees(&self, clock: Clock) -> bool {
        let earliest = self.expected(clock);
        let Some(second) = self.rtc.second() else { return true };
        let latest = self.expected(clock);
        // It may be behind by a second that nobody knows of yet.
        let lag = if self.lag.is_none() && self.knows_host { SECOND } else { Duration::ZERO };
        let first = earliest.saturating_sub(lag + CHECK_TOLERANCE).as_secs();
        (first..=(latest + CHECK_TOLERANCE).as_secs()).any(|time| time % 60 == u64::from(second))
    }

    /// When to look whether that is so: soon, and shortly before the next edge.
    fn next_check(&self, clock: Clock) -> Instant {
        let now = clock.now();
        let since_edge = Duration::from_nanos(self.expected(clock).subsec_nanos().into());
        let before_edge = (SECOND - CHECK_BEFORE_EDGE).saturating_sub(since_edge);
        now + if before_edge.is_zero() { CHECK_INTERVAL } else { before_edge.min(CHECK_INTERVAL) }
    }

    /// Takes over what the clock shows, as well as that can be done at once, and looks for its edge.
    fn take_over(&mut self, clock: Clock, questions: &mut Option<Questions>) {
        if let Some(shown) = self.rtc.unix_seconds(clock) {
            // It is that at least, and up to a second more, by which the edge then takes it on.
            let right = Duration::from_secs(shown) + self.lag.unwrap_or_default();
            let said = clock.unix_time();
            if !(right..right + SECOND).contains(&said) {
                tell(clock.approach(clock.now(), right));
            }
            self.state = State::Searching(EdgeSearch::urgent());
            restart(questions, clock.now());
        }
    }
}

/// Whether the clock shows another second than one near ours, which it does when the machine was held.
fn is_far(clock: Clock, second: u8) -> bool {
    let behind = (60 + u64::from(second) - clock.unix_time().as_secs() % 60) % 60;
    behind.min(60 - behind) > LEAP_SECONDS
}

/// Says that the machine was held.
fn tell(behind_micros: i64) {
    if behind_micros >= HELD_MIN.as_micros() as i64 {
        log::info!("the clock was {} ms behind, as after a pause", behind_micros / 1000);
    }
}
