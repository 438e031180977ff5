//! The restart policy of a service, in compose's words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Most restarts in a row that a policy may allow.
pub const RETRIES_MAX: u32 = 1000;

/// Whether an instance is started again, in compose's words: `no`, `on-failure` or `on-failure:3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Restart {
    /// It is not.
    #[default]
    No,
    /// It is restarted after a failure, up to this many times in a row.
    OnFailure {
        /// None for no end.
        retries_max: Option<u32>,
    },
}

impl FromStr for Restart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let retries = |count: &str| count.parse().ok().filter(|count| (1..=RETRIES_MAX).contains(count));
        match text.split_once(':') {
            None if text == "no" => Ok(Self::No),
            None if text == "on-failure" => Ok(Self::OnFailure { retries_max: None }),
            Some(("on-failure", count)) if retries(count).is_some() => {
                Ok(Self::OnFailure { retries_max: retries(count) })
            }
            _ => Err(format!(
                "{text:?} is not a restart policy: give \"no\", \"on-failure\", or \"on-failure:N\" with 1 to {RETRIES_MAX} retries"
            )),
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::OnFailure { retries_max: None } => f.write_str("on-failure"),
            Self::OnFailure { retries_max: Some(count) } => write!(f, "on-failure:{count}"),
        }
    }
}

impl<'de> Deserialize<'de> for Restart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Restart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_compose_s_words() {
        for text in ["no", "on-failure", "on-failure:3", "on-failure:1000"] {
            assert_eq!(text.parse::<Restart>().expect(text).to_string(), text);
        }
        for wrong in ["", "always", "on-failure:", "on-failure:0", "on-failure:x", "on-failure:1001", "no:1"]
        {
            assert!(wrong.parse::<Restart>().expect_err(wrong).contains("on-failure:N"), "{wrong}");
        }
    }
}
