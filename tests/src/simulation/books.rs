//! A run's books. They judge nothing.

use kernel_app::Instant;

use super::chronicle::Chronicle;
use super::counts::Counts;
use super::ledger::Ledger;
use super::plan::Plan;

/// What is written down during a run.
pub struct Books {
    /// What may be counted.
    pub ledger: Ledger,
    /// What happened.
    pub chronicle: Chronicle,
    /// How often.
    pub counts: Counts,
    /// Everything accepted before this was counted at some time since.
    pub drained_at: Instant,
    /// When results went back the last time: looks from before say nothing about those from after.
    pub results_from: Instant,
    /// How many writes of the store were durable by when.
    durable: Vec<(u64, Instant)>,
}

impl Books {
    /// Empty ones, for so many voters.
    pub fn new(voters: usize) -> Self {
        let (chronicle, counts) = Default::default();
        let (drained_at, results_from) = (Instant::ZERO, Instant::ZERO);
        let (ledger, durable) = (Ledger::new(voters), Vec::new());
        Self { ledger, chronicle, counts, drained_at, results_from, durable }
    }

    /// So many writes of the store are durable by now.
    pub fn note_durable(&mut self, writes: u64, now: Instant) {
        if self.durable.last().is_none_or(|(known, _)| *known < writes) {
            self.durable.push((writes, now));
        }
    }

    /// When the write with this number had become durable: nobody had heard of it before.
    pub fn durable_at(&self, write: u64) -> Instant {
        let place = self.durable.partition_point(|(known, _)| *known < write);
        self.durable.get(place).map_or(Instant::ZERO, |(_, at)| *at)
    }

    /// The store's data go back to what they were at `since`, and the results with them if they are there. What is
    /// in the database stays.
    pub fn store_goes_back(&mut self, since: Instant, plan: Plan, now: Instant) {
        if plan.has_database {
            self.ledger.forget(since.max(self.drained_at));
        } else {
            self.ledger.forget(since);
            self.results_go_back(now);
        }
    }

    /// The database goes back to a time by which everything accepted before `drained_at` was counted.
    pub fn database_goes_back(&mut self, drained_at: Instant) {
        self.ledger.forget(drained_at);
    }

    /// What is counted is not what was counted.
    pub fn results_go_back(&mut self, now: Instant) {
        self.results_from = now;
    }
}
