//! One vote: which option, and how it is written into the queue.
//!
//! Does not say what an option is called; the pages do.

use wire::resp::Digits;

use crate::voter::{DIGITS, Id, Voter};

/// List in the store where votes wait for the worker.
pub const QUEUE: &[u8] = b"votes";

/// Hashes in the store where those are who have voted, when results are kept there: in one of them at a time.
pub const RESULTS: [&[u8]; 2] = [b"results:a", b"results:b"];

/// Counter in the store that tickets come from.
pub const TICKETS: &[u8] = b"votes:ticket";

const HEAD: &[u8; 13] = br#"{"voter_id":""#;
const TEMPLATE: &[u8] = concat!(
    r#"{"voter_id":"00000000000000000000000000000000","vote":"a","#,
    r#""id":"00000000000000000000000000000000","seq":"00000000000000000000"}"#
)
.as_bytes();
const VOTER_END: usize = HEAD.len() + DIGITS;
const VOTE_AT: usize = VOTER_END + br#"","vote":""#.len();
const ID_AT: usize = VOTE_AT + 1 + br#"","id":""#.len();
const SEQUENCE_END: usize = TEMPLATE.len() - br#""}"#.len();

/// One of the two options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The first option.
    A,
    /// The second option.
    B,
}

impl Choice {
    /// Both, in the order of [`Choice::index`].
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The option that the form's field names.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "a" => Some(Self::A),
            "b" => Some(Self::B),
            _ => None,
        }
    }

    /// As it stands in forms, in the queue and in metrics.
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
}

/// The queue's JSON for a vote.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    json: [u8; TEMPLATE.len()],
    /// Where it begins: further back when the voter's id is short.
    start: usize,
}

impl Entry {
    /// `id` names the vote, and of two votes of a voter the one with the larger `sequence` counts, so the worker
    /// counts it once however often it sees it. The sequence is a string: as a number it would lose digits in
    /// JavaScript's hands.
    pub fn new(voter: Voter, choice: Choice, id: Id, sequence: u64) -> Self {
        let mut json = [0; TEMPLATE.len()];
        json.copy_from_slice(TEMPLATE);
        let start = voter.write_behind(HEAD, &mut json, VOTER_END);
        json[VOTE_AT] = choice.as_str().as_bytes()[0];
        json[ID_AT..ID_AT + DIGITS].copy_from_slice(&id.0);
        let digits = Digits::of_u64(sequence);
        let digits = digits.as_bytes();
        json[SEQUENCE_END - digits.len()..SEQUENCE_END].copy_from_slice(digits);
        Self { json, start }
    }

    /// The JSON.
    pub fn as_bytes(&self) -> &[u8] {
        &self.json[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_the_json_that_the_worker_expects() {
        let id = Id(*b"fedcba9876543210fedcba9876543210");
        for voter in ["0123456789abcdef0123456789abcdef", "1f2e3d4c5b6a798", "0"] {
            for (sequence, digits) in [(65_537, "00000000000000065537"), (u64::MAX, "18446744073709551615")] {
                let expected = alloc::format!(
                    r#"{{"voter_id":"{voter}","vote":"b","id":"{}","seq":"{digits}"}}"#,
                    "fedcba9876543210fedcba9876543210"
                );
                let entry = Entry::new(Voter::parse(voter).expect("a voter"), Choice::B, id, sequence);
                assert_eq!(core::str::from_utf8(entry.as_bytes()), Ok(&*expected));
            }
        }
    }

    #[test]
    fn there_are_two_options_and_no_others() {
        for choice in Choice::ALL {
            assert_eq!(Choice::parse(choice.as_str()), Some(choice));
        }
        for wrong in ["", "c", "A", "ab", "a "] {
            assert_eq!(Choice::parse(wrong), None, "{wrong}");
        }
    }
}
