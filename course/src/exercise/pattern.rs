//! Regular expressions in `exercise.toml`.

use regex::Regex;
use serde::Deserialize;

/// A regular expression that is well formed.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// Whether it is found in a text.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let why = |error: regex::Error| format!("{text:?} is no regular expression: {error}");
        Regex::new(&text).map(Self).map_err(why)
    }
}
