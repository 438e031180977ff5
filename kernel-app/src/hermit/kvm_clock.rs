//! KVM's clock: the host's time without a clock device, and the exact rate of the counter.
//!
//! `timekeeping` decodes it. Reference: Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst.

use core::arch::x86_64::__cpuid;
use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use super::counter::ticks;
use super::interrupt_table;
use super::x86::write_msr;
use crate::timekeeping::pvclock::{SystemTime, WallTime};

/// First leaf of a hypervisor; the next ones may be another's, whose interface it offers as well.
const HYPERVISOR: u32 = 0x4000_0000;
const HYPERVISOR_STEP: u32 = 0x100;
const HYPERVISORS_MAX: u32 = 4;
/// "KVMKVMKVM", in the registers' order.
const SIGNATURE: [u32; 3] = [0x4b4d_564b, 0x564b_4d56, 0x4d];
/// Its leaf with features: the two registers below exist; and that of [`interrupt_table::end_without_exit`].
const FEATURES: u32 = 1;
const CLOCK_REGISTERS: u32 = 1 << 3;
const END_REGISTER: u32 = 1 << 6;
/// CPUID leaf, from the first hypervisor's: the counter's rate in kHz.
const RATE: u32 = 0x10;
const WALL_CLOCK: u32 = 0x4b56_4d00;
const SYSTEM_TIME: u32 = 0x4b56_4d01;
/// Bit 0 of the address turns the system time on.
const ENABLE: u64 = 1;
/// How often the host's time of the machine's start is asked for at least.
const WALL_INTERVAL: Duration = Duration::from_secs(10);
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
pub struct KvmClock {
    /// What the machine's start was at by the host's time, with the version of the system time and the time when that
    /// was asked for.
    wall: Cell<Option<(Duration, u32, u64)>>,
}

impl KvmClock {
    /// Turns the clock on, where there is one.
    pub fn find() -> Option<Self> {
        if features() & CLOCK_REGISTERS == 0 {
            return None;
        }
        // SAFETY: the register exists; KVM writes 32 bytes there, and the address of a static is its physical one.
        unsafe { write_msr(SYSTEM_TIME, MEMORY.system.as_ptr().expose_provenance() as u64 | ENABLE) }
        Some(Self { wall: Cell::new(None) })
    }

    /// The counter's rate.
    pub fn counter_khz(&self) -> Option<u64> {
        (0..TRIES_MAX).find_map(|_| system_time().khz())
    }

    /// The host's time of day.
    pub fn unix_time(&self) -> Option<Duration> {
        let (version, nanos) = (0..TRIES_MAX).find_map(|_| {
            let time = system_time();
            Some((time.version(), time.nanos(ticks())?))
        })?;
        Some(self.started_at(version, nanos)? + Duration::from_nanos(nanos))
    }

    /// When the machine was started. To ask for it leaves the guest, so it is asked for after what KVM tells by its
    /// system time, such as a pause, and now and then for a host's clock that was set.
    fn started_at(&self, version: u32, nanos: u64) -> Option<Duration> {
        if let Some((start, known, asked)) = self.wall.get()
            && known == version
            && nanos.saturating_sub(asked) < WALL_INTERVAL.as_nanos() as u64
        {
            return Some(start);
        }
        // SAFETY: the register exists; KVM writes 12 bytes there before the instruction ends.
        unsafe { write_msr(WALL_CLOCK, MEMORY.wall.as_ptr().expose_provenance() as u64) }
        let start = (0..TRIES_MAX).find_map(|_| WallTime(load(&MEMORY.wall)?).unix())?;
        self.wall.set(Some((start, version, nanos)));
        Some(start)
    }
}

/// Lets interrupts end without leaving the guest, where KVM runs it and can do so.
pub fn end_interrupts_without_exit() {
    if features() & END_REGISTER != 0 {
        // SAFETY: KVM says that it has the register.
        unsafe { interrupt_table::end_without_exit() }
    }
}

/// What KVM offers, once somebody has asked: each question to CPUID leaves the guest.
static OFFERED: AtomicU32 = AtomicU32::new(UNKNOWN);
const UNKNOWN: u32 = u32::MAX;

/// What KVM offers; nothing where another hypervisor or none runs this machine.
fn features() -> u32 {
    let mut offered = OFFERED.load(Ordering::Relaxed);
    if offered == UNKNOWN {
        offered = ask_features();
        OFFERED.store(offered, Ordering::Relaxed);
    }
    offered
}

fn ask_features() -> u32 {
    if !has_hypervisor() {
        return 0;
    }
    let kvm = (0..HYPERVISORS_MAX).map(|index| HYPERVISOR + index * HYPERVISOR_STEP).find(|leaf| {
        let found = __cpuid(*leaf);
        [found.ebx, found.ecx, found.edx] == SIGNATURE
    });
    kvm.map_or(0, |kvm| __cpuid(kvm + FEATURES).eax)
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
