//! The two ends of a list.

use crate::failure::Failure;

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The head, as in `LPUSH`.
    Left,
    /// The tail, as in `RPUSH`.
    Right,
}

impl End {
    /// The end that `LEFT` or `RIGHT` names, in any case.
    ///
    /// # Errors
    /// [`Failure::Syntax`] for another word.
    pub fn parse(word: &[u8]) -> Result<Self, Failure> {
        if word.eq_ignore_ascii_case(b"LEFT") {
            Ok(Self::Left)
        } else if word.eq_ignore_ascii_case(b"RIGHT") {
            Ok(Self::Right)
        } else {
            Err(Failure::Syntax)
        }
    }

    /// The word for it, as `LMOVE` takes it.
    pub fn word(self) -> &'static [u8] {
        match self {
            Self::Left => b"LEFT",
            Self::Right => b"RIGHT",
        }
    }

    /// The name of the command that takes an element from it.
    pub fn pop(self) -> &'static [u8] {
        match self {
            Self::Left => b"LPOP",
            Self::Right => b"RPOP",
        }
    }

    /// The name of the command that adds an element to it.
    pub(super) fn push(self) -> &'static [u8] {
        match self {
            Self::Left => b"LPUSH",
            Self::Right => b"RPUSH",
        }
    }
}
