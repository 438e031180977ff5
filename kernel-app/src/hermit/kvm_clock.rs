//! KVM's clock: the host's time without a clock device, and the exact rate of the counter.
//!
//! `timekeeping` decodes it. Reference: Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use super::counter::ticks;
use super::x86::write_msr;
use crate::timekeeping::pvclock::{SystemTime, WallTime};

/// First leaf of a hypervisor; the next ones may be another's, whose interface it offers as well.
const HYPERVISOR: u32 = 0x4000_0000;
const HYPERVISOR_STEP: u32 = 0x100;
const HYPERVISORS_MAX: u32 = 4;
/// "KVMKVMKVM", in the registers' order.
const SIGNATURE: [u32; 3] = [0x4b4d_564b, 0x564b_4d56, 0x4d];
/// Its leaf with features: the two registers below exist.
const FEATURES: u32 = 1;
const CLOCK_REGISTERS: u32 = 1 << 3;
/// CPUID leaf, from the first hypervisor's: the counter's rate in kHz.
const RATE: u32 = 0x10;
const WALL_CLOCK: u32 = 0x4b56_4d00;
const SYSTEM_TIME: u32 = 0x4b56_4d01;
/// Bit 0 of the address turns the system time on.
const ENABLE: u64 = 1;
/// KVM writes in some microseconds; more tries mean that there is none that does.
const TRIES_MAX: usize = 1000;

/// What KVM writes to; each is within one page.
#[repr(C, align(64))]
struct Memory {
    system: [AtomicU32; 8],
    wall: [AtomicU32; 3],
}

static MEMORY: Memory =
    Memory { system: [const { AtomicU32::new(0) }; 8], wall: [const { AtomicU32::new(0) }; 3] };

/// The clock of a machine that KVM runs.
pub struct KvmClock(());

impl KvmClock {
    /// Turns the clock on, where there is one.
    pub fn find() -> Option<Self> {
        let leaves = (0..HYPERVISORS_MAX).map(|index| HYPERVISOR + index * HYPERVISOR_STEP);
        let kvm = leaves.filter(|_| has_hypervisor()).find(|leaf| {
            let found = __cpuid(*leaf);
            [found.ebx, found.ecx, found.edx] == SIGNATURE
        })?;
        if __cpuid(kvm + FEATURES).eax & CLOCK_REGISTERS == 0 {
            return None;
        }
        // SAFETY: the register exists; KVM writes 32 bytes there, and the address of a static is its physical one.
        unsafe { write_msr(SYSTEM_TIME, MEMORY.system.as_ptr().expose_provenance() as u64 | ENABLE) }
        Some(Self(()))
    }

    /// The counter's rate.
    pub fn counter_khz(&self) -> Option<u64> {
        (0..TRIES_MAX).find_map(|_| system_time().khz())
    }

    /// The host's time of day.
    pub fn unix_time(&self) -> Option<Duration> {
        // SAFETY: the register exists; KVM writes 12 bytes there before the instruction ends.
        unsafe { write_msr(WALL_CLOCK, MEMORY.wall.as_ptr().expose_provenance() as u64) }
        let start = (0..TRIES_MAX).find_map(|_| WallTime(load(&MEMORY.wall)?).unix())?;
        let nanos = (0..TRIES_MAX).find_map(|_| system_time().nanos(ticks()))?;
        Some(start + Duration::from_nanos(nanos))
    }
}

/// The counter's rate as hypervisors tell it.
pub fn hypervisor_khz() -> Option<u64> {
    let has_leaf = has_hypervisor() && __cpuid(HYPERVISOR).eax >= HYPERVISOR + RATE;
    // Where leaves are many but this one is none of them, it is another's: only a plausible rate is believed.
    has_leaf
        .then(|| u64::from(__cpuid(HYPERVISOR + RATE).eax))
        .filter(|khz| (100_000..=20_000_000).contains(khz))
}

/// CPUID leaf 1, ECX: there are leaves of a hypervisor.
fn has_hypervisor() -> bool {
    __cpuid(1).ecx & 1 << 31 != 0
}

fn system_time() -> SystemTime {
    // What is being written counts as such: an odd version.
    SystemTime(load(&MEMORY.system).unwrap_or([1; 8]))
}

/// The words, unless their version changes meanwhile.
fn load<const WORDS: usize>(words: &[AtomicU32; WORDS]) -> Option<[u32; WORDS]> {
    let version = words[0].load(Ordering::Acquire);
    let copy = core::array::from_fn(|index| words[index].load(Ordering::Acquire));
    (words[0].load(Ordering::Acquire) == version).then_some(copy)
}
