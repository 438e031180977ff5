//! Deliberate flaws of the model of PostgreSQL.

/// What is wrong on purpose with the database, or with how the services use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// What comes last counts, however old it is.
    NoGuard,
    /// Sequences are compared whatever store they are from.
    EpochsIgnored,
    /// A vote that takes the place of another does not leave its sequence.
    SequenceForgotten,
    /// Who was refused goes on as if it had been carried out.
    RefusalsIgnored,
    /// The last commits are lost when the database ends: nobody has waited for its disk.
    CommitsLost,
}
