//! The machine's two clocks: the time-stamp counter, and the wall clock that is derived from it.
//!
//! `timekeeper` reads the sources of the time of day and adjusts the wall clock. References: Intel SDM volume 3,
//! section 19.17; CPUID leaves 0x15, and 0x40000010 for hypervisors.

use alloc::boxed::Box;
use core::arch::x86_64::__cpuid;
use core::cell::Cell;
use core::time::Duration;

use super::counter::ticks;
use super::kernel::sys_get_processor_frequency;
use super::kvm_clock::{self, KvmClock};
use crate::timekeeping::wall::WallClock;
use wire::Instant;

/// Bits behind the point of microseconds per tick.
const FRACTION_BITS: u32 = 48;
/// CPUID leaf with the rates of the counter and its crystal.
const CPUID_COUNTER: u32 = 0x15;

/// Both clocks. Copies are the same clocks.
#[derive(Clone, Copy)]
pub struct Clock(&'static Shared);

struct Shared {
    /// Microseconds of a tick, times 2^[`FRACTION_BITS`].
    micros_per_tick: u64,
    /// The counter as of the last reading, and what is added to it.
    last: Cell<u64>,
    added: Cell<u64>,
    wall: Cell<WallClock>,
}

// SAFETY: the program is the kernel's only task on the one processor, and no interrupt handler reads the clocks.
unsafe impl Sync for Shared {}

impl Clock {
    /// The clocks of this machine; call it once. The wall clock begins in 1970.
    pub fn new(kvm: Option<&KvmClock>) -> Self {
        let khz = counter_khz(kvm).max(1);
        let micros_per_tick =
            u64::try_from((1000u128 << FRACTION_BITS) / u128::from(khz)).unwrap_or(u64::MAX);
        let wall = Cell::new(WallClock::new(Instant::ZERO, Duration::ZERO));
        Self(Box::leak(Box::new(Shared { micros_per_tick, last: Cell::new(0), added: Cell::new(0), wall })))
    }

    /// Microseconds since the counter was zero. A counter that goes back, as when a snapshot is restored on a host
    /// that runs for a shorter time, goes on from where it was.
    pub fn now(&self) -> Instant {
        let Shared { micros_per_tick, last, added, .. } = self.0;
        let mut counter = ticks().wrapping_add(added.get());
        if counter < last.get() {
            added.set(added.get().wrapping_add(last.get() - counter));
            counter = last.get();
        }
        last.set(counter);
        let micros = (u128::from(counter) * u128::from(*micros_per_tick)) >> FRACTION_BITS;
        Instant::from_micros(micros as u64)
    }

    /// Time since 1970-01-01T00:00:00Z.
    pub fn unix_time(&self) -> Duration {
        self.0.wall.get().unix_time(self.now())
    }

    /// Sets the wall clock, which may then have gone back: for the start.
    pub fn set(&self, now: Instant, unix: Duration) {
        self.0.wall.set(WallClock::new(now, unix));
    }

    /// Steers the wall clock to what is `right` now; returns by how many microseconds it was behind.
    pub fn steer(&self, now: Instant, right: Duration) -> i64 {
        let mut wall = self.0.wall.get();
        let behind = wall.steer(now, right);
        self.0.wall.set(wall);
        behind
    }

    /// The same for what was seen at a glance.
    pub fn approach(&self, now: Instant, right: Duration) -> i64 {
        let mut wall = self.0.wall.get();
        let behind = wall.approach(now, right);
        self.0.wall.set(wall);
        behind
    }

    /// What the wall clock says, or said, at a time after it was last steered.
    pub fn unix_time_at(&self, at: Instant) -> Duration {
        self.0.wall.get().unix_time(at)
    }

    /// How far the counter goes in a time.
    pub fn ticks_in(&self, duration: Duration) -> u64 {
        let ticks = (duration.as_nanos() << FRACTION_BITS) / 1000 / u128::from(self.0.micros_per_tick.max(1));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Asks again and again until there is an answer or `limit` is over.
    pub fn wait_for<T>(&self, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
        let deadline = self.now() + limit;
        loop {
            if let Some(answer) = ask() {
                return Some(answer);
            }
            if self.now() >= deadline {
                return None;
            }
            core::hint::spin_loop();
        }
    }
}

/// The counter's rate from the best source. The kernel's rate is in MHz: the given one (`-freq`), else the one it
/// has measured.
fn counter_khz(kvm: Option<&KvmClock>) -> u64 {
    kvm.and_then(KvmClock::counter_khz)
        .or_else(kvm_clock::hypervisor_khz)
        .or_else(processor_khz)
        .unwrap_or_else(|| u64::from(sys_get_processor_frequency()) * 1000)
}

/// The rate as the processor tells it.
fn processor_khz() -> Option<u64> {
    if __cpuid(0).eax < CPUID_COUNTER {
        return None;
    }
    let leaf = __cpuid(CPUID_COUNTER);
    let (denominator, numerator, crystal) = (leaf.eax.into(), u64::from(leaf.ebx), u64::from(leaf.ecx));
    let khz = (crystal * numerator).checked_div(denominator)? / 1000;
    (khz > 0).then_some(khz)
}
