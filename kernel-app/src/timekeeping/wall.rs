//! The wall clock: a monotonic clock plus an offset that is adjusted so that the time never goes back.
//!
//! The caller reads the clocks. If a reading is far ahead, the clock jumps to it at once. Otherwise the clock runs
//! faster or slower until it agrees.

use core::time::Duration;

use wire::Instant;

/// How far behind the clock steps instead of hurrying.
const STEP_MIN: Duration = Duration::from_millis(10);
/// The part of the time that has passed by which the clock hurries or tarries.
const SLEW_DIVISOR: u64 = 4;
/// The rate of the monotonic clock is learnt from readings that are at least this far apart.
const RATE_SPAN_MIN: Duration = Duration::from_secs(20);
/// A reading that is so soon followed by a lower one was wrong.
const MENDED_WITHIN: Duration = Duration::from_secs(2);
/// Errors of the monotonic clock that are believed, in parts per million: at once, and when the next readings say
/// the same. Anything else is a machine that was held, or a clock that was set.
const RATE_ERROR_USUAL: i64 = 1_000;
const RATE_ERROR_MAX: i64 = 9_000_000;
/// How much two readings of a rate differ that say the same.
const RATE_ERROR_NOISE: i64 = 500;

/// A wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// When the fields below were true.
    since: Instant,
    /// What the clock said then, in microseconds since 1970.
    unix_micros: u64,
    /// How much it is still to gain, or to lose, from then on.
    correction_micros: i64,
    /// By how many parts per million the monotonic clock is too slow.
    rate_error: i64,
    /// The reading before, for the rate, and what it gave.
    reading: Option<(Instant, u64)>,
    rate_error_before: i64,
}

impl WallClock {
    /// A clock that says `unix` at `now`.
    pub const fn new(now: Instant, unix: Duration) -> Self {
        let unix_micros = unix.as_micros() as u64;
        Self {
            since: now,
            unix_micros,
            correction_micros: 0,
            rate_error: 0,
            reading: None,
            rate_error_before: 0,
        }
    }

    /// The time since 1970-01-01T00:00:00Z.
    pub fn unix_time(&self, now: Instant) -> Duration {
        Duration::from_micros(self.unix_micros(now))
    }

    fn unix_micros(&self, now: Instant) -> u64 {
        let passed = now.since(self.since).as_micros() as u64;
        let slewed_max = (passed / SLEW_DIVISOR) as i64;
        let slewed = self.correction_micros.clamp(-slewed_max, slewed_max);
        // The rate's part is small: half of a day is no more than 2^36 microseconds.
        let drift = (passed as i64).saturating_mul(self.rate_error) / 1_000_000;
        self.unix_micros.saturating_add(passed).saturating_add_signed(slewed.saturating_add(drift))
    }

    /// A good source says that it is `right` now. Returns by how much the clock was behind, in microseconds.
    pub fn steer(&mut self, now: Instant, right: Duration) -> i64 {
        let behind = self.approach(now, right);
        self.learn_rate(now, right.as_micros() as u64, behind);
        behind
    }

    /// It is `right` now as far as can be seen at a glance, which says nothing about rates.
    pub fn approach(&mut self, now: Instant, right: Duration) -> i64 {
        let (said, right) = (self.unix_micros(now), right.as_micros() as u64);
        let behind = right.wrapping_sub(said).cast_signed();
        let steps = behind >= STEP_MIN.as_micros() as i64;
        self.since = now;
        self.unix_micros = if steps { right } else { said };
        self.correction_micros = if steps { 0 } else { behind };
        behind
    }

    /// Two readings of a clock that was not set in between give the monotonic clock's rate.
    fn learn_rate(&mut self, now: Instant, right: u64, behind: i64) {
        let last = self.reading.replace((now, right));
        let Some((last_now, last_right)) = last else { return };
        let passed = now.since(last_now);
        if passed < RATE_SPAN_MIN {
            let was_wrong = passed < MENDED_WITHIN && behind <= -(STEP_MIN.as_micros() as i64);
            if !was_wrong {
                self.reading = last;
            }
            return;
        }
        let passed = passed.as_micros() as i64;
        let truly = right.wrapping_sub(last_right).cast_signed();
        let error = truly.saturating_sub(passed).saturating_mul(1_000_000) / passed;
        let before = core::mem::replace(&mut self.rate_error_before, error);
        let same = error.abs_diff(before) <= RATE_ERROR_NOISE.unsigned_abs();
        if error.abs() <= RATE_ERROR_USUAL || (same && error.abs() <= RATE_ERROR_MAX) {
            self.rate_error = error;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_700_000_000);

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    fn after(micros: u64) -> Duration {
        START + Duration::from_micros(micros)
    }

    #[test]
    fn the_wall_clock_follows_the_monotonic_clock() {
        let clock = WallClock::new(at(500), START);
        assert_eq!(clock.unix_time(at(500)), START);
        assert_eq!(clock.unix_time(at(1_000_500)), after(1_000_000));
    }

    #[test]
    fn clock_corrections_are_gradual() {
        for error in [9_000i64, -400_000] {
            let mut clock = WallClock::new(at(0), START);
            let right = |micros: u64| {
                after(micros) + Duration::from_secs(1)
                    - Duration::from_micros(1_000_000u64.saturating_add_signed(-error))
            };
            assert_eq!(clock.steer(at(0), right(0)), error);
            let mut last = clock.unix_time(at(0));
            for step in 1..=100 {
                let now = clock.unix_time(at(step * 20_000));
                let gone = (now - last).as_micros();
                assert!((15_000..=25_000).contains(&gone), "{gone} us of 20,000 in step {step}");
                last = now;
            }
            assert_eq!(last, right(2_000_000), "it is right after {error} us in 2 s");
        }
    }

    #[test]
    fn a_machine_that_was_held_has_the_right_time_at_once() {
        for held in [20_000_000, 30_000] {
            let mut clock = WallClock::new(at(0), START);
            assert_eq!(clock.steer(at(1_000_000), after(1_000_000 + held)), held as i64);
            assert_eq!(clock.unix_time(at(1_000_000)), after(1_000_000 + held));
        }
    }

    #[test]
    fn the_clock_never_goes_back() {
        let mut clock = WallClock::new(at(0), START);
        let before = clock.unix_time(at(1_000_000));
        clock.steer(at(1_000_000), START - Duration::from_secs(3_600));
        assert_eq!(clock.unix_time(at(1_000_000)), before);
        assert!(clock.unix_time(at(1_000_010)) > before);
    }

    #[test]
    fn a_wrong_counter_rate_is_corrected() {
        // Counters that are slower than told, as where they had to be guessed, and one that is 500 ppm fast.
        for true_micros_per_second in [2_200_000u64, 1_090_000, 999_500] {
            let mut clock = WallClock::new(at(0), START);
            let right = |seconds: u64| after(seconds * true_micros_per_second);
            clock.steer(at(0), right(0));
            clock.steer(at(60_000_000), right(60));
            clock.steer(at(120_000_000), right(120));
            let day = 86_400;
            let error = clock.unix_time(at((120 + day) * 1_000_000)).abs_diff(right(120 + day));
            assert!(error < Duration::from_millis(100), "{error:?} after a day without a reading");
        }
    }

    #[test]
    fn a_reading_that_was_put_right_says_nothing_about_the_rate() {
        let mut clock = WallClock::new(at(0), START);
        clock.steer(at(0), after(18_000));
        clock.steer(at(200_000), after(200_000));
        clock.steer(at(22_000_000), after(22_000_000));
        let error = clock.unix_time(at(82_000_000)).abs_diff(after(82_000_000));
        assert!(error < Duration::from_millis(1), "{error:?} after a minute");
    }

    #[test]
    fn a_pause_does_not_change_the_clock_rate() {
        for held in [3, 20, 3_600] {
            let mut clock = WallClock::new(at(0), START);
            clock.steer(at(0), START);
            let right = |seconds: u64| after((seconds + held) * 1_000_000);
            clock.steer(at(60_000_000), right(60));
            assert_eq!(clock.unix_time(at(61_000_000)), right(61), "{held} s");
            clock.steer(at(120_000_000), right(120));
            assert_eq!(clock.unix_time(at(7_200_000_000)), right(7_200), "{held} s");
        }
    }
}
