//! The number of voters for each option.

use serde::Serialize;

/// One count for each option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scores {
    /// Voters whose last choice is the first option.
    pub a: u64,
    /// Voters whose last choice is the second option.
    pub b: u64,
}

impl Scores {
    /// Voters altogether.
    pub fn total(self) -> u64 {
        self.a.saturating_add(self.b)
    }
}
