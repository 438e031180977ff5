//! What a worker has done, in numbers.
//!
//! Writes no exposition; `worker` does.

use crate::payload::Choice;
use kernel_app::metrics::Counter;

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Votes counted, in the order of [`Choice::ALL`].
    pub counted: [Counter; Choice::ALL.len()],
    /// Queue elements that are no votes.
    pub rejected: Counter,
    /// Transactions that the store has carried out.
    pub batches: Counter,
    /// Elements moved back to the queue.
    pub replayed: Counter,
    /// Times that votes had to wait because the store answered with an error.
    pub store_errors: Counter,
}
