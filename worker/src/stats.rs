//! Counters of a worker's work.
//!
//! `worker` writes them as metrics.

use kernel_app::metrics::Counter;
use votes::Choice;

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Votes counted, in the order of [`Choice::ALL`].
    pub counted: [Counter; Choice::ALL.len()],
    /// Votes that came later than a newer one of the same voter, or once more.
    pub superseded: Counter,
    /// Queue elements that are no votes.
    pub rejected: Counter,
    /// Transactions that the store has carried out.
    pub batches: Counter,
    /// Transactions that were not carried out because another worker had changed what they depend on.
    pub conflicts: Counter,
    /// Elements moved back to the queue.
    pub replayed: Counter,
    /// Elements of workers that are gone, moved back to the queue.
    pub reclaimed: Counter,
    /// Times that votes had to wait because the results, which are kept elsewhere, did not take them.
    pub results_errors: Counter,
    /// Times that votes had to wait because the store answered with an error.
    pub store_errors: Counter,
}
