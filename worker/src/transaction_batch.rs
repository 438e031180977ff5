//! The elements that one transaction settles, and its effects.
//!
//! It sends nothing. It decides which votes count: those with a larger sequence than the results hold for their
//! voter, and those without a sequence. Either the caller tells it what the results hold, or the database decides and
//! reports the voters.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::fetched_entries::{Element, FetchedEntries};
use crate::limits::{BATCH_MAX, TRANSACTION_BYTES_MAX};
use votes::{Choice, Entry as Vote, EntryError, sequence};
use wire::resp::Reply;

/// Why an element is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is no vote.
    NoVote(EntryError),
    /// The database of the results refuses what is in it.
    Refused,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVote(error) => write!(f, "{error}"),
            Self::Refused => f.write_str("the database refuses its content"),
        }
    }
}

/// An element that was too large to be taken in.
pub const OVERSIZED: Rejection = Rejection::NoVote(EntryError::Oversized);

/// What becomes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A vote that counts, until a later one of the same voter does.
    Counts(Choice),
    /// A vote that is no newer than what counts already.
    Superseded,
    /// No vote.
    Rejected(Rejection),
}

/// What a voter's entry in the results becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect<'a> {
    /// Who.
    pub voter: &'a [u8],
    /// The sequence to be held.
    pub sequence: u64,
    /// The other option's results hold the voter.
    pub moves: bool,
    /// The vote has a sequence of its own, and counts only if that is larger than what is held.
    pub is_ordered: bool,
}

/// The first of the entries that were fetched.
#[derive(Debug, Default)]
pub struct TransactionBatch {
    entries: Vec<Entry>,
    /// The voters' names, one behind the other.
    voters: Vec<u8>,
    /// Hashes that have not yet told what they hold.
    unread: usize,
}

#[derive(Debug)]
struct Entry {
    verdict: Verdict,
    voter: Range<usize>,
    /// Of the vote, and once it is judged the largest known for its voter.
    sequence: u64,
    is_ordered: bool,
    /// What the hashes hold for the voter; zero for a value that is no sequence.
    held: [Option<u64>; 2],
    /// No later element of the batch changes the effect of this one.
    decides: bool,
}

impl TransactionBatch {
    /// Takes the first that were fetched: an oversized one alone, or those before it, as many as fit and not
    /// more than `limit`.
    pub fn take(&mut self, fetched: &FetchedEntries, limit: usize) {
        self.clear();
        let mut bytes = 0;
        while self.entries.len() < limit.min(BATCH_MAX) && bytes < TRANSACTION_BYTES_MAX {
            match fetched.get(self.entries.len()) {
                Some(Element::Payload(payload)) => {
                    bytes += payload.len();
                    self.push(payload);
                }
                Some(Element::Oversized) if self.entries.is_empty() => {
                    return self.add(Verdict::Rejected(OVERSIZED), 0);
                }
                _ => break,
            }
        }
        self.unread = if self.voters.is_empty() { 0 } else { Choice::ALL.len() };
    }

    fn push(&mut self, payload: &[u8]) {
        let start = self.voters.len();
        match Vote::parse(payload) {
            Err(error) => self.add(Verdict::Rejected(Rejection::NoVote(error)), start),
            Ok(vote) => {
                self.voters.extend_from_slice(vote.voter_id.as_bytes());
                self.add(Verdict::Counts(vote.choice), start);
                if let Some(entry) = self.entries.last_mut() {
                    entry.sequence = vote.sequence;
                    entry.is_ordered = vote.sequence > 0;
                }
            }
        }
    }

    fn add(&mut self, verdict: Verdict, voter_start: usize) {
        let voter = voter_start..self.voters.len();
        let (sequence, is_ordered, held, decides) = (0, false, [None; 2], false);
        self.entries.push(Entry { verdict, voter, sequence, is_ordered, held, decides });
    }

    /// Forgets all elements.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.voters.clear();
        self.unread = 0;
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there are elements, and it is known what becomes of them.
    pub fn is_judged(&self) -> bool {
        !self.is_empty() && self.unread == 0
    }

    /// Whether it is one element that is too large to be looked into.
    pub fn is_oversized(&self) -> bool {
        self.verdicts().next() == Some(Verdict::Rejected(OVERSIZED))
    }

    /// What becomes of the elements, in order.
    pub fn verdicts(&self) -> impl DoubleEndedIterator<Item = Verdict> + Clone {
        self.entries.iter().map(|entry| entry.verdict)
    }

    /// The voters of the votes, in order.
    pub fn voters(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let votes = self.entries.iter().filter(|entry| !entry.voter.is_empty());
        votes.map(|entry| &self.voters[entry.voter.clone()])
    }

    /// What one option's results hold for [`TransactionBatch::voters`]; `None` when these are no such replies. The last
    /// one tells what becomes of the votes.
    pub fn hold<'a>(&mut self, choice: Choice, values: impl Iterator<Item = Reply<'a>>) -> Option<()> {
        let mut values = values;
        for entry in self.entries.iter_mut().filter(|entry| !entry.voter.is_empty()) {
            entry.held[choice as usize] = match values.next()? {
                Reply::Null => None,
                Reply::Bulk(value) => Some(sequence::parse(value).unwrap_or(0)),
                _ => return None,
            };
        }
        self.unread = self.unread.checked_sub(1)?;
        if self.unread == 0 {
            self.judge_all();
        }
        Some(())
    }

    /// Decides as far as that can be done without knowing what the results hold: who keeps them decides the rest,
    /// see [`TransactionBatch::confirm`].
    ///
    /// The batch ends before a vote with a sequence that follows one without of the same voter: whether it overrides
    /// that one depends on what the results hold.
    pub fn judge_unread(&mut self) {
        self.unread = 0;
        let follows = |(index, entry): (usize, &Entry)| {
            let same = |other: &&Entry| self.voters[other.voter.clone()] == self.voters[entry.voter.clone()];
            entry.is_ordered && self.entries[..index].iter().filter(same).any(|other| !other.is_ordered)
        };
        let end = self.entries.iter().enumerate().position(|(index, entry)| follows((index, entry)));
        self.entries.truncate(end.unwrap_or(self.entries.len()));
        self.judge_all();
    }

    /// The results have changed for those voters for whom this says so; the others' votes were too old.
    pub fn confirm(&mut self, has_changed: impl Fn(&[u8]) -> bool) {
        for entry in &mut self.entries {
            if matches!(entry.verdict, Verdict::Counts(_)) && !has_changed(&self.voters[entry.voter.clone()])
            {
                entry.verdict = Verdict::Superseded;
            }
        }
    }

    /// The results do not take what there is: a batch of one vote.
    pub fn refuse(&mut self) {
        for entry in &mut self.entries {
            entry.verdict = Verdict::Rejected(Rejection::Refused);
            entry.decides = false;
        }
    }

    fn judge_all(&mut self) {
        (0..self.entries.len()).for_each(|index| self.judge(index));
    }

    /// Decides on one vote after those before it. Each keeps the largest sequence known for its voter.
    fn judge(&mut self, index: usize) {
        let (before, rest) = self.entries.split_at_mut(index);
        let entry = &mut rest[0];
        let Verdict::Counts(_) = entry.verdict else { return };
        let voter = &self.voters[entry.voter.clone()];
        let is_same = |other: &Entry| self.voters[other.voter.clone()] == *voter;
        // There is hardly ever one: voters vote once.
        let earlier = before.iter().rposition(is_same).map_or(&mut [][..], |last| &mut before[..=last]);
        let standing = match earlier.last() {
            // Held by none: what the vote before leaves. Its own is what counts, or smaller.
            Some(other) => other.sequence,
            None => entry.held.into_iter().flatten().max().unwrap_or(0),
        };
        if !entry.is_ordered || entry.sequence > standing {
            earlier.iter_mut().filter(|other| is_same(other)).for_each(|other| other.decides = false);
            entry.decides = true;
        } else {
            entry.verdict = Verdict::Superseded;
        }
        entry.sequence = entry.sequence.max(standing);
    }

    /// What the votes for one option change in the results, a voter once.
    pub fn effects(&self, choice: Choice) -> impl Iterator<Item = Effect<'_>> + Clone {
        let deciding = move |entry: &&Entry| entry.decides && entry.verdict == Verdict::Counts(choice);
        self.entries.iter().filter(deciding).map(move |entry| Effect {
            voter: &self.voters[entry.voter.clone()],
            sequence: entry.sequence,
            moves: entry.held[choice.other() as usize].is_some(),
            is_ordered: entry.is_ordered,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString};

    /// A batch of votes: voter, choice, sequence.
    fn batch(votes: &[(&str, &str, u64)]) -> TransactionBatch {
        let mut fetched = FetchedEntries::default();
        for (voter, vote, sequence) in votes {
            let payload = format!(r#"{{"voter_id":"{voter}","vote":"{vote}","seq":"{sequence}"}}"#);
            fetched.push(payload.as_bytes());
        }
        let mut batch = TransactionBatch::default();
        batch.take(&fetched, BATCH_MAX);
        batch
    }

    fn hold(batch: &mut TransactionBatch, a: &[Option<&'static str>], b: &[Option<&'static str>]) {
        let reply =
            |value: &Option<&'static str>| value.map_or(Reply::Null, |text| Reply::Bulk(text.as_bytes()));
        batch.hold(Choice::A, a.iter().map(reply)).expect("replies");
        assert!(!batch.is_judged());
        batch.hold(Choice::B, b.iter().map(reply)).expect("replies");
        assert!(batch.is_judged());
    }

    /// Voter, sequence and whether it leaves the other option.
    fn effects(batch: &TransactionBatch, choice: Choice) -> Vec<String> {
        let text = |effect: Effect<'_>| {
            let voter = String::from_utf8_lossy(effect.voter).to_string();
            format!("{voter}={}{}", effect.sequence, if effect.moves { " moves" } else { "" })
        };
        batch.effects(choice).map(text).collect()
    }

    #[test]
    fn a_vote_counts_when_it_is_newer_than_what_is_held() {
        let mut batch = batch(&[("new", "a", 5), ("older", "a", 5), ("same", "a", 5), ("newer", "a", 5)]);
        hold(&mut batch, &[None, Some("6"), None, None], &[None, None, Some("5"), Some("4")]);
        assert_eq!(effects(&batch, Choice::A), ["new=5", "newer=5 moves"]);
        assert_eq!(effects(&batch, Choice::B), [""; 0]);
        let counts = Verdict::Counts(Choice::A);
        assert!(batch.verdicts().eq([counts, Verdict::Superseded, Verdict::Superseded, counts]));
    }

    #[test]
    fn a_voter_in_both_results_counts_by_the_larger_sequence() {
        let mut batch = batch(&[("x", "a", 5), ("y", "a", 5)]);
        hold(&mut batch, &[Some("3"), Some("7")], &[Some("7"), Some("3")]);
        assert!(batch.verdicts().eq([Verdict::Superseded; 2]));
    }

    #[test]
    fn within_a_batch_the_newest_decides() {
        let votes = [("x", "a", 7), ("y", "b", 1), ("x", "b", 9), ("x", "a", 8), ("y", "b", 1)];
        let mut batch = batch(&votes);
        hold(&mut batch, &[Some("3"), None, Some("3"), Some("3"), None], &[None; 5]);
        assert_eq!(effects(&batch, Choice::A), [""; 0]);
        assert_eq!(effects(&batch, Choice::B), ["y=1", "x=9 moves"]);
    }

    #[test]
    fn a_vote_without_a_sequence_counts_and_keeps_what_is_known() {
        let mut batch = batch(&[("x", "a", 0), ("x", "b", 4), ("y", "b", 0)]);
        hold(&mut batch, &[None, None, Some("00ff")], &[Some("4"), Some("4"), None]);
        assert_eq!(effects(&batch, Choice::A), ["x=4 moves"]);
        assert_eq!(effects(&batch, Choice::B), ["y=0 moves"], "what is no sequence is none");
    }

    #[test]
    fn a_batch_ends_when_full_or_before_an_oversized_vote() {
        let mut fetched = FetchedEntries::default();
        fetched.push(b"no vote");
        fetched.push_oversized();
        let mut batch = TransactionBatch::default();
        batch.take(&fetched, BATCH_MAX);
        assert_eq!((batch.len(), batch.is_judged(), batch.is_oversized()), (1, true, false));
        fetched.settle(1);
        batch.take(&fetched, BATCH_MAX);
        assert!(batch.is_oversized() && batch.is_judged());

        fetched.clear();
        (0..BATCH_MAX).for_each(|_| fetched.push(&[b' '; TRANSACTION_BYTES_MAX / 16]));
        batch.take(&fetched, BATCH_MAX);
        assert_eq!(batch.len(), 16);
    }

    #[test]
    fn replies_that_do_not_fit_the_voters_are_refused() {
        let mut batch = batch(&[("x", "a", 1)]);
        assert_eq!(batch.hold(Choice::A, [].into_iter()), None);
        assert_eq!(batch.hold(Choice::A, [Reply::Integer(1)].into_iter()), None);
    }
}
