//! The application as Linux processes, for tests in which booting guests would be the load.
//!
//! Judges nothing but that it comes up.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use crate::client::{self, curl, wait_for};
use crate::running::{RunningService, Settings, linux_programs};

/// Votes are counted within this time, on a busy machine.
pub const COUNTED_WITHIN: Duration = Duration::from_secs(30);

const PACKAGES: [&str; 4] = ["store-service", "worker", "vote-service", "result-service"];

/// A store, a worker, a result service, and as many vote services as a test wants.
pub struct Poll {
    /// Keeps queue and results, unless something else does.
    pub store: Option<RunningService>,
    /// Counts.
    pub worker: RunningService,
    /// Where people vote.
    pub votes: Vec<RunningService>,
    /// Where people look.
    pub result: RunningService,
}

/// Builds the programs, for tests that start them where cargo should have nothing left to do.
///
/// # Panics
/// When they cannot be built.
pub fn build() {
    programs();
}

fn programs() -> &'static [PathBuf] {
    static PROGRAMS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    PROGRAMS.get_or_init(|| linux_programs(&PACKAGES))
}

impl Poll {
    /// Starts them, and waits until all are ready.
    ///
    /// # Panics
    /// When one does not become so.
    pub fn start(instances: usize, of_store: &Settings<'_>, of_vote: &Settings<'_>) -> Self {
        let store = RunningService::linux(&programs()[0], &["PORT", "HEALTH_PORT"], of_store);
        let poll = Self::start_on(store.addresses[0], instances, of_vote);
        Self { store: Some(store), ..poll }
    }

    /// The same on a server that is there already.
    ///
    /// # Panics
    /// When one does not become ready.
    pub fn start_on(store: SocketAddrV4, instances: usize, of_vote: &Settings<'_>) -> Self {
        let [_, worker, vote, result] = programs() else { panic!("{} programs", PACKAGES.len()) };
        let url = [("REDIS_URL", format!("redis://{store}"))];
        let start = |program, settings: &Settings<'_>| {
            let settings = [&url[..], settings].concat();
            let mut running = RunningService::linux(program, &["PORT"], &settings);
            running.wait_for("/readyz");
            running
        };
        let votes = (0..instances).map(|_| start(vote, of_vote)).collect();
        Self { votes, worker: start(worker, &[]), result: start(result, &[]), store: None }
    }

    /// Where the vote instance of this index is.
    pub fn vote_address(&self, index: usize) -> SocketAddrV4 {
        self.votes[index].addresses[0]
    }

    /// URL of the voters' page of an instance.
    pub fn vote_url(&self, index: usize) -> String {
        format!("http://{}/", self.vote_address(index))
    }

    /// A path of the result service.
    pub fn result_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.result.addresses[0])
    }

    /// Votes for a and for b as the result page has them, when it answers.
    pub fn scores(&self) -> Option<(u64, u64)> {
        client::scores(&self.result_url(""))
    }

    /// Waits until so many have voted for a and for b.
    ///
    /// # Panics
    /// When that does not come to be so.
    pub fn wait_for_scores(&self, (a, b): (u64, u64)) {
        let wanted = format!(r#"{{"a":{a},"b":{b},"total":{}}}"#, a + b);
        let scores = || curl(&self.result_url("/api/scores"), &[]).body.trim().to_owned();
        let counted = wait_for(COUNTED_WITHIN, || (scores() == wanted).then_some(()));
        assert!(counted.is_some(), "{} instead of {wanted}", scores());
    }
}
