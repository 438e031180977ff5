//! A point on the monotonic clock, passed as an argument.
//!
//! It reads no clock: the platform, the test or the simulator gives the time.

use core::ops::{Add, Sub};
use core::time::Duration;

/// Microseconds since an arbitrary start (boot, on Hermit). Never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The clock's start.
    pub const ZERO: Self = Self(0);

    /// `micros` microseconds after the start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The earliest of those that there are.
    #[inline]
    pub fn earliest<const COUNT: usize>(times: [Option<Self>; COUNT]) -> Option<Self> {
        let mut earliest = None;
        for time in &times {
            earliest = match (earliest, *time) {
                (Some(one), Some(other)) if other < one => Some(other),
                (Some(one), _) => Some(one),
                (None, time) => time,
            };
        }
        earliest
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_saturate_at_zero() {
        let early = Instant::from_millis(1);
        let late = early + Duration::from_millis(5);
        assert_eq!(late - early, Duration::from_millis(5));
        assert_eq!(early - late, Duration::ZERO);
    }

    #[test]
    fn the_earliest_is_among_those_that_there_are() {
        let [one, other] = [1, 2].map(|millis| Some(Instant::from_millis(millis)));
        for times in [[one, other, None], [other, None, one], [None, one, one]] {
            assert_eq!(Instant::earliest(times), one);
        }
        assert_eq!(Instant::earliest([None; 2]), None);
    }

    #[test]
    fn sums_saturate_at_the_end_of_time() {
        let end = Instant::from_micros(u64::MAX);
        assert_eq!(end + Duration::MAX, end);
    }
}
