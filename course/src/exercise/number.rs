//! Numbers of exercises, as readers type them and folders begin with them.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};

/// Chapter, and place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// The chapter.
    pub chapter: u8,
    /// The exercise's place in it, from 1.
    pub index: u8,
}

impl Number {
    /// The number that a folder's name begins with: two digits, a point, one digit and a hyphen.
    pub fn of_folder(name: &str) -> Option<Self> {
        let (number, slug) = name.split_once('-')?;
        let parsed = Self::parse(number)?;
        (parsed.to_string() == number && !slug.is_empty()).then_some(parsed)
    }

    /// As a reader types it, without the zero before a chapter of one digit.
    pub fn typed(self) -> String {
        format!("{}.{}", self.chapter, self.index)
    }

    fn parse(text: &str) -> Option<Self> {
        let (chapter, index) = text.split_once('.')?;
        Some(Self { chapter: digits(chapter)?, index: digits(index)? })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}.{}", self.chapter, self.index)
    }
}

/// Which exercises are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every one.
    All,
    /// Those of a chapter.
    Chapter(u8),
    /// This one.
    One(Number),
}

impl FromStr for Selection {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "all" {
            return Ok(Self::All);
        }
        match (Number::parse(text), digits(text)) {
            (Some(number), _) => Ok(Self::One(number)),
            (None, Some(chapter)) => Ok(Self::Chapter(chapter)),
            (None, None) => bail!("{text:?} is no exercise: give `6.2`, a chapter as `6`, or `all`"),
        }
    }
}

/// A number of digits alone; `parse` would take a sign, too.
fn digits(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Number = Number { chapter: 6, index: 2 };

    #[test]
    fn readers_may_type_it_with_and_without_a_zero() {
        for text in ["6.2", "06.2"] {
            assert_eq!(text.parse::<Selection>().expect("a number"), Selection::One(TWO));
        }
        assert_eq!("12".parse::<Selection>().expect("a chapter"), Selection::Chapter(12));
        assert_eq!("all".parse::<Selection>().expect("all"), Selection::All);
        for text in ["", "6.", ".2", "+6.2", "6.2.1", "six", "999"] {
            let error = text.parse::<Selection>().expect_err(text).to_string();
            assert!(error.contains("give `6.2`, a chapter as `6`, or `all`"), "{error}");
        }
        assert_eq!((TWO.to_string(), TWO.typed()), ("06.2".to_owned(), "6.2".to_owned()));
    }

    #[test]
    fn a_folder_has_its_number_written_in_one_way() {
        assert_eq!(Number::of_folder("06.2-lost-interrupt"), Some(TWO));
        for name in ["6.2-lost", "06.2", "06.2-", "README.md", "06-2-x"] {
            assert_eq!(Number::of_folder(name), None, "{name}");
        }
    }
}
