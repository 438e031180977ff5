//! Exercise 07.2: the timer that is left alone.
//!
//! Before each sleep the loop says until when it may sleep. The timer is a register of the local APIC: one time at
//! which an interrupt comes, once. Under KVM each write to it leaves the guest, as costly as thousands of instructions.
//! So a timer that runs anyway and ends early enough is left as it is. To wake too early is allowed, to wake too late
//! is not. Judge it with `cargo course check 7.2`.
#![no_std]
#![forbid(unsafe_code)]

/// Shortest and longest sleep, in microseconds. A time that is not in the future may stop the timer instead of ending
/// it, and no sleep is to last for ever.
pub const SLEEP_MIN: u64 = 10;
pub const SLEEP_MAX: u64 = 4_000_000;

/// What the loop knows of the timer.
pub struct Timer {
    /// The time that was written last; 0 before the first one.
    ends_at: u64,
}

impl Timer {
    /// A timer that was never written.
    pub const fn new() -> Self {
        Self { ends_at: 0 }
    }

    /// It is `now`, and the sleep that begins must end at `deadline`, if there is one. Returns the time that is to be
    /// written to the timer, or none to leave it alone.
    pub fn plan(&mut self, now: u64, deadline: Option<u64>) -> Option<u64> {
        let end = deadline.unwrap_or(u64::MAX);
        self.ends_at = end;
        Some(end)
    }
}
