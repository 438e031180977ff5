//! Sleep until a device interrupts or a deadline passes, by `hlt` and the local APIC's timer.
//!
//! Handles no interrupt: the kernel acknowledges vectors that it has no handler for, and waking up is
//! all that is needed. Reference: Intel SDM volume 3, chapter 12 (APIC).

use core::arch::asm;
use core::time::Duration;

use super::machine::{read_msr, write_msr};

/// IA32_APIC_BASE: where the APIC is, and in which mode.
const APIC_BASE: u32 = 0x1b;
/// IA32_APIC_BASE: the APIC is reached through registers, not memory.
const X2APIC: u64 = 1 << 10;
/// First x2APIC register; the others follow by their memory offset divided by 16.
const X2APIC_REGISTERS: u32 = 0x800;
/// Where the APIC's memory lies otherwise; the kernel maps it there.
const APIC_MEMORY: usize = 0xfee0_0000;
const TIMER_ENTRY: u32 = 0x32;
const TIMER_COUNT: u32 = 0x38;
const TIMER_DIVIDER: u32 = 0x3e;
/// Divide by 1: QEMU and KVM then count nanoseconds.
const DIVIDE_BY_1: u32 = 0b1011;
/// One-shot, on a vector that the kernel has no handler for.
const TIMER_VECTOR: u32 = 0x91;
/// Shortest and longest sleep; the longest fits the 32-bit count of nanoseconds.
const SLEEP_MIN: Duration = Duration::from_micros(10);
const SLEEP_MAX: Duration = Duration::from_secs(4);

/// The timer that ends a sleep.
pub struct Idle {
    x2apic: bool,
}

impl Idle {
    /// The local APIC as the kernel has set it up.
    pub fn new() -> Self {
        // SAFETY: every x86-64 processor has this register.
        let idle = Self { x2apic: unsafe { read_msr(APIC_BASE) } & X2APIC != 0 };
        idle.write(TIMER_DIVIDER, DIVIDE_BY_1);
        idle.write(TIMER_ENTRY, TIMER_VECTOR);
        idle
    }

    /// Sleeps until an interrupt, for `duration` at most. Returns at once when `has_work`, which is
    /// asked with interrupts held back, so that none is missed between the question and the sleep.
    pub fn sleep(&self, duration: Option<Duration>, has_work: impl FnOnce() -> bool) {
        // SAFETY: holding interrupts back is undone on both ways out of here.
        unsafe { asm!("cli", options(nostack)) }
        if has_work() {
            // SAFETY: interrupts were on before.
            return unsafe { asm!("sti", options(nostack)) };
        }
        let nanos = duration.unwrap_or(SLEEP_MAX).clamp(SLEEP_MIN, SLEEP_MAX).as_nanos();
        self.write(TIMER_COUNT, u32::try_from(nanos).unwrap_or(u32::MAX));
        // SAFETY: `sti` takes effect after the next instruction, so an interrupt that waits wakes the
        // `hlt` instead of being taken before it.
        unsafe { asm!("sti", "hlt", options(nostack)) }
    }

    fn write(&self, register: u32, value: u32) {
        if self.x2apic {
            // SAFETY: the processor is in x2APIC mode, and only the timer's registers are written,
            // which the kernel does not use while its only task runs.
            unsafe { write_msr(X2APIC_REGISTERS + register, u64::from(value)) }
        } else {
            let address = APIC_MEMORY + 16 * register as usize;
            let pointer = core::ptr::with_exposed_provenance_mut::<u32>(address);
            // SAFETY: the kernel maps the APIC's page at its physical address; as above otherwise.
            unsafe { pointer.write_volatile(value) }
        }
    }
}
