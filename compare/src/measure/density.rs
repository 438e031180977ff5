//! How many vote instances fit in 1 GiB of the host's memory and still answer.
//!
//! Memory is what their processes hold, shared pages by their share. A machine has the memory that the
//! application gives its vote service; what its guest does not touch the host does not hold. What all
//! share, such as Docker's daemon and the system's own kernel, is in nobody's share.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::site::Site;
use super::vote;
use crate::child;
use crate::record::{Measure, Metric, Sample};
use crate::substrate::Instance;

/// The memory that is filled, in MiB.
const BUDGET_MIB: f64 = 1024.0;
/// Most instances that are started.
const INSTANCES_MAX: usize = 96;
/// How long starting may take, in a full run and in a quick one; what fits is extrapolated then.
const TIME_MAX: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(4));
/// An instance that has not answered by then does not.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Fewest instances that tell the memory of further ones.
const INSTANCES_MIN: usize = 5;
/// Memory in MiB that the host must have left besides, for the measuring program and what else runs.
const RESERVE_MIB: f64 = 512.0;

/// One sample.
///
/// # Errors
/// When an instance does not start, or stops answering when there are many.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    let available = available_mib()?;
    if available < BUDGET_MIB + RESERVE_MIB {
        let flaw = format!("the host has {available:.0} MiB left: {BUDGET_MIB} cannot be filled");
        return Ok(vec![site.voided(Measure::Density, flaw)]);
    }
    let begun = Instant::now();
    let time_max = site.pick(TIME_MAX);
    let mut instances: Vec<Instance> = Vec::new();
    let mut sums: Vec<f64> = Vec::new();
    loop {
        let mut instance = vote::start(site, &format!("vote-{}", instances.len() + 1), None)?;
        vote::first_page(&mut instance, START_LIMIT)?;
        instances.push(instance);
        sums.push(memory_mib(&instances)?);
        let is_full = sums.last().is_some_and(|sum| *sum > BUDGET_MIB);
        let is_over = begun.elapsed() > time_max || instances.len() >= INSTANCES_MAX;
        if is_full || (is_over && instances.len() >= INSTANCES_MIN) {
            break;
        }
    }
    for instance in &instances {
        vote::check_page(instance).with_context(|| format!("{instance} of {}", instances.len()))?;
    }
    let (fitting, note) = fitting(&sums);
    Ok(vec![Sample { note, ..site.sample(Measure::Density, [(Metric::Instances, fitting)]) }])
}

fn memory_mib(instances: &[Instance]) -> Result<f64> {
    let pids: Vec<i32> = instances.iter().flat_map(|instance| &instance.processes).copied().collect();
    child::memory_mib(&pids)
}

/// Memory that the host can give without swapping (MemAvailable of proc_meminfo(5)).
fn available_mib() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kib.context("no MemAvailable in /proc/meminfo")? / 1024.0)
}

/// How many fit, by what one, two, ... of them held together; and the note where it is extrapolated, from
/// what each of the second half has added.
fn fitting(sums: &[f64]) -> (f64, Option<String>) {
    let count = sums.len();
    let sum = sums.last().copied().unwrap_or(0.0);
    if sum > BUDGET_MIB || count < INSTANCES_MIN {
        return ((count - usize::from(sum > BUDGET_MIB)) as f64, None);
    }
    let half = count / 2;
    let marginal = (sum - sums[half - 1]) / (count - half) as f64;
    let fitting = (count as f64 + (BUDGET_MIB - sum) / marginal.max(f64::EPSILON)).floor();
    (fitting, Some(format!("extrapolated from {count} instances; a further one takes {marginal:.2} MiB")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_that_does_not_fit_is_not_counted() {
        assert_eq!(fitting(&[400.0, 800.0, 1200.0]), (2.0, None));
    }

    #[test]
    fn an_unfilled_store_is_extrapolated_and_marked() {
        let sums: Vec<f64> = (0..10).map(|number| 50.0 + 10.0 * f64::from(number)).collect();
        let (fitting, note) = fitting(&sums);
        assert_eq!(fitting, 10.0 + (1024.0 - 140.0) / 10.0 - 0.4);
        assert!(note.expect("a note").contains("from 10 instances; a further one takes 10.00 MiB"));
    }
}
