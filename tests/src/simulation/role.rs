//! What a node of the application does.

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Keeps queue and results.
    Store,
    /// Counts votes.
    Worker,
    /// Takes votes.
    Vote,
    /// Shows the scores.
    Result,
}
