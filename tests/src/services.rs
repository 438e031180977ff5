//! Store, vote, worker and result as Linux processes, each of which can be ended and started again.
//!
//! Judges nothing: the tests do.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::client::{curl, vote, wait_for};
use crate::command::run;
use crate::programs::program;
use crate::running::{RunningService, linux_programs};

/// What must come to be is there within this time.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// A fault is told within this time, and some for a busy machine.
pub const TOLD_WITHIN: Duration = Duration::from_secs(2 + 3);

/// The four processes.
pub struct Services {
    /// The vote service.
    pub vote: RunningService,
    /// The worker.
    pub worker: RunningService,
    /// The result service.
    pub result: RunningService,
    /// The store.
    pub store: RunningService,
    programs: Vec<PathBuf>,
    /// Where the results are, unless beside the queue.
    results: Option<String>,
    /// The file that the store keeps its data in.
    data: Option<PathBuf>,
}

impl Services {
    /// All four, with a store in memory and results there.
    pub fn with_results(results: &str) -> Self {
        Self::start(Some(results), None)
    }

    /// All four: results in a database, or beside the queue; the store with its data in a file, or in memory.
    pub fn start(results: Option<&str>, data: Option<PathBuf>) -> Self {
        let programs = linux_programs(&["store-service", "vote-service", "worker", "result-service"]);
        let store =
            RunningService::linux(&programs[0], &["PORT", "HEALTH_PORT"], &store_settings(data.as_ref()));
        let results = results.map(ToOwned::to_owned);
        let queue = format!("redis://{}", store.addresses[0]);
        let start = |index: usize, name| {
            RunningService::linux(&programs[index], &["PORT"], &settings(&queue, results.as_ref(), name))
        };
        let (vote, worker, result) = (start(1, "vote"), start(2, "worker"), start(3, "result"));
        Self { vote, worker, result, store, programs, results, data }
    }

    /// One more worker, of this name.
    pub fn further_worker(&self, name: &str) -> RunningService {
        let queue = format!("redis://{}", self.store.addresses[0]);
        RunningService::linux(&self.programs[2], &["PORT"], &settings(&queue, self.results.as_ref(), name))
    }

    /// Kills the store, lets somebody do something, and starts a store at the same address.
    pub fn restart_store(&mut self, meanwhile: impl FnOnce()) {
        self.store.kill();
        meanwhile();
        let addresses = self.store.addresses.clone();
        let mut command = Command::new(&self.programs[0]);
        command.env("IP", addresses[0].ip().to_string()).envs(store_settings(self.data.as_ref()));
        command.env("PORT", addresses[0].port().to_string());
        command.env("HEALTH_PORT", addresses[1].port().to_string());
        self.store = RunningService::program(&command, addresses);
    }

    /// What the result service says.
    pub fn scores(&self) -> String {
        curl(&format!("http://{}/api/scores", self.result.addresses[0]), &[]).body
    }

    /// Waits until the result service says so.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for_scores(&self, expected: &str) {
        let found = wait_for(PATIENCE, || (self.scores().trim() == expected).then_some(()));
        assert!(found.is_some(), "{} instead of {expected}; {}", self.scores(), readiness(&self.worker));
    }

    /// Waits until worker and result service say why they are not ready.
    ///
    /// # Panics
    /// When they do not.
    pub fn wait_for_reason(&self, expected: &str) {
        for service in [&self.worker, &self.result] {
            let told = wait_for(TOLD_WITHIN, || {
                // Whoever is asked nothing finds nothing.
                self.scores();
                readiness(service).contains(expected).then_some(())
            });
            assert!(told.is_some(), "{expected:?} is not in {:?}", readiness(service));
        }
    }

    /// What `redis-cli` prints for a command to the store.
    ///
    /// # Panics
    /// When the store is not there.
    pub fn ask_store(&self, command: &[&str]) -> String {
        let port = self.store.addresses[0].port().to_string();
        let answered = run(program("redis-cli").args(["-p", &port]).args(command));
        assert!(answered.success, "{answered:?}");
        answered.stdout
    }

    /// Puts an element on the queue as somebody else does.
    pub fn push(&self, element: &str) {
        self.ask_store(&["RPUSH", "votes", element]);
    }

    /// Votes; the status of the answer.
    pub fn vote(&self, choice: &str, cookie: Option<&str>) -> u16 {
        vote(&format!("http://{}/", self.vote.addresses[0]), choice, cookie).status
    }

    /// The same, again and again until the vote is accepted.
    ///
    /// # Panics
    /// When it never is.
    pub fn vote_until_accepted(&self, choice: &str, cookie: &str) {
        let accepted = wait_for(PATIENCE, || (self.vote(choice, Some(cookie)) == 200).then_some(()));
        assert!(accepted.is_some(), "{}", readiness(&self.vote));
    }
}

fn store_settings(data: Option<&PathBuf>) -> Vec<(&'static str, String)> {
    data.map(|path| ("DATA", path.display().to_string())).into_iter().collect()
}

fn settings(queue: &str, results: Option<&String>, name: &str) -> Vec<(&'static str, String)> {
    let always = [("REDIS_URL", queue.to_owned()), ("INSTANCE", name.to_owned())];
    always.into_iter().chain(results.map(|url| ("RESULTS_URL", url.clone()))).collect()
}

/// What a service says of whether it is ready.
pub fn readiness(service: &RunningService) -> String {
    curl(&format!("http://{}/readyz", service.addresses[0]), &[]).body
}

/// The cookie of a voter.
pub fn voter(number: u32) -> String {
    format!("voter_id={number:032x}")
}
