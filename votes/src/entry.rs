//! One entry of the queue: the JSON object of a vote, read and written with serde.
//!
//! The original writes only `voter_id` and `vote`. Unknown fields are ignored.

mod fields;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use core::fmt;

use fields::Fields;
use serde::Serialize;

use crate::choice::Choice;
use crate::json;
use crate::sequence;

/// Longest `voter_id` and `id`, in characters; the original's column is `VARCHAR(255)`.
pub const TEXT_CHARS_MAX: usize = 255;
/// Longest entry that is read. Enough for a `voter_id` of [`TEXT_CHARS_MAX`] characters that are all escaped.
pub const PAYLOAD_BYTES_MAX: usize = 4096;

/// A vote as the queue carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry<'a> {
    /// Who votes; 1 to [`TEXT_CHARS_MAX`] characters.
    pub voter_id: Cow<'a, str>,
    /// For what.
    #[serde(rename = "vote")]
    pub choice: Choice,
    /// Names this vote, also when it is sent again; empty when the sender gave none.
    pub id: Cow<'a, str>,
    /// Of two votes of a voter the one with the larger number counts; zero when the sender gave none.
    #[serde(rename = "seq", serialize_with = "sequence::serialize")]
    pub sequence: u64,
}

/// Why an element of the queue is not a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryError {
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
}

impl fmt::Display for EntryError {
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
        }
    }
}

impl core::error::Error for EntryError {}

impl<'a> Entry<'a> {
    /// Reads an element of the queue.
    ///
    /// # Errors
    /// Why it is not a vote.
    pub fn parse(payload: &'a [u8]) -> Result<Self, EntryError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(EntryError::Oversized);
        }
        let fields = Fields::read(payload).map_err(|_| EntryError::Malformed)?;
        let sequence = fields.seq.map_or(Some(0), |text| sequence::parse(text.0.as_bytes()));
        let entry = Self {
            voter_id: fields.voter_id.0,
            choice: Choice::parse(&fields.vote.0).ok_or(EntryError::UnknownVote)?,
            id: fields.id.map(|id| id.0).unwrap_or_default(),
            sequence: sequence.ok_or(EntryError::Sequence)?,
        };
        match entry {
            Self { ref voter_id, .. } if !is_name(voter_id) => Err(EntryError::VoterId),
            Self { ref id, .. } if is_long(id) => Err(EntryError::Id),
            entry => Ok(entry),
        }
    }

    /// The entry as JSON; none when it is longer than a vote service's can be.
    #[inline]
    pub fn to_json(&self) -> Option<EntryJson> {
        let mut json = EntryJson { bytes: [0; EntryJson::BYTES_MAX], length: 0 };
        self.serialize(json::Serializer::new(&mut json)).ok()?;
        Some(json)
    }
}

/// An entry's JSON, without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct EntryJson {
    bytes: [u8; Self::BYTES_MAX],
    length: usize,
}

impl EntryJson {
    /// Room for two ids of 32 digits, and some.
    const BYTES_MAX: usize = 160;

    /// The JSON.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl json::Output for EntryJson {
    #[inline]
    fn put(&mut self, piece: &[u8]) -> Result<(), json::Error> {
        let end = self.length + piece.len();
        self.bytes.get_mut(self.length..end).ok_or(json::Error::Full)?.copy_from_slice(piece);
        self.length = end;
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !is_long(text) && !text.contains('\0')
}

fn is_long(text: &str) -> bool {
    text.len() > TEXT_CHARS_MAX && text.chars().count() > TEXT_CHARS_MAX
}
