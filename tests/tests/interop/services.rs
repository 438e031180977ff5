//! Our services as Linux processes, each alone, so that any of them can be left out. Judges nothing.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use tests::client::{curl, wait_for};
use tests::running::{RunningService, linux_programs};

/// Votes are counted within this time, on a busy machine.
pub const COUNTED_WITHIN: Duration = Duration::from_secs(60);

const PACKAGES: [&str; 3] = ["vote-service", "worker", "result-service"];

/// Starts one of [`PACKAGES`] on a queue; without `results` they are kept beside it.
///
/// # Panics
/// When it does not start.
pub fn start(package: &str, queue: &str, results: Option<&str>) -> RunningService {
    static PROGRAMS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(|| linux_programs(&PACKAGES));
    let index = PACKAGES.iter().position(|name| *name == package).expect("one of ours");
    let mut settings = vec![("REDIS_URL", queue.to_owned()), ("INSTANCE", package.to_owned())];
    settings.extend(results.map(|url| ("RESULTS_URL", url.to_owned())));
    RunningService::linux(&programs[index], &["PORT"], &settings)
}

/// Waits until a result service says this of a and b.
///
/// # Panics
/// When it does not in time.
pub fn wait_for_scores(result: &RunningService, (a, b): (u64, u64)) {
    let url = format!("http://{}/api/scores", result.addresses[0]);
    let wanted = format!(r#"{{"a":{a},"b":{b},"total":{}}}"#, a + b);
    let said = || curl(&url, &[]).body.trim().to_owned();
    let found = wait_for(COUNTED_WITHIN, || (said() == wanted).then_some(()));
    assert!(found.is_some(), "scores are {}, not {wanted}\n{}", said(), result.log());
}
