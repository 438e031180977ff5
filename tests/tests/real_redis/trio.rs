//! Vote, worker and result as Linux processes that use one Redis. Judges nothing.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tests::client::{curl, wait_for};
use tests::running::{self, RunningService};

/// The services in the order of [`Trio::services`].
pub const NAMES: [&str; 3] = ["vote-service", "worker", "result-service"];
/// Votes are counted within this time, on a busy machine and after a Redis was away.
const COUNTED_WITHIN: Duration = Duration::from_secs(30);

/// The three services.
pub struct Trio {
    /// Vote, worker, result.
    pub services: [RunningService; 3],
    /// When all of them were there.
    pub begun: Instant,
}

fn programs() -> &'static [PathBuf] {
    static PROGRAMS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    PROGRAMS.get_or_init(|| running::linux_programs(&NAMES))
}

impl Trio {
    /// Starts them with this `REDIS_URL`.
    pub fn start(url: &str) -> Self {
        Self::start_with(url, &[])
    }

    /// The same, with further settings.
    pub fn start_with(url: &str, settings: &[(&'static str, &str)]) -> Self {
        let settings: Vec<_> = [("REDIS_URL", url), ("LOG", "info")]
            .iter()
            .chain(settings)
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        let start = |program: &PathBuf| RunningService::linux(program, &["PORT"], &settings);
        let programs = programs();
        let begun = Instant::now();
        Self { services: [start(&programs[0]), start(&programs[1]), start(&programs[2])], begun }
    }

    /// Where people vote.
    pub fn vote_address(&self) -> SocketAddrV4 {
        self.services[0].addresses[0]
    }

    /// Waits until the result page says this.
    pub fn wait_for_scores(&self, (a, b): (u64, u64)) {
        let url = format!("http://{}/api/scores", self.services[2].addresses[0]);
        let wanted = format!(r#"{{"a":{a},"b":{b},"total":{}}}"#, a + b);
        let found =
            wait_for(COUNTED_WITHIN, || Some(curl(&url, &[])).filter(|answer| answer.body.trim() == wanted));
        assert!(found.is_some(), "scores are {}, not {wanted}", curl(&url, &[]).body);
    }

    /// Waits until all of them are ready.
    pub fn wait_until_ready(&self) {
        for (name, service) in NAMES.iter().zip(&self.services) {
            let ready = wait_for(COUNTED_WITHIN, || (readyz(service).0 == 200).then_some(()));
            assert!(ready.is_some(), "{name}: {:?}\n{}", readyz(service), service.log());
        }
    }
}

/// What a service says about itself.
pub fn readyz(service: &RunningService) -> (u16, String) {
    let answer = curl(&format!("http://{}/readyz", service.addresses[0]), &[]);
    (answer.status, answer.body)
}
