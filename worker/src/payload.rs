//! One queue element: the JSON object `{"voter_id", "vote"}`, with an optional `id` and `seq`.
//!
//! More fields may follow and are ignored. Decides nothing about what becomes of an element.

use alloc::borrow::Cow;
use core::fmt;

use crate::limits::{PAYLOAD_BYTES_MAX, TEXT_CHARS_MAX};
use serde::Deserialize;

/// What a vote can be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The first option.
    A,
    /// The second option.
    B,
}

impl Choice {
    /// Both, in the order of their discriminants.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// As it is written in votes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The hash that holds the voters whose last choice this is.
    pub const fn results_key(self) -> &'static [u8] {
        match self {
            Self::A => b"results:a",
            Self::B => b"results:b",
        }
    }

    /// The one that was not chosen.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Why an element is not a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Not a JSON object with the fields of a vote.
    Malformed,
    /// For something else than the two options.
    UnknownVote,
    /// `voter_id` is empty, too long, or has a zero byte, which no column of text can hold.
    VoterId,
    /// `id` is too long.
    Id,
    /// `seq` is no number.
    Sequence,
    /// Too long to be looked into.
    Oversized,
    /// The database of the results refuses what is in it.
    Refused,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a JSON object with voter_id and vote"),
            Self::UnknownVote => f.write_str("vote is neither \"a\" nor \"b\""),
            Self::VoterId => {
                write!(f, "voter_id has not 1 to {TEXT_CHARS_MAX} characters, none of them zero")
            }
            Self::Id => write!(f, "id has more than {TEXT_CHARS_MAX} characters"),
            Self::Sequence => f.write_str("seq is not a decimal number below 2^64 in a string"),
            Self::Oversized => write!(f, "longer than {PAYLOAD_BYTES_MAX} bytes"),
            Self::Refused => f.write_str("the database refuses what is in it"),
        }
    }
}

impl core::error::Error for Rejection {}

/// A vote as the queue carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote<'a> {
    /// Who votes; 1 to [`TEXT_CHARS_MAX`] characters.
    pub voter_id: Cow<'a, str>,
    /// For what.
    pub choice: Choice,
    /// Names this vote, also when it is sent again; empty when the sender gave none.
    pub id: Cow<'a, str>,
    /// Of two votes of a voter the one with the larger number counts; zero when the sender gave none.
    pub sequence: u64,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    voter_id: Text<'a>,
    #[serde(borrow)]
    vote: Text<'a>,
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    seq: Option<Text<'a>>,
}

/// Borrows from the payload unless it has escapes; a bare `Option<Cow>` would always copy.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Vote<'a> {
    /// Reads a queue element.
    ///
    /// # Errors
    /// Why it is not a vote.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Rejection> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Rejection::Oversized);
        }
        // Serde would also take an array of the fields' values.
        if payload.trim_ascii_start().first() != Some(&b'{') {
            return Err(Rejection::Malformed);
        }
        let fields: Fields<'a> = serde_json::from_slice(payload).map_err(|_| Rejection::Malformed)?;
        let choice = Choice::ALL.into_iter().find(|choice| choice.as_str() == fields.vote.0);
        let sequence = fields.seq.map_or(Some(0), |text| parse_sequence(text.0.as_bytes()));
        let vote = Self {
            voter_id: fields.voter_id.0,
            choice: choice.ok_or(Rejection::UnknownVote)?,
            id: fields.id.map(|id| id.0).unwrap_or_default(),
            sequence: sequence.ok_or(Rejection::Sequence)?,
        };
        match vote {
            Vote { ref voter_id, .. } if !is_name(voter_id) => Err(Rejection::VoterId),
            Vote { ref id, .. } if is_long(id) => Err(Rejection::Id),
            vote => Ok(vote),
        }
    }
}

/// A sequence as votes and results carry it: decimal digits, leading zeros allowed.
pub fn parse_sequence(text: &[u8]) -> Option<u64> {
    const DIGITS_MAX: usize = 20;
    if text.is_empty() || text.len() > DIGITS_MAX {
        return None;
    }
    text.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then_some(u64::from(byte.wrapping_sub(b'0')))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !is_long(text) && !text.contains('\0')
}

fn is_long(text: &str) -> bool {
    text.len() > TEXT_CHARS_MAX && text.chars().count() > TEXT_CHARS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    fn rejection(payload: &str) -> Option<Rejection> {
        Vote::parse(payload.as_bytes()).err()
    }

    #[test]
    fn the_originals_votes_and_ours_are_read_without_a_copy() {
        let original = Vote::parse(br#"{"voter_id": "1f", "vote": "b"}"#).expect("a vote");
        assert_eq!((&*original.voter_id, original.choice, &*original.id), ("1f", Choice::B, ""));
        let ours = br#"{"voter_id":"00","vote":"a","id":"ff","at":[1,{"deep":null}],"vote2":"x"}"#;
        let ours = Vote::parse(ours).expect("a vote");
        assert_eq!((&*ours.voter_id, ours.choice, &*ours.id), ("00", Choice::A, "ff"));
        assert!(matches!((&ours.voter_id, &ours.id), (Cow::Borrowed(_), Cow::Borrowed(_))));
        assert_eq!(rejection(r#"{"voter_id":"x","vote":"a","id":null}"#), None);
    }

    #[test]
    fn a_sequence_is_a_number_in_a_string() {
        let of = |seq: &str| {
            let payload = format!(r#"{{"voter_id":"x","vote":"a","seq":{seq}}}"#);
            Vote::parse(payload.as_bytes()).map(|vote| vote.sequence)
        };
        assert_eq!(of("null"), Ok(0));
        assert_eq!(of(r#""00000000000000065536""#), Ok(65_536));
        assert_eq!(of(r#""18446744073709551615""#), Ok(u64::MAX));
        for wrong in ["", "-1", "+1", "1.5", "x", "18446744073709551616", "000000000000000000001"] {
            assert_eq!(of(&format!(r#""{wrong}""#)), Err(Rejection::Sequence), "{wrong}");
        }
        assert_eq!(of("7"), Err(Rejection::Malformed), "a number would lose digits in JavaScript's hands");
    }

    #[test]
    fn escapes_are_decoded_before_anything_is_compared() {
        let vote = Vote::parse(br#"{"voter_id":"\u00e9\"\n\ud83d\ude00","vote":"\u0061"}"#).expect("a vote");
        assert_eq!(vote.voter_id, "é\"\n😀");
        assert_eq!(vote.choice, Choice::A);
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let of = |voter: &str, id: &str| format!(r#"{{"voter_id":"{voter}","vote":"a","id":"{id}"}}"#);
        let (full, over) = ("é".repeat(255), "é".repeat(256));
        assert_eq!(rejection(&of(&full, &full)), None);
        assert_eq!(rejection(&of(&"\\ud83d\\ude00".repeat(255), "")), None, "all escaped still fits");
        assert_eq!(rejection(&of(&over, "")), Some(Rejection::VoterId));
        assert_eq!(rejection(&of("", "")), Some(Rejection::VoterId));
        assert_eq!(rejection(&of("a\\u0000", "")), Some(Rejection::VoterId));
        assert_eq!(rejection(&of("x", &over)), Some(Rejection::Id));
        assert_eq!(rejection(&of("x", &"y".repeat(PAYLOAD_BYTES_MAX))), Some(Rejection::Oversized));
    }

    #[test]
    fn whatever_is_not_a_vote_is_rejected() {
        for payload in [
            "",
            " ",
            "{",
            "null",
            "\"a\"",
            r#"["x","a"]"#,
            r#"{"vote":"a"}"#,
            r#"{"voter_id":"x"}"#,
            r#"{"voter_id":7,"vote":"a"}"#,
            r#"{"voter_id":"x","vote":"a"} x"#,
            r#"{"voter_id":"x","vote":"a","vote":"b"}"#,
            r#"{"voter_id":"\ud83d","vote":"a"}"#,
            r#"{"voter_id":"x","vote":"a","id":7}"#,
        ] {
            assert_eq!(rejection(payload), Some(Rejection::Malformed), "{payload}");
        }
        for vote in ["c", "A", "", "ab", " a"] {
            let payload = format!(r#"{{"voter_id":"x","vote":"{vote}"}}"#);
            assert_eq!(rejection(&payload), Some(Rejection::UnknownVote), "{payload}");
        }
        assert_eq!(Vote::parse(b"{\"voter_id\":\"\xff\",\"vote\":\"a\"}"), Err(Rejection::Malformed));
        let nested: String = core::iter::repeat_n('[', 4000).collect();
        let nested = format!(r#"{{"voter_id":"x","vote":"a","x":{nested}"#);
        assert_eq!(rejection(&nested), Some(Rejection::Malformed), "nesting does not exhaust the stack");
    }
}
