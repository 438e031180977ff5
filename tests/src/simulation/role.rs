//! The roles of an application's nodes.

/// What a node of the application does.
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
