//! What looks into the store and the database have found. Judges nothing.

use std::collections::BTreeMap;

use kernel_app::Instant;

use super::ledger::Choice;

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// When the store was asked.
    pub began: Instant,
    /// No transaction of the neighbour is half there.
    pub is_whole: bool,
    /// The name of every field of the results, and the option under which it was found; a voter who is
    /// in both is in it twice.
    pub counted: Vec<(String, Choice)>,
    /// Elements on the queue.
    pub queue: usize,
    /// Elements on all processing lists.
    pub processing: usize,
}

impl Look {
    /// Whether no vote waits anywhere.
    pub fn is_drained(&self) -> bool {
        self.queue == 0 && self.processing == 0
    }

    /// The voters and their choice; the last one of a voter who is in it twice.
    pub fn by_voter(&self) -> BTreeMap<&str, Choice> {
        self.counted.iter().map(|(voter, choice)| (voter.as_str(), *choice)).collect()
    }
}

/// What auditor and test share.
#[derive(Debug, Default)]
pub struct Findings {
    /// The looks since the test took them.
    pub looks: Vec<Look>,
    /// An answer of the store that is not what it should be.
    pub complaint: Option<String>,
}
