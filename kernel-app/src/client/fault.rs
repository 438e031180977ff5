//! The reasons why a connection cannot be used: those of one protocol, and the texts for all others.

use core::fmt;

/// What may be wrong in one protocol only, and what the server is called in messages.
pub trait Fault: Clone + fmt::Debug + fmt::Display + PartialEq {
    /// The words for what may happen in any protocol.
    const WORDS: Words;
}

/// Reasons, for operators.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The server has answered for the first time on a connection.
    pub answers: &'static str,
    /// There is no connection yet.
    pub away: &'static str,
    /// What the reason follows why it cannot be reached.
    pub unreachable: &'static str,
    /// Answers are overdue.
    pub silent: &'static str,
    /// Too much waits.
    pub busy: &'static str,
    /// `Broken::Ended`.
    pub ended: &'static str,
    /// `Broken::TooLarge`.
    pub too_large: &'static str,
    /// `Broken::Unasked`.
    pub unasked: &'static str,
    /// `Broken::Overdue`.
    pub overdue: &'static str,
    /// `Broken::Moved`.
    pub moved: &'static str,
}
