//! A step that counts the instructions of a guest: for its boot, or for a request.
//!
//! QEMU counts exactly under `-icount`. Which packets reach the guest together depends on the host, and each that comes
//! alone costs it an interrupt. So a request is a single packet: it comes on a connection that is kept, when the guest
//! rests after the last one. A guest that waits looks at its timers: of several requests the cheapest counts. On a
//! quiet host and beside four busy loops on two cores that was the same within 50 of 12,600 instructions.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use image_build::vm::qmp::{COUNTED, COUNTED_MHZ, Monitor};

use crate::exercise::format::{Instructions, Request};
use crate::judge::bench::Bench;
use crate::judge::machine::{self, Plan, Started};
use crate::judge::request::{self, Connection};
use crate::judge::verdict::Fault;

/// Requests of which the cheapest counts.
const REQUESTS: usize = 16;

/// Counts, and compares with a limit or with the start's count.
///
/// # Errors
/// When it is not the work that keeps it from being counted.
pub fn judge(bench: &Bench<'_>, step: &Instructions) -> Result<Option<Fault>> {
    let count = match count(bench, step)? {
        Ok(count) => count,
        Err(fault) => return Ok(Some(fault)),
    };
    let (limit, why) = match (step.at_most, step.fewer_than_start_by) {
        (Some(limit), _) => (limit, String::new()),
        (None, fewer) => {
            let fewer = fewer.unwrap_or_default();
            let start = match bench.with_start(|| self::count(bench, step))? {
                Ok(start) => start,
                Err(fault) => return Ok(Some(fault)),
            };
            (start.saturating_sub(fewer), format!(", {fewer} fewer than the start's {start}"))
        }
    };
    let what = if step.request.is_some() { "for a request" } else { "for the boot" };
    Ok((count > limit).then(|| {
        Fault::new(
            format!("at most {limit} instructions {what}{why}"),
            format!("{count}, {} too many", count - limit),
        )
    }))
}

/// The instructions of the program on the bench.
fn count(bench: &Bench<'_>, step: &Instructions) -> Result<Result<u64, Fault>> {
    let image = match machine::build(bench, step.profile)? {
        Ok(image) => image,
        Err(fault) => return Ok(Err(fault)),
    };
    let directory = tempfile::tempdir().context("no room for the monitor's socket")?;
    let socket = directory.path().join("qmp");
    let monitor = ["-qmp".to_owned(), format!("unix:{},server=on,wait=off", socket.display())];
    let requests: Vec<Request> = step.request.iter().cloned().collect();
    let plan = Plan {
        image: image.path,
        memory_mib: step.memory_mib,
        environment: &step.environment,
        requests: &requests,
        counted: Some((COUNTED_MHZ, COUNTED.map(str::to_owned).into_iter().chain(monitor).collect())),
    };
    // Nobody listens: what a guest says is not counted by its words.
    let (sender, _heard) = mpsc::channel();
    let mut started = machine::start(bench, &plan, &sender)?;
    let limit = Duration::from_secs(step.limit_s);
    let deadline = Instant::now() + limit;
    let counted = Monitor::open(&socket).and_then(|mut monitor| {
        let boot = monitor.instructions_of_boot(limit)?;
        match &step.request {
            None => Ok(Ok(boot)),
            Some(request) => requested(&mut monitor, &started, request, step.warm_up, deadline),
        }
    });
    counted.or_else(|error| match started.guest.verdict()? {
        Some(verdict) => {
            Ok(Err(Fault::new("a guest that comes to rest, to be counted", verdict.to_string())))
        }
        None => {
            let came = format!("none within {} s ({error:#})", limit.as_secs());
            Ok(Err(Fault::new("a guest that comes to rest, to be counted", came)))
        }
    })
}

fn requested(
    monitor: &mut Monitor,
    started: &Started,
    request: &Request,
    warm_up: u32,
    deadline: Instant,
) -> Result<Result<u64, Fault>> {
    let Some(address) = started.ports.get(&request.port) else {
        bail!("port {} is not forwarded", request.port)
    };
    // The first one waits until the guest listens.
    if let Err(fault) = request::ask(*address, request, deadline) {
        return Ok(Err(fault));
    }
    let mut connection = Connection::open(*address).context("the guest accepts no second connection")?;
    let mut least = u64::MAX;
    for at in 0..warm_up as usize + REQUESTS {
        let left = deadline.saturating_duration_since(Instant::now());
        let before = monitor.instructions_at_rest(left)?;
        if let Err(fault) = connection.ask(request, deadline) {
            return Ok(Err(fault));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let after = monitor.instructions_at_rest(left)?;
        if at >= warm_up as usize {
            least = least.min(after - before);
        }
    }
    Ok(Ok(least))
}
