//! Time from the start of a vote service to its first answer.

use std::time::Duration;

use anyhow::Result;

use super::Site;
use crate::client;
use crate::record::{Cache, Measure, Metric, Sample};
use crate::substrate::{Order, Port, Program};

/// Starts in a full run and in a quick one.
const STARTS: (usize, usize) = (11, 3);
/// An instance that has not answered by then does not.
const LIMIT: Duration = Duration::from_secs(30);

/// A sample for each start.
///
/// # Errors
/// When an instance does not answer.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    let starts = if site.quick { STARTS.1 } else { STARTS.0 };
    (0..starts).map(|_| start(site, Cache::Warm)).collect()
}

fn start(site: &Site, cache: Cache) -> Result<Sample> {
    let settings = vec![("REDIS_URL".to_owned(), "redis://127.0.0.1:1".to_owned())];
    let order = Order {
        program: Program::Vote,
        name: "vote".to_owned(),
        settings,
        memory_mib: None,
        directory: site.directory,
        counted: None,
    };
    let mut instance = site.substrate.vote(&order)?;
    let host = instance.endpoint(Port::Vote)?.host;
    let time = client::first_ok(&mut instance, host, "/", LIMIT)?;
    Ok(site.sample(Measure::Start { cache }, [(Metric::Ms, time.as_secs_f64() * 1000.0)]))
}
