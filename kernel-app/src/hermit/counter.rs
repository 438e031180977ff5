//! The time-stamp counter (Intel SDM volume 3, section 19.17).

use core::arch::x86_64::_rdtsc;

/// What it says now.
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the counter, and the kernel leaves it readable.
    unsafe { _rdtsc() }
}
