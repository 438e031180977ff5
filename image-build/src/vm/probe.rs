//! Probes of this machine, by booting a trial guest: which accelerator works, the rate of the time-stamp counter, and
//! whether QEMU can filter its system calls.
//!
//! The presence of `/dev/kvm` is not enough: if the processor shows neither `vmx` nor `svm`, it may open and still
//! fail inside the guest. For the same reason `-accel kvm:tcg` is not used, because it falls back only if the device
//! does not open.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::image;
use crate::tool::files::write_whole;
use crate::tool::packages::table::QEMU;
use crate::tool::workspace::Workspace;
use crate::vm::accelerator::{Accelerator, Choice, has_flag};
use crate::vm::guest::{self, Verdict};
use crate::vm::machine::{Launch, Machine, Serial};
use crate::vm::qemu;
use crate::vm::vmm::Vmm;

/// The device of KVM.
const KVM: &str = "/dev/kvm";
/// How long the counter is watched to learn its rate.
const CALIBRATION: Duration = Duration::from_millis(20);
/// How long one reading of the counter may take: 0.05 % of the time it is watched.
const READING_TIME_MAX: Duration = Duration::from_micros(10);
/// How often a reading is tried.
const READINGS_MAX: u32 = 1000;
/// How long a guest that only ends itself may take: it needs some 200 ms, and where KVM is emulated up to 9 s.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Memory of that guest.
const PROBE_MEMORY_MIB: u32 = 16;

/// What this machine has, as found since it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Name of the boot in which this was found.
    boot_id: String,
    /// Rate of the time stamp counter in MHz.
    pub mhz: u16,
    /// Why KVM cannot be used; nothing when it can.
    pub kvm_obstacle: Option<String>,
    /// Why QEMU cannot filter its system calls; nothing when it can.
    pub sandbox_obstacle: Option<String>,
}

/// The accelerator to use.
///
/// # Errors
/// When KVM is asked for and does not work.
pub fn choose(workspace: &Workspace, choice: Choice) -> Result<Accelerator> {
    let Probe { mhz, kvm_obstacle, .. } = probe(workspace)?;
    match (choice, kvm_obstacle) {
        (Choice::Tcg, _) | (Choice::Auto, Some(_)) => Ok(Accelerator::Tcg { mhz }),
        (_, None) => Ok(Accelerator::Kvm { mhz }),
        (Choice::Kvm, Some(obstacle)) => {
            bail!("KVM cannot be used here: {obstacle}; give --accel auto or --accel tcg")
        }
    }
}

/// What the host says of KVM at once, for VMMs that have nothing else.
///
/// # Errors
/// When it cannot be used.
pub fn check_kvm() -> Result<()> {
    match host_obstacle(Path::new(KVM)) {
        Some(obstacle) => bail!("KVM cannot be used here: {obstacle}; use --vmm qemu, which can do without"),
        None => Ok(()),
    }
}

/// KVM, where no QEMU is there to try it.
pub fn untried_kvm() -> Accelerator {
    Accelerator::Kvm { mhz: counter_mhz() }
}

/// What this machine has; found once per boot, then remembered in the target directory.
///
/// # Errors
/// When the image for the trial cannot be made or its QEMU cannot be started.
pub fn probe(workspace: &Workspace) -> Result<Probe> {
    let cache = workspace.state()?.join("accelerator.toml");
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let known = fs::read_to_string(&cache).ok().and_then(|text| recall(&text, boot_id.trim()));
    if let Some(known) = known {
        return Ok(known);
    }
    let mhz = counter_mhz();
    let kvm_obstacle = kvm_obstacle(workspace, mhz)?;
    let sandbox_obstacle = sandbox_obstacle(workspace, mhz)?;
    let probe = Probe { boot_id: boot_id.trim().to_owned(), mhz, kvm_obstacle, sandbox_obstacle };
    write_whole(&cache, toml::to_string(&probe)?.as_bytes())?;
    Ok(probe)
}

/// A remembered probe, if it is of this boot. Where a boot has no name nothing is remembered.
fn recall(text: &str, boot_id: &str) -> Option<Probe> {
    let probe: Probe = toml::from_str(text).ok()?;
    (!boot_id.is_empty() && probe.boot_id == boot_id).then_some(probe)
}

fn kvm_obstacle(workspace: &Workspace, mhz: u16) -> Result<Option<String>> {
    if let Some(obstacle) = host_obstacle(Path::new(KVM)) {
        return Ok(Some(obstacle));
    }
    try_guest(&trial(image::probe_image(workspace)?, Accelerator::Kvm { mhz }))
}

/// What runs guests here, by a trial of this image where KVM is; what is known of KVM else. Nothing is remembered.
///
/// # Errors
/// When QEMU cannot be started.
pub fn try_here(image: &Path) -> Result<(Accelerator, Option<String>)> {
    let mhz = counter_mhz();
    let kvm = Accelerator::Kvm { mhz };
    let obstacle = match host_obstacle(Path::new(KVM)) {
        Some(obstacle) => Some(obstacle),
        None => try_guest(&trial(image.to_owned(), kvm))?,
    };
    Ok((if obstacle.is_none() { kvm } else { Accelerator::Tcg { mhz } }, obstacle))
}

/// Builds of QEMU without the filter exist, and kernels that have none.
fn sandbox_obstacle(workspace: &Workspace, mhz: u16) -> Result<Option<String>> {
    let launch = Launch { sandbox: true, ..trial(image::probe_image(workspace)?, Accelerator::Tcg { mhz }) };
    try_guest(&launch)
}

fn trial(image: PathBuf, accelerator: Accelerator) -> Launch {
    let mut launch = Launch::new("probe", image, Machine::Q35, accelerator);
    launch.memory_mib = PROBE_MEMORY_MIB;
    launch.serial = Serial::None;
    launch
}

fn try_guest(launch: &Launch) -> Result<Option<String>> {
    let verdict = guest::run_for(Vmm::Qemu, &qemu::command(launch)?, TRIAL_TIMEOUT)
        .with_context(|| format!("{} cannot be started", QEMU.program))?;
    Ok((verdict != Verdict::Success).then(|| format!("a trial guest did not end well ({verdict})")))
}

/// Whether QEMU is to filter its system calls: wherever it can. Where it cannot, that is said.
///
/// # Errors
/// When that cannot be tried.
pub fn choose_sandbox(workspace: &Workspace) -> Result<bool> {
    let obstacle = probe(workspace)?.sandbox_obstacle;
    if let Some(obstacle) = &obstacle {
        note!("note: QEMU runs without -sandbox, which does not work here: {obstacle}");
    }
    Ok(obstacle.is_none())
}

/// What the host itself says against KVM.
fn host_obstacle(device: &Path) -> Option<String> {
    if cfg!(not(target_arch = "x86_64")) {
        return Some("this host's processor is not an x86-64".to_owned());
    }
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if !has_virtualization(&cpu) {
        return Some("the processor shows neither vmx nor svm (in a VM: turn on nesting)".to_owned());
    }
    let error = OpenOptions::new().read(true).write(true).open(device).err()?;
    Some(format!("{} does not open ({error}; join the group kvm)", device.display()))
}

fn has_virtualization(cpu_info: &str) -> bool {
    has_flag(cpu_info, &["vmx", "svm"])
}

/// Rate of the host's counter in MHz, 0 when it cannot be told.
///
/// Guests get it on the kernel's command line: measuring it inside takes longer than the rest of the
/// boot, and a microvm has nothing to measure it with.
pub fn counter_mhz() -> u16 {
    let clock = quanta::Clock::new();
    let Some((first, started)) = reading(&clock) else { return 0 };
    thread::sleep(CALIBRATION);
    let Some((last, ended)) = reading(&clock) else { return 0 };
    rate_mhz(last.saturating_sub(first), ended - started)
}

/// The counter and the time at one moment: a reading in whose middle another process ran is repeated.
fn reading(clock: &quanta::Clock) -> Option<(u64, Instant)> {
    (0..READINGS_MAX).find_map(|_| {
        let before = Instant::now();
        let counter = clock.raw();
        (before.elapsed() <= READING_TIME_MAX).then_some((counter, before))
    })
}

/// A counter of 1000 MHz is no counter but the clock in nanoseconds, which `quanta` falls back to.
fn rate_mhz(ticks: u64, elapsed: Duration) -> u16 {
    let elapsed_ns = elapsed.as_nanos().max(1);
    let mhz = (u128::from(ticks) * 1000 + elapsed_ns / 2) / elapsed_ns;
    u16::try_from(mhz).ok().filter(|mhz| *mhz != 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtualization_is_a_flag_and_not_a_part_of_one() {
        assert!(has_virtualization("model name\t: x\nflags\t\t: fpu vmx smx\nbugs\t: x\n"));
        assert!(has_virtualization("flags : fpu svm"));
        assert!(!has_virtualization("flags : fpu vmx_like svmx\nvmx flags : vnmi\n"));
        assert!(!has_virtualization(""));
    }

    #[test]
    fn a_probe_is_remembered_only_within_its_boot() {
        let kvm_obstacle = Some("x".to_owned());
        let probe = Probe { boot_id: "a".to_owned(), mhz: 2596, kvm_obstacle, sandbox_obstacle: None };
        let text = toml::to_string(&probe).expect("serializable");
        assert_eq!(recall(&text, "a"), Some(probe));
        assert_eq!(recall(&text, "b"), None);
        assert_eq!(recall(&text, ""), None);
        assert_eq!(recall("mhz = 1", "a"), None);
    }

    #[test]
    fn a_rate_is_ticks_by_time_and_a_clock_is_no_counter() {
        let rate = |ticks| rate_mhz(ticks, Duration::from_millis(20));
        assert_eq!(rate(51_918_000), 2596);
        assert_eq!(rate(20_000_000), 0);
        assert_eq!(rate(u64::MAX), 0);
        assert_eq!(rate(0), 0);
    }

    #[test]
    fn two_measurements_agree() {
        let (one, other) = (counter_mhz(), counter_mhz());
        assert!(one.abs_diff(other) <= one / 100, "{one} and {other} MHz");
    }

    #[test]
    fn kvm_is_not_used_where_the_device_does_not_open() {
        let obstacle = host_obstacle(Path::new("/nonexistent/kvm"));
        assert!(obstacle.is_some());
    }
}
