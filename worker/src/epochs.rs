//! The epochs that the store knows, and the epoch of a given sequence.
//!
//! It sends nothing. Vote instances begin epochs (`vote-service/src/epoch.rs` says why) and record in `votes:epochs`
//! at which sequence each begins. A vote belongs to the last epoch that begins at or before its sequence. Sequences
//! order the votes of one store. Across stores, and across losses of a store, only epochs do, in the order in which
//! the results' database registered them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::limits::{EPOCH_BYTES_MAX, EPOCHS_MAX};
use votes::keys::PRUNED;
use votes::sequence;
use wire::resp::Reply;

/// The epochs by their beginnings, and those that the database knows.
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    /// In the order in which they begin.
    begins: Vec<(u64, String)>,
    /// There were older ones.
    pruned: bool,
}

impl Epochs {
    /// Reads the hash; what is no epoch is none.
    pub fn read<'a>(mut fields: impl Iterator<Item = Reply<'a>>) -> Self {
        let mut epochs = Self::default();
        while let (Some(Reply::Bulk(name)), Some(Reply::Bulk(begin))) = (fields.next(), fields.next()) {
            epochs.pruned |= name == PRUNED;
            if let (Some(name), Some(begin)) = (parse_name(name), sequence::parse(begin))
                && epochs.begins.len() < EPOCHS_MAX
            {
                let begin = (begin, name.into());
                // In order as they come: there are few, and a sort is five kilobytes of an image.
                epochs.begins.insert(epochs.begins.partition_point(|known| *known < begin), begin);
            }
        }
        epochs
    }

    /// Their names, in the order in which they begin.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.begins.iter().map(|(_, name)| name.as_str())
    }

    /// Which of [`Epochs::names`] a sequence belongs to, counted from 1; 0 before all of them. None when nobody
    /// knows: there were others, or the store has not been told of any.
    pub fn place(&self, sequence: u64) -> Option<usize> {
        let place = self.begins.partition_point(|(begin, _)| *begin <= sequence);
        let is_known = place > 0 || !(self.pruned || self.begins.is_empty());
        is_known.then_some(place)
    }
}

fn parse_name(name: &[u8]) -> Option<&str> {
    let is_name =
        name != PRUNED && name.len() <= EPOCH_BYTES_MAX && name.iter().all(u8::is_ascii_alphanumeric);
    core::str::from_utf8(name).ok().filter(|_| is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&'static str, &'static str)]) -> Epochs {
        let replies = fields.iter().flat_map(|(name, begin)| [name, begin]);
        Epochs::read(replies.map(|text| Reply::Bulk(text.as_bytes())))
    }

    #[test]
    fn a_sequence_belongs_to_the_epoch_that_begins_last_before_it() {
        let epochs = read(&[("b", "200"), ("a", "100"), ("no-name", "1"), ("c", "no number")]);
        assert!(epochs.names().eq(["a", "b"]));
        let places = [0, 99, 100, 199, 200, u64::MAX].map(|sequence| epochs.place(sequence));
        assert_eq!(places, [0, 0, 1, 1, 2, 2].map(Some));
    }

    #[test]
    fn without_epochs_the_order_is_unknown() {
        let epochs = read(&[("pruned", "1"), ("b", "200")]);
        assert_eq!([199, 200].map(|sequence| epochs.place(sequence)), [None, Some(1)]);
        assert_eq!(read(&[]).place(7), None);
    }
}
