//! What happened in a run, in words: votes and faults with their times, for whoever replays a seed.
//!
//! Costs nothing until it is read: entries are kept as values and written when they are asked for.

use std::fmt;

use kernel_app::Instant;

use super::ledger::{Answer, Choice};

/// Most entries that are kept; a run has some hundreds.
pub const ENTRIES_MAX: usize = 100_000;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A voter sent a vote.
    Cast {
        /// Number of the voter.
        voter: usize,
        /// What for.
        choice: Choice,
        /// Number of the vote instance.
        instance: usize,
    },
    /// A voter's attempt ended.
    Answered {
        /// Number of the voter.
        voter: usize,
        /// How.
        answer: Answer,
    },
    /// A fault began.
    Begins(String),
    /// A fault ended.
    Ends(String),
    /// Anything else worth knowing.
    Note(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cast { voter, choice, instance } => {
                write!(f, "voter {voter} votes {} at vote-{instance}", choice.as_str())
            }
            Self::Answered { voter, answer } => write!(f, "voter {voter} hears: {answer:?}"),
            Self::Begins(fault) => write!(f, "fault begins: {fault}"),
            Self::Ends(fault) => write!(f, "fault ends: {fault}"),
            Self::Note(text) => f.write_str(text),
        }
    }
}

/// The entries of a run.
#[derive(Debug, Default)]
pub struct Chronicle {
    entries: Vec<(Instant, Event)>,
}

impl Chronicle {
    /// Adds an entry, while there is room.
    pub fn add(&mut self, at: Instant, event: Event) {
        if self.entries.len() < ENTRIES_MAX {
            self.entries.push((at, event));
        }
    }
}

impl fmt::Display for Chronicle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, event) in &self.entries {
            writeln!(f, "{:>12.6} {event}", at.as_micros() as f64 / 1e6)?;
        }
        Ok(())
    }
}
