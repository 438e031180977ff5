//! Time from the start of a vote service to its first answer, from a cold and from a warm page cache.
//!
//! Cold means that the files which a start reads are not in this system's page cache. What other running
//! programs have mapped cannot be dropped, which the sample says; what is cached below a virtual disk or
//! in the network's tables is not touched.

mod files;
mod stages;

use std::time::Duration;

use anyhow::Result;

use self::files::{Files, Left};
use self::stages::Watch;
use super::site::Site;
use super::vote;
use crate::record::{Cache, Measure, Metric, Sample};

/// What is started in a full run and in a quick one, by turns. The first start is in none: it shows which
/// files are read.
const STARTS: (usize, &[Cache]) = (11, &[Cache::Warm, Cache::Cold, Cache::Warm, Cache::Cold, Cache::Warm]);
/// An instance that has not answered by then does not.
const LIMIT: Duration = Duration::from_secs(30);

/// A sample for each start.
///
/// # Errors
/// When an instance does not answer, or answers with another page.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    let files = first_start(site)?;
    let by_turns = [Cache::Warm, Cache::Cold].into_iter().cycle();
    let kinds: Vec<Cache> =
        if site.quick { STARTS.1.to_vec() } else { by_turns.take(2 * STARTS.0).collect() };
    let mut most_left = Left::default();
    let mut samples = Vec::new();
    for cache in kinds {
        samples.push(start(site, &files, cache, &mut most_left)?);
    }
    // What stays varies a little from start to start: the worst of them speaks for all.
    let cold = |sample: &&mut Sample| sample.measure == Measure::Start { cache: Cache::Cold };
    samples.iter_mut().filter(cold).for_each(|sample| sample.note = most_left.note());
    Ok(samples)
}

/// A start that is not measured; the files that it read.
fn first_start(site: &Site) -> Result<Files> {
    let mut instance = vote::start(site, "vote", None)?;
    vote::first_page(&mut instance, LIMIT)?;
    Files::of(site.substrate, &instance)
}

fn start(site: &Site, files: &Files, cache: Cache, most_left: &mut Left) -> Result<Sample> {
    let mut voided = None;
    match cache {
        Cache::Cold => {
            let left = files.drop_from_cache()?;
            voided = left.flaw();
            *most_left = left.max(*most_left);
        }
        Cache::Warm => files.read()?,
    }
    let mut instance = vote::start(site, "vote", None)?;
    let watch = Watch::begin(&instance);
    let time = vote::first_page(&mut instance, LIMIT)?;
    let timeline = watch.end(instance, time);
    let sample = site.sample(Measure::Start { cache }, [(Metric::Ms, stages::milliseconds(time))]);
    Ok(Sample { timeline, voided, ..sample })
}
