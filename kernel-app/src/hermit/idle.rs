//! Sleep until a device interrupts or a deadline passes, with `hlt` and the timer of the local APIC.
//!
//! An interrupt does nothing but wake (`interrupt_table`). Under KVM each access to the timer leaves the guest, so a
//! timer that ends early enough is left as it is.
//! Reference: Intel SDM volume 3, chapter 12 (APIC).

use core::arch::x86_64::__cpuid;
use core::cell::Cell;
use core::fmt;
use core::time::Duration;

use super::clock::Clock;
use super::counter::ticks;
use super::interrupt_table::{self, TIMER_VECTOR};
use super::kvm_clock;
use super::x86::{read_msr, write_msr};

/// IA32_APIC_BASE: where the APIC is, and in which mode.
const APIC_BASE: u32 = 0x1b;
/// IA32_APIC_BASE: the APIC is reached through registers, not memory.
const X2APIC: u64 = 1 << 10;
/// First x2APIC register; the others follow by their memory offset divided by 16.
const X2APIC_REGISTERS: u32 = 0x800;
/// Where the APIC's memory lies otherwise; the kernel maps it there.
const APIC_MEMORY: usize = 0xfee0_0000;
const TIMER_ENTRY: u32 = 0x32;
/// Entry of the second pin, to which non-maskable interrupts are wired, and what makes it take them.
const NMI_ENTRY: u32 = 0x36;
const NMI: u32 = 0b100 << 8;
const TIMER_COUNT: u32 = 0x38;
const TIMER_LEFT: u32 = 0x39;
const TIMER_DIVIDER: u32 = 0x3e;
const DIVIDE_BY_1: u32 = 0b1011;
/// Timer entry: no interrupt; and the interrupt comes when the time-stamp counter is at [`DEADLINE`].
const MASKED: u32 = 1 << 16;
const BY_DEADLINE: u32 = 1 << 18;
/// IA32_TSC_DEADLINE.
const DEADLINE: u32 = 0x6e0;
/// CPUID leaf 1, ECX: the timer knows deadlines.
const CPUID_DEADLINE: u32 = 1 << 24;
/// Shortest and longest sleep.
const SLEEP_MIN: Duration = Duration::from_micros(10);
const SLEEP_MAX: Duration = Duration::from_secs(4);
/// What the timer's rate is measured over at least: some fifty times what reading it takes where that leaves the guest.
const MEASURED_MIN: Duration = Duration::from_micros(100);
/// How long that is waited for.
const MEASURED_MAX: Duration = Duration::from_millis(10);

/// How the timer counts.
#[derive(Clone, Copy)]
enum Timer {
    /// Up to a value of the time-stamp counter.
    Deadline,
    /// Down from a start value.
    Count {
        /// Its ticks in 2^32 nanoseconds.
        rate: u64,
    },
}

/// The local APIC's timer does not count.
#[derive(Debug)]
pub struct TimerStands;

impl fmt::Display for TimerStands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the local APIC's timer does not count: waited {} ms for it", MEASURED_MAX.as_millis())
    }
}

/// The APIC's registers, in either mode.
#[derive(Clone, Copy)]
struct Apic {
    x2apic: bool,
}

/// A timer that was just started, so that its rate is known when the boot is over.
pub struct Starting {
    apic: Apic,
    by_deadline: bool,
    counter: u64,
}

/// The timer that ends a sleep.
pub struct Idle {
    apic: Apic,
    timer: Timer,
    /// Ticks of the time-stamp counter in 2^32 nanoseconds.
    counter_rate: u64,
    /// Where the counter is when the timer ends that was started last.
    ends_at: Cell<u64>,
}

impl Idle {
    /// Starts the local APIC's timer as the kernel has set it up, and lets non-maskable interrupts in, which the kernel
    /// blocks: a host can send one to end a machine that hangs, and the fault line says where it hung.
    #[expect(clippy::new_ret_no_self, reason = "it is ready only after the boot")]
    pub fn new() -> Starting {
        // SAFETY: every x86-64 processor has this register.
        let apic = Apic { x2apic: unsafe { read_msr(APIC_BASE) } & X2APIC != 0 };
        interrupt_table::install(apic.x2apic);
        apic.write(NMI_ENTRY, NMI);
        let by_deadline = __cpuid(1).ecx & CPUID_DEADLINE != 0;
        if by_deadline {
            apic.write(TIMER_ENTRY, TIMER_VECTOR as u32 | BY_DEADLINE);
        } else {
            apic.write(TIMER_DIVIDER, DIVIDE_BY_1);
            apic.write(TIMER_ENTRY, TIMER_VECTOR as u32 | MASKED);
            apic.write(TIMER_COUNT, u32::MAX);
        }
        Starting { apic, by_deadline, counter: ticks() }
    }

    /// Sleeps until an interrupt, for `duration` at most. Returns at once when `has_work`, which is
    /// asked with interrupts held back, so that none is missed between the question and the sleep.
    pub fn sleep(&self, duration: Duration, has_work: impl FnOnce() -> bool) {
        interrupt_table::hold_back();
        if has_work() {
            return interrupt_table::take_waiting();
        }
        self.set(duration.clamp(SLEEP_MIN, SLEEP_MAX));
        interrupt_table::sleep_until_one();
    }

    /// Lets the timer end after this time, or sooner if it does anyhow: that costs one look for nothing, where requests
    /// that follow each other would each cost a start of the timer.
    fn set(&self, duration: Duration) {
        let now = ticks();
        let end = now + ticks_in(duration, self.counter_rate);
        if (now + 1..=end).contains(&self.ends_at.get()) {
            return;
        }
        self.ends_at.set(end);
        match self.timer {
            // SAFETY: the processor has the register, and the timer is in the mode for it.
            Timer::Deadline => unsafe { write_msr(DEADLINE, end) },
            Timer::Count { rate } => {
                let count = ticks_in(duration, rate).max(1);
                self.apic.write(TIMER_COUNT, u32::try_from(count).unwrap_or(u32::MAX));
            }
        }
    }
}

/// Of so many ticks in 2^32 nanoseconds, those in a time.
fn ticks_in(duration: Duration, rate: u64) -> u64 {
    ((u128::from(rate) * duration.as_nanos()) >> 32) as u64
}

impl Starting {
    /// The timer with its rate, which the time since the start gives; more is waited for where that was short.
    ///
    /// # Errors
    /// When it does not count.
    pub fn calibrate(self, clock: Clock) -> Result<Idle, TimerStands> {
        let Self { apic, by_deadline, counter } = self;
        kvm_clock::end_interrupts_without_exit();
        let counter_rate = clock.ticks_in(Duration::from_nanos(1 << 32));
        let idle = |timer| Idle { apic, timer, counter_rate, ends_at: Cell::new(0) };
        if by_deadline {
            return Ok(idle(Timer::Deadline));
        }
        let enough = clock.ticks_in(MEASURED_MIN);
        let measured = clock.wait_for(MEASURED_MAX, || {
            let (passed, counted) = (ticks() - counter, u64::from(u32::MAX - apic.read(TIMER_LEFT)));
            (passed >= enough && counted > 0).then_some((passed, counted))
        });
        let (passed, counted) = measured.ok_or(TimerStands)?;
        // A timer that has stopped at its end counts faster than can be told here; it wakes too early then.
        let rate = (u128::from(counted) * u128::from(counter_rate) / u128::from(passed)) as u64;
        apic.write(TIMER_ENTRY, TIMER_VECTOR as u32);
        Ok(idle(Timer::Count { rate }))
    }
}

impl Apic {
    fn write(self, register: u32, value: u32) {
        if self.x2apic {
            // SAFETY: the processor is in x2APIC mode, and only the timer's registers are written,
            // which the kernel does not use while its only task runs.
            unsafe { write_msr(X2APIC_REGISTERS + register, u64::from(value)) }
        } else {
            // SAFETY: the kernel maps the APIC's page at its physical address; as above otherwise.
            unsafe { Self::memory(register).write_volatile(value) }
        }
    }

    fn read(self, register: u32) -> u32 {
        if self.x2apic {
            // SAFETY: as in `write`; reading the timer changes nothing.
            unsafe { read_msr(X2APIC_REGISTERS + register) as u32 }
        } else {
            // SAFETY: as in `write`.
            unsafe { Self::memory(register).read_volatile() }
        }
    }

    fn memory(register: u32) -> *mut u32 {
        core::ptr::with_exposed_provenance_mut(APIC_MEMORY + 16 * register as usize)
    }
}
