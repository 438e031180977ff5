//! The two options of the poll. Settings of the services give them their names.

use serde::Serialize;

use crate::keys;

/// One of the two options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The first option.
    A,
    /// The second option.
    B,
}

impl Choice {
    /// Both, in the order of [`Choice::index`].
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The option that a form or an entry names.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.as_str() == text)
    }

    /// As it stands in forms, entries, results and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// Place in an array of two.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The one that was not chosen.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The hash that holds the voters whose last choice this is.
    pub const fn results_key(self) -> &'static [u8] {
        keys::RESULTS[self.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_options_and_no_others() {
        for choice in Choice::ALL {
            assert_eq!(Choice::parse(choice.as_str()), Some(choice));
            assert_eq!(crate::json::to_string(&choice), alloc::format!("\"{}\"", choice.as_str()));
            assert!(choice.results_key().ends_with(choice.as_str().as_bytes()));
        }
        for wrong in ["", "c", "A", "ab", "a "] {
            assert_eq!(Choice::parse(wrong), None, "{wrong}");
        }
    }
}
