//! Monotonic and wall clock from the time-stamp counter.
//!
//! The kernel measures or is told the counter's rate (`-freq MHZ`) and reads the wall clock once at
//! boot; nothing here corrects either of them later.

use core::arch::x86_64::_rdtsc;
use core::time::Duration;

use super::kernel::sys_get_processor_frequency;
use wire::Instant;

/// Both clocks, from one counter.
#[derive(Clone, Copy)]
pub struct Clock {
    ticks_per_micro: u64,
    /// Wall clock when the counter was zero.
    unix_start: Duration,
}

impl Clock {
    /// The clocks of this machine.
    pub fn new() -> Self {
        let ticks_per_micro = u64::from(sys_get_processor_frequency()).max(1);
        let mut clock = Self { ticks_per_micro, unix_start: Duration::ZERO };
        clock.unix_start = kernel_unix_time().saturating_sub(clock.since_start());
        clock
    }

    /// Microseconds since the counter was zero.
    pub fn now(&self) -> Instant {
        Instant::from_micros(ticks() / self.ticks_per_micro)
    }

    /// Time since 1970-01-01T00:00:00Z.
    pub fn unix_time(&self) -> Duration {
        self.unix_start + self.since_start()
    }

    fn since_start(&self) -> Duration {
        Duration::from_micros(self.now().as_micros())
    }
}

/// The counter itself.
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the counter, and the kernel leaves it readable.
    unsafe { _rdtsc() }
}

fn kernel_unix_time() -> Duration {
    let mut time = hermit_abi::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `timespec` through a pointer to one.
    let status = unsafe { hermit_abi::clock_gettime(hermit_abi::CLOCK_REALTIME, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    if status == 0 { Duration::new(seconds, nanos) } else { Duration::ZERO }
}
