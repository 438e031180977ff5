//! The least memory with which a vote service starts, answers, and takes a small load.
//!
//! What is limited is the machine's memory, or the container's.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::site::Site;
use super::vote;
use crate::load::{self, Shape};
use crate::record::{Measure, Method, Metric, Sample};
use crate::substrate::{Instance, Port};

/// How much longer than with plenty of memory a start may take before it counts as none.
const PATIENCE: u32 = 4;
/// But at least this long.
const LIMIT_MIN: Duration = Duration::from_millis(700);
const LIMIT_MAX: Duration = Duration::from_secs(30);
/// The load.
const REQUESTS: u32 = 200;
const CONNECTIONS: u32 = 8;
/// How often a start with the least memory must succeed, and one with less must fail, after the search
/// has found them so; in a full run and in a quick one.
const CONFIRMATIONS: (u32, u32) = (2, 1);

/// One sample, where memory can be limited.
///
/// # Errors
/// When not even the most memory is enough.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    let Some((least, most)) = site.substrate.memory_range() else { return Ok(Vec::new()) };
    let usual = works(site, most, LIMIT_MAX).with_context(|| format!("with {most} MiB"))?;
    let limit = (usual * PATIENCE).clamp(LIMIT_MIN, LIMIT_MAX);
    let works = |memory_mib| works(site, memory_mib, limit).is_ok();
    let memory_mib = least_that_works(least..=most, site.pick(CONFIRMATIONS), works);
    let memory_mib = memory_mib.with_context(|| format!("with {most} MiB it works only sometimes"))?;
    let note = (memory_mib == least).then(|| format!("less than {least} MiB cannot be asked for there"));
    let sample = site.sample(Measure::LeastMemory, [(Metric::MemoryMib, f64::from(memory_mib))]);
    Ok(vec![Sample { note, ..sample }])
}

/// Starts one with that memory, and loads it; the time until its first answer.
fn works(site: &Site, memory_mib: u32, limit: Duration) -> Result<Duration> {
    loaded(site, memory_mib, limit).map(|(_, time)| time)
}

/// The same, with the instance.
fn loaded(site: &Site, memory_mib: u32, limit: Duration) -> Result<(Instance, Duration)> {
    let mut instance = vote::start(site, "vote", Some(memory_mib))?;
    let time = vote::first_page(&mut instance, limit)?;
    let host = instance.endpoint(Port::Vote)?.host;
    let (method, keep_alive) = (Method::Get, false);
    let shape = Shape { host, method, keep_alive, connections: CONNECTIONS, requests: REQUESTS };
    let report = load::closed_loop(site.context, site.directory, shape)?.finish()?;
    if let Some(flaw) = report.flaw {
        bail!("a small load fails: {flaw}");
    }
    instance.check()?;
    Ok((instance, time))
}

/// The least number in a range that works, confirmed together with its neighbour that does not.
fn least_that_works(
    range: RangeInclusive<u32>,
    confirmations: u32,
    works: impl Fn(u32) -> bool,
) -> Option<u32> {
    let (least, most) = range.into_inner();
    let always = |number| (0..confirmations).all(|_| works(number));
    let ever = |number| (0..confirmations).any(|_| works(number));
    let (mut low, mut high) = (least, most);
    while low < high {
        let middle = u32::midpoint(low, high);
        if works(middle) { high = middle } else { low = middle + 1 }
    }
    // A number that failed by chance is found again from above, one that worked by chance from below.
    while low > least && ever(low - 1) {
        low -= 1;
    }
    (low..=most).find(|number| always(*number))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use image_build::vm::accelerator::Choice;

    use super::*;
    use crate::context::Context;
    use crate::{guest_memory, substrate};

    /// What a vote machine of 12 MiB may hold on the host for its guest, and the memory that is enough for one.
    const GUEST_MIB_MAX: f64 = 9.0;
    const ENOUGH_MIB: u32 = 10;

    #[test]
    fn a_vote_machine_needs_10_mib_and_of_12_touches_9() {
        // As if contained: this program has no command that ties guests to it. They end with their values.
        let context = Context::find(Choice::Tcg, None, true).expect("an accelerator");
        let logs = tempfile::tempdir().expect("a folder");
        for id in ["hermit-q35", "hermit-microvm"] {
            let unikernels = substrate::find(&[], id).expect("a substrate");
            unikernels.prepare(&context).expect("images");
            let unikernels = unikernels.open(&context).expect("QEMU");
            let directory = logs.path();
            let site =
                Site { context: &context, substrate: &*unikernels, id, round: 0, quick: true, directory };
            works(&site, ENOUGH_MIB, LIMIT_MAX).expect("it takes the load");
            let (machine, _) = loaded(&site, 12, LIMIT_MAX).expect("it takes the load");
            if !Path::new("/proc/self/smaps").exists() {
                image_build::note!("skipped: this kernel does not tell what a mapping holds");
                continue;
            }
            let parts = guest_memory::parts(&machine.processes, 12).expect("its guest's memory");
            assert!((2.0..=GUEST_MIB_MAX).contains(&parts.guest_mib), "{id}: {parts:?}");
            assert!(parts.vmm_mib > 5.0, "{id}: {parts:?}");
        }
    }

    #[test]
    fn the_least_working_value_is_found_if_any_works() {
        assert_eq!(least_that_works(8..=64, CONFIRMATIONS.0, |mib| mib >= 13), Some(13));
        assert_eq!(least_that_works(8..=64, CONFIRMATIONS.0, |_| true), Some(8));
        assert_eq!(least_that_works(8..=64, CONFIRMATIONS.0, |mib| mib >= 64), Some(64));
        assert_eq!(least_that_works(8..=64, CONFIRMATIONS.0, |_| false), None);
    }

    #[test]
    fn one_failure_by_chance_does_not_change_the_result() {
        let tries = Cell::new(0);
        let works = |mib| {
            tries.set(tries.get() + 1);
            // The first try is of 36, far above what is needed.
            mib >= 13 && tries.get() != 1
        };
        assert_eq!(least_that_works(8..=64, CONFIRMATIONS.0, works), Some(13));
    }
}
