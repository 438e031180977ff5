//! The clocks that KVM keeps in a guest's memory: the host's time, and the rate of the counter.
//!
//! The caller reads the memory. Reference: Linux, Documentation/virt/kvm/x86/msr.rst, `pvclock_vcpu_time_info` and
//! `pvclock_wall_clock`.

use core::time::Duration;

/// `pvclock_wall_clock` as words: the host's time of day when the system time was zero.
#[derive(Clone, Copy, Debug)]
pub struct WallTime(pub [u32; 3]);

impl WallTime {
    /// The time, unless it is being written or was never.
    pub fn unix(self) -> Option<Duration> {
        let [version, seconds, nanos] = self.0;
        (version & 1 == 0 && seconds != 0 && nanos < 1_000_000_000)
            .then(|| Duration::new(seconds.into(), nanos))
    }
}

/// `pvclock_vcpu_time_info` as words: the system time at a value of the counter, and the counter's rate.
#[derive(Clone, Copy, Debug)]
pub struct SystemTime(pub [u32; 8]);

impl SystemTime {
    /// Nanoseconds of the system time when the counter is at `ticks`, unless it is being written.
    pub fn nanos(self, ticks: u64) -> Option<u64> {
        let [version, _, stamp_low, stamp_high, nanos_low, nanos_high, ..] = self.0;
        if version & 1 != 0 || self.multiplier() == 0 {
            return None;
        }
        let passed = ticks.saturating_sub(u64::from(stamp_high) << 32 | u64::from(stamp_low));
        let shifted = match self.shift() {
            shift @ 0.. => u128::from(passed) << shift.min(31),
            shift => u128::from(passed) >> shift.unsigned_abs().min(63),
        };
        let passed = (shifted * u128::from(self.multiplier())) >> 32;
        (u64::from(nanos_high) << 32 | u64::from(nanos_low)).checked_add(u64::try_from(passed).ok()?)
    }

    /// Another one each time that KVM has written.
    pub fn version(self) -> u32 {
        self.0[0]
    }

    /// The counter's rate in kHz, once it was written.
    pub fn khz(self) -> Option<u64> {
        let multiplier = u128::from(self.multiplier());
        if self.0[0] & 1 != 0 || multiplier == 0 {
            return None;
        }
        // One tick takes `multiplier / 2^32 * 2^shift` nanoseconds.
        let khz = (1_000_000u128 << 32 << 32) / multiplier;
        let shift = i32::from(self.shift()) + 32;
        u64::try_from(khz.checked_shr(u32::try_from(shift).ok()?)?).ok().filter(|khz| *khz > 0)
    }

    fn multiplier(self) -> u32 {
        self.0[6]
    }

    fn shift(self) -> i8 {
        self.0[7] as u8 as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux writes for a counter of 2.6 GHz: half of the ticks, at 1.6.. / 2 nanoseconds each.
    fn at_2600_mhz(shift: i8) -> SystemTime {
        let nanos_per_tick = 1_000_000.0 / 2_600_000.0;
        let multiplier = nanos_per_tick / f64::from(shift).exp2() * 4_294_967_296.0;
        SystemTime([4, 0, 1000, 0, 5_000, 1, multiplier as u32, u32::from(shift.cast_unsigned())])
    }

    #[test]
    fn the_counter_counts_from_its_stamp() {
        for shift in [-1, 0] {
            let time = at_2600_mhz(shift);
            let start = (1 << 32) + 5_000;
            assert_eq!(time.nanos(1000), Some(start));
            let hour = 3_600 * 2_600_000_000u64;
            let passed = time.nanos(1000 + hour).expect("a time") - start;
            assert!(passed.abs_diff(3_600_000_000_000) < 10_000, "{passed}");
            assert_eq!(time.nanos(10), Some(start), "a counter that lags is no reason to go back");
            assert_eq!(time.version(), 4);
            assert!(time.khz().expect("a rate").abs_diff(2_600_000) <= 1, "{:?}", time.khz());
        }
    }

    #[test]
    fn a_time_that_is_in_update_or_invalid_is_not_used() {
        let SystemTime(words) = at_2600_mhz(0);
        let with = |index: usize, word: u32| {
            let mut words = words;
            words[index] = word;
            SystemTime(words)
        };
        assert_eq!((with(0, 5).nanos(2000), with(0, 5).khz()), (None, None));
        assert_eq!((with(6, 0).nanos(2000), with(6, 0).khz()), (None, None));
        for shift in [-128i8, -33, -32, 31, 32, 127] {
            let _ = with(7, u32::from(shift.cast_unsigned())).nanos(u64::MAX);
            let _ = with(7, u32::from(shift.cast_unsigned())).khz();
        }
        assert_eq!(WallTime([2, 1_700_000_000, 5]).unix(), Some(Duration::new(1_700_000_000, 5)));
        for words in [[3, 1_700_000_000, 5], [0, 0, 0], [2, 1, 1_000_000_000]] {
            assert_eq!(WallTime(words).unix(), None, "{words:?}");
        }
    }
}
