//! A node's clocks: a monotonic one that starts with the node, may run fast or slow, stand or jump ahead, and a
//! wall clock that may be wrong and may jump.
//!
//! Keeps no time itself: the simulation's is an argument.

use std::time::Duration;

use wire::Instant;

/// Most that a monotonic clock is fast or slow, in millionths; quartz is within 100.
pub const DRIFT_PPM_MAX: i32 = 50_000;

/// Wall clock at the start of every simulation: 2026-01-01T00:00:00Z.
pub const UNIX_TIME_START: Duration = Duration::from_secs(1_767_225_600);

const MILLION: u64 = 1_000_000;

/// The two clocks of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// A moment of the simulation's time, and the node's time then.
    anchor: (Instant, Instant),
    drift_ppm: i32,
    /// Wall clock against the right one.
    wall_offset_ms: i64,
}

impl Clock {
    /// The node starts at `now`.
    pub fn reset(&mut self, now: Instant) {
        self.anchor = (now, Instant::ZERO);
    }

    /// The monotonic clock runs at another rate from `now` on.
    pub fn set_drift(&mut self, now: Instant, drift_ppm: i32) {
        self.anchor = (now, self.local(now));
        self.drift_ppm = drift_ppm.clamp(-DRIFT_PPM_MAX, DRIFT_PPM_MAX);
    }

    /// The monotonic clock goes on from `local`.
    pub fn set(&mut self, now: Instant, local: Instant) {
        self.anchor = (now, local);
    }

    /// The wall clock is wrong by this much from now on.
    pub fn set_wall_offset_ms(&mut self, offset_ms: i64) {
        self.wall_offset_ms = offset_ms;
    }

    /// The node's time at a moment of the simulation.
    pub fn local(&self, now: Instant) -> Instant {
        let (simulated, local) = self.anchor;
        let micros = now.as_micros().saturating_sub(simulated.as_micros());
        Instant::from_micros(local.as_micros() + micros * self.rate() / MILLION)
    }

    /// The first moment of the simulation at which the node's time is `due`.
    pub fn simulated(&self, due: Instant) -> Instant {
        let (simulated, local) = self.anchor;
        let micros = due.as_micros().saturating_sub(local.as_micros());
        // A deadline that is centuries away stays so.
        let simulated_micros = micros.saturating_mul(MILLION).div_ceil(self.rate());
        Instant::from_micros(simulated.as_micros().saturating_add(simulated_micros))
    }

    /// The wall clock at a moment of the simulation.
    pub fn unix_time(&self, now: Instant) -> Duration {
        let right = UNIX_TIME_START + Duration::from_micros(now.as_micros());
        let offset = Duration::from_millis(self.wall_offset_ms.unsigned_abs());
        if self.wall_offset_ms < 0 { right.saturating_sub(offset) } else { right + offset }
    }

    /// Microseconds of the node in a second of the simulation.
    fn rate(&self) -> u64 {
        MILLION.saturating_add_signed(i64::from(self.drift_ppm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_met_and_not_before_whatever_the_rate() {
        let mut clock = Clock::default();
        clock.reset(Instant::from_millis(500));
        assert_eq!(clock.local(Instant::from_millis(501)), Instant::from_millis(1));
        for drift_ppm in [-DRIFT_PPM_MAX, -77, 0, 1, 12_345, DRIFT_PPM_MAX] {
            clock.set_drift(Instant::from_millis(1_000), drift_ppm);
            for micros in (500_000..2_000_000).step_by(9_973) {
                let due = Instant::from_micros(micros);
                let at = clock.simulated(due);
                assert!(clock.local(at) >= due, "{drift_ppm} ppm, {micros}");
                if at > Instant::from_millis(1_000) {
                    assert!(
                        clock.local(Instant::from_micros(at.as_micros() - 1)) < due,
                        "{drift_ppm} ppm, {micros}"
                    );
                }
            }
        }
    }

    #[test]
    fn another_rate_does_not_make_time_jump_and_the_wall_clock_may() {
        let mut clock = Clock::default();
        clock.set_drift(Instant::ZERO, 10_000);
        let now = Instant::from_millis(10_000);
        assert_eq!(clock.local(now), Instant::from_millis(10_100));
        clock.set_drift(now, -10_000);
        assert_eq!(clock.local(now), Instant::from_millis(10_100));
        assert_eq!(clock.local(Instant::from_millis(20_000)), Instant::from_millis(20_000));
        let right = clock.unix_time(now);
        clock.set_wall_offset_ms(-3_600_000);
        assert_eq!(right - clock.unix_time(now), Duration::from_secs(3_600));
    }
}
