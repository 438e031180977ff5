//! A place that breaks a rule, and how it is told.

use std::fmt;

use crate::sources::Source;

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach {
    /// Path of the file, from the repository's root.
    pub path: String,
    /// Number of the line, from 1; 0 is the file as a whole.
    pub line: usize,
    /// What is wrong, and how it is mended.
    pub text: String,
}

impl Breach {
    pub(crate) fn new(source: &Source, line: usize, text: impl Into<String>) -> Self {
        Self { path: source.path.clone(), line, text: text.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}
